"""Models that were trained on mixtures: one call of a regression, or a few of a conditional diffusion. Nothing to guide."""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from medidiff.dehazing.domain import Domain, channels, signal
from medidiff.diffusion.denoiser import Denoiser
from medidiff.diffusion.grid import karras, with_zero
from medidiff.diffusion.multistep import pp2m
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.sample import sample


@dataclass(frozen=True)
class Regression:
    """The companded tissue straight from the companded measurement: x = u + F(u), the identity until it is trained.

    Called as a denoiser, so that the same loop trains it; the noise level is ignored.
    """

    network: nn.Module = field(repr=False)

    def __call__(self, u: Tensor, sigma: Tensor, condition: Tensor) -> Tensor:
        return u + self.network(u, torch.zeros_like(sigma, dtype=u.dtype), condition)


def regressed(denoiser: Denoiser, y: Tensor, domain: Domain, depth: Tensor) -> Tensor:
    """Tissue (b, axial, lateral) complex, by one call.

    y       (b, axial, lateral) complex      amplitudes of at most 1
    depth   (b, 1, axial, lateral)           what the network is told of depth
    """
    u = channels(domain.compress(y))
    return domain.expand(signal(denoiser(u, u.new_zeros(len(u), dtype=torch.float64), condition=depth)))


def conditional_samples(denoiser: Denoiser, y: Tensor, domain: Domain, depth: Tensor, *, grid: Tensor, noise: Noise) -> Tensor:
    """A sample of the tissue for each item, (b, axial, lateral) complex, given the companded measurement as condition.

    grid    falling levels; `conditional_levels`
    """
    measured = channels(domain.compress(y))
    start = float(grid[0]) * noise(0, measured)
    u = sample(denoiser, start, grid, pp2m, noise=noise, condition=torch.cat([measured, depth], dim=1))
    return domain.expand(signal(u))


def conditional_levels(steps: int, *, sigma_min: float, sigma_max: float) -> Tensor:
    """Levels of a sampler that calls the network `steps` times, ending in 0."""
    return with_zero(karras(steps, smin=sigma_min, smax=sigma_max))
