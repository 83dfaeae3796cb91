"""Low-rank adapters: a small addition to chosen weights that can be trained, added to others, saved alone and merged."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from medidiff.errors import ConfigError, DataError

KINDS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


class LowRank(nn.Module):
    """W + (alpha / rank) B A, with B = 0 at the start, so that nothing changes until it is trained."""

    def __init__(self, weight: Tensor, *, rank: int, alpha: float, generator: torch.Generator):
        super().__init__()
        rows, columns = len(weight), weight[0].numel()
        draw = torch.rand(rank, columns, generator=generator, dtype=weight.dtype) * 2 - 1
        self.down = nn.Parameter((draw / math.sqrt(columns)).to(weight.device))
        self.up = nn.Parameter(torch.zeros(rows, rank, dtype=weight.dtype, device=weight.device))
        self.strength = alpha / rank

    def forward(self, weight: Tensor) -> Tensor:
        return weight + self.strength * (self.up @ self.down).reshape(weight.shape)


def add_adapters(network: nn.Module, *, rank: int = 4, alpha: float = 4.0, only: str = "", seed: int = 0) -> list[str]:
    """The names of the layers that now carry an adapter; every other parameter of the network stands still.

    rank    of the addition
    alpha   strength; the addition is (alpha / rank) B A
    only    layers whose name contains this; all linear and convolutional ones when empty
    seed    of A; B is 0, so the network's output is equal to the bit

    Adapters stack: a second call adds to the first. Hu et al. 2022 (arXiv 2106.09685, eq. 3); on a consistency model this is
    LCM-LoRA (arXiv 2311.05556). Raises ConfigError when no layer matches or the rank is not positive.
    """
    chosen = {name: module for name, module in network.named_modules() if isinstance(module, KINDS) and only in name}
    if not chosen or rank < 1:
        raise ConfigError(
            f"adapters of rank {rank} on layers named *{only}*: {len(chosen)} layers match; expected rank 1 or more and a layer"
        )
    generator = torch.Generator().manual_seed(seed)
    network.requires_grad_(False)
    for module in chosen.values():
        adapter = LowRank(module.weight, rank=rank, alpha=alpha, generator=generator)
        parametrize.register_parametrization(module, "weight", adapter)
    return list(chosen)


def adapter_weights(network: nn.Module) -> dict[str, Tensor]:
    """The weights of the adapters alone: a small file beside a shared prior."""
    return {
        f"{name}.{key}": value
        for name, module in network.named_modules()
        if isinstance(module, LowRank)
        for key, value in module.state_dict().items()
    }


def load_adapters(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Puts saved adapter weights into a network with the same adapters.

    Raises DataError when they belong to other adapters.
    """
    own = adapter_weights(network)
    if {name: value.shape for name, value in own.items()} != {name: value.shape for name, value in weights.items()}:
        raise DataError(
            f"{len(weights)} adapter tensors do not fit the {len(own)} of this network; add adapters of the same rank and layers"
        )
    with torch.no_grad():
        for name, value in weights.items():
            own[name].copy_(value)


def merge_adapters(network: nn.Module) -> None:
    """Folds the adapters into the weights, in place: the same output at no cost."""
    for module in list(network.modules()):
        if parametrize.is_parametrized(module, "weight"):
            parametrize.remove_parametrizations(module, "weight", leave_parametrized=True)
    network.requires_grad_(True)
