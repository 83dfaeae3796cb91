"""A U-Net without some of its blocks, to be distilled on what the whole one says (`distil.Imitation`)."""

import copy

import torch
from torch import Tensor, nn

from medidiff.diffusion.networks.unet import UNet
from medidiff.errors import ConfigError


class Bypass(nn.Module):
    """A residual block reduced to its skip path."""

    def __init__(self, skip: nn.Module):
        super().__init__()
        self.skip = skip

    def forward(self, h: Tensor, embedded: Tensor) -> Tensor:
        return self.skip(h)


def pruned(network: UNet, *, depth: int) -> UNet:
    """A copy of the network whose blocks at resolution `depth` and all coarser ones are reduced to their skip path.

    The deepest blocks hold most of the parameters and little of the detail (A-SDM, arXiv 2406.00210). Raises ConfigError when the
    network has no such resolution.
    """
    if not 0 <= depth < len(network.levels):
        raise ConfigError(f"depth {depth}: the network has resolutions 0 to {len(network.levels) - 1}")
    smaller = copy.deepcopy(network)
    for level in smaller.levels[depth:]:
        level.encoder = nn.ModuleList(Bypass(block.skip) for block in level.encoder)
        level.decoder = nn.ModuleList(Bypass(block.skip) for block in level.decoder)
        level.attention = None
    return smaller


def parameter_count(network: nn.Module) -> int:
    """The number of weights."""
    with torch.no_grad():
        return sum(parameter.numel() for parameter in network.parameters())
