"""DiffusionMBIR as it was released (Chung 2023), with any number of levels: predictor, corrector, one round of ADMM.

Nothing holds the image near the denoised one: the prior acts only through the place where each round starts, so that more
conjugate gradients take it away. The last slice is tied to the first, as in the release; its other faults are not kept.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from medidiff.diffusion.denoiser import Denoiser, limits_of, predict
from medidiff.diffusion.grid import uniform_lambda, with_zero
from medidiff.diffusion.measurement import Measurement
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.sample import State, sample, start
from medidiff.diffusion.stochastic import euler_maruyama
from medidiff.reconstruction.sweep import Sweep

LEVELS = (0.01, 378.0)  # last and first of the release, unit of its images


@dataclass(frozen=True)
class MBIR:
    """How DiffusionMBIR works, in network units and for |A| = 1."""

    steps: int = 2000  # levels; two network calls each
    snr: float = 0.16  # of the corrector
    data_steps: int = 1  # conjugate gradients per level
    rho: float = 0.0257  # coupling of slices
    threshold: float = 0.008  # on differences of slices
    unit: float = 2.0  # network units in one unit of the images that the release's levels are meant for


@dataclass(frozen=True)
class ReleasedStep:
    """Predictor, Langevin corrector, sweep; the duals travel in the state's history.

    u <- u + (a^2 - b^2) s(u, a) + sqrt(a^2 - b^2) z
    u <- u + e s(u, a) + sqrt(2 e) z,    e = 2 (snr |z| / |s|)^2,   norms averaged over the slices
    u <- sweep(u)
    """

    sweep: Sweep
    snr: float

    is_stochastic = True

    def __call__(self, denoiser: Denoiser, state: State, grid: Tensor, noise: Noise) -> State:
        a = float(grid[state.step])
        u = euler_maruyama(denoiser, state, grid, noise).u
        score = (predict(denoiser, u, a) - u) / a**2
        z = noise(state.step, u, "corrector")
        size = 2 * (self.snr * _mean_norm(z) / _mean_norm(score)) ** 2
        u, duals = self.sweep(u + size * score + (2 * size).sqrt() * z, 0.0, state.history or self.sweep.no_duals(u))
        return state.moved(u, *duals)


def mbir_released(
    denoiser: Denoiser,
    measurement: Measurement,
    shape: tuple[int, ...],
    *,
    options: MBIR,
    noise: Noise,
    on_step: Callable[[State], None] | None = None,
) -> Tensor:
    """The volume (slice, c, row, column) that DiffusionMBIR ends with. Arguments and errors as in `nadds.na_dds`.

    Levels are even in ln sigma over the release's range, as far as the prior knows it. After the last one
    x <- x + A^T (y - A x) / (A^T A 1), as released.
    """
    limits = limits_of(denoiser)
    smin, smax = max(options.unit * LEVELS[0], limits.sigma_min), min(options.unit * LEVELS[1], limits.sigma_max)
    grid = with_zero(uniform_lambda(options.steps, smin=smin, smax=smax))
    step = ReleasedStep(Sweep(measurement, options.data_steps, options.rho, options.threshold, is_periodic=True), options.snr)
    first = start(shape, float(grid[0]), noise=noise).to(measurement.y.device)
    x = sample(denoiser, first, grid, step, noise=noise, on_step=on_step)
    reach = measurement.operator.normal(torch.ones_like(x))
    return x + measurement.gradient(x) / reach.clamp(min=1e-3 * float(reach.max()))


def _mean_norm(values: Tensor) -> Tensor:
    return torch.linalg.vector_norm(values.flatten(1), dim=1).mean()
