"""Networks in half precision and in the memory layout that convolutions like: wrappers around the network only."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Autocast:
    """A network whose inner products run in `dtype`; its output comes back in the type of its input.

    Everything around it (loss, preconditioning, sampler state) stays float32.
    """

    network: nn.Module
    dtype: torch.dtype = torch.bfloat16

    def __call__(self, x: Tensor, noise_level: Tensor, **condition: Tensor) -> Tensor:
        with torch.autocast(x.device.type, dtype=self.dtype):
            return self.network(x, noise_level, **condition).to(x.dtype)


def channels_last(network: nn.Module) -> nn.Module:
    """The same network, in place, with its weights in channels-last order (images and volumes); inputs follow by themselves."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.to(memory_format=torch.channels_last)
        elif isinstance(module, nn.Conv3d):
            module.to(memory_format=torch.channels_last_3d)
    return network


def computes_bfloat16(device: torch.device) -> bool:
    """Whether the device has instructions for bfloat16; without them it is emulated, several times slower than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    found = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(found.get("avx512_bf16") or found.get("amx_bf16"))


def prepared(network: nn.Module) -> nn.Module | Autocast:
    """The network as it runs fastest on its own device, within bfloat16's accuracy; it is changed in place.

    Channels last, and autocast where bfloat16 is computed, not emulated. On CUDA compiled too, with one CUDA graph per batch
    shape: keep shapes fixed (`denoiser.sliced` pads its last batch for this), for every new one is compiled again.
    """
    device = next(network.parameters()).device
    channels_last(network)
    runs = torch.compile(network, mode="reduce-overhead", dynamic=False) if device.type == "cuda" else network
    return Autocast(runs) if computes_bfloat16(device) else runs
