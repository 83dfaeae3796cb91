"""DDS as it was released (Chung 2024), to compare with. What the release does that NA-DDS does not, kept here on purpose:

- it ignores the noise: the step towards the data fits it, whatever the measurement says of itself;
- the last slice is tied to the first (periodic differences);
- the noise it puts back is the network's own, while the image has moved towards the data: biased even for Gaussian priors;
- the step before the last puts no noise back, so that the last call denoises an image without noise.

Not kept: a scaled back-projection in place of A^T, conjugate gradients without a conjugate, the rotation centre half a pixel off.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from medidiff.diffusion.denoiser import Denoiser, limits_of
from medidiff.diffusion.grid import with_zero
from medidiff.diffusion.measurement import Measurement
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.process import ddpm
from medidiff.diffusion.sample import State, sample, start
from medidiff.diffusion.stochastic import Renoise
from medidiff.reconstruction.sweep import Sweep, VolumeStep


@dataclass(frozen=True)
class DDS:
    """How DDS works, in network units and for |A| = 1."""

    steps: int = 50  # network calls per slice
    eta: float = 0.85  # share of fresh noise in amplitude; not DDIM's eta
    data_steps: int = 5  # conjugate gradients per step
    rho: float = 0.0257  # coupling of slices
    threshold: float = 0.008  # on differences of slices
    ridge: float = 0.0  # weight of the denoised image: 0 in the release's noise-free and 3-D solvers, 1 in its noisy 2-D one
    unit: float = 2.0  # network units in one unit of the images that the release's table of levels is meant for


@dataclass(frozen=True)
class ReleasedStep:
    """The step of DDS, which puts no noise back where only one more call follows."""

    step: VolumeStep

    @property
    def is_stochastic(self) -> bool:
        return self.step.is_stochastic

    def __call__(self, denoiser: Denoiser, state: State, grid: Tensor, noise: Noise) -> State:
        if state.step < len(grid) - 3:
            return self.step(denoiser, state, grid, noise)
        last = torch.stack([grid[state.step], torch.zeros_like(grid[0])])
        after = self.step(denoiser, State(state.u, 0, state.history), last, noise)
        return State(after.u, state.step + 1, after.history)


def released_levels(steps: int, *, unit: float, largest: float = float("inf")) -> Tensor:
    """Falling levels of `steps` evenly spaced times of the DDPM table with 1000 times, time 0 included, network unit.

    unit      network units in one unit of the images
    largest   levels above it are left out, for the prior does not know them
    """
    table = ddpm()
    times = torch.arange(0, len(table.levels), len(table.levels) // steps)[:steps].flip(0)
    grid = unit * table.levels[times]
    return grid[grid <= largest]


def dds_released(
    denoiser: Denoiser,
    measurement: Measurement,
    shape: tuple[int, ...],
    *,
    options: DDS,
    noise: Noise,
    on_step: Callable[[State], None] | None = None,
) -> Tensor:
    """The volume (slice, c, row, column) that DDS ends with. Arguments and errors as in `nadds.na_dds`."""
    grid = with_zero(released_levels(options.steps, unit=options.unit, largest=limits_of(denoiser).sigma_max))
    sweep = Sweep(measurement, options.data_steps, options.rho, options.threshold, is_periodic=True)
    renoise = Renoise(eta=options.eta, rule="fresh", noise_from="prior")
    step = ReleasedStep(VolumeStep(renoise, sweep, lambda sigma: options.ridge))
    first = start(shape, float(grid[0]), noise=noise).to(measurement.y.device)
    return sample(denoiser, first, grid, step, noise=noise, on_step=on_step)
