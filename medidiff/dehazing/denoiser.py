"""The denoiser of both kinds of signal in one network, and what it is told of depth."""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from medidiff.diffusion import convert
from medidiff.diffusion.denoiser import Limits
from medidiff.diffusion.process import per_item
from physics.ultrasound.polar import PolarGrid

TISSUE, HAZE = 0, 1  # the classes
DEPTH_SCALE_M = 0.05
NO_LIMITS = Limits()


@dataclass(frozen=True)
class ClassDenoiser:
    """EDM's denoiser with a standard deviation for each class: E[x0 | u] of a companded signal, (b, 2, axial, lateral).

    network   (x, c_noise, condition, label) -> F
    sd        of each class, companded units

        D(u; sigma, c) = c_skip u + c_out F(c_in u, ln(sigma) / 4, c),    Karras 2022, table 1, with sd of class c
    """

    network: nn.Module = field(repr=False)
    sd: tuple[float, ...]
    limits: Limits = NO_LIMITS

    def __call__(self, u: Tensor, sigma: Tensor, label: Tensor, condition: Tensor) -> Tensor:
        factors = convert.edm_factors(sigma, self.sd_of(label))
        output = self.network(per_item(factors.c_in, u) * u, factors.c_noise.to(u.dtype), condition, label)
        return torch.addcmul(per_item(factors.c_skip, u) * u, per_item(factors.c_out, u), output)

    def sd_of(self, label: Tensor) -> Tensor:
        """Standard deviation of each item, (b,) float64."""
        return torch.tensor(self.sd, dtype=torch.float64, device=label.device)[label]


def depth_channel(grid: PolarGrid, shape: tuple[int, int]) -> Tensor:
    """How deep each sample lies, (1, 1, axial, lateral), about -1 to 1: range / 5 cm - 1.

    shape   axial, lateral; rows beyond the grid (padding) go on with its step
    """
    ranges = grid.first_range_m + grid.range_step_m * torch.arange(shape[0], dtype=torch.float64)
    return (ranges / DEPTH_SCALE_M - 1).float().reshape(1, 1, -1, 1).expand(1, 1, *shape)
