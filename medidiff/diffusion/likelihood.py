"""The log-likelihood of data under a denoiser, by the change of variables along the probability-flow ODE."""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

from medidiff.diffusion.denoiser import Denoiser
from medidiff.diffusion.grid import check_grid
from medidiff.diffusion.jacobian import axes, pullback, signs, trace
from medidiff.diffusion.noise import Noise


def log_likelihood(
    denoiser: Denoiser,
    u: Tensor,
    grid: Tensor,
    *,
    end_density: Callable[[Tensor, Tensor], Tensor],
    probes: int | None = None,
    seed: int = 0,
) -> Tensor:
    """log p(u; sigma_min) of every item, (b,) float64, nats, by Heun's method up the grid: second order in the number of levels.

    u             (b, *event)   states at the last level of the grid
    grid          (n,)          falling levels, positive, data unit
    end_density   (u, sigma) -> log density at the first level, (b,): `Gaussian(mean, variance).log_density` of the data; taking
                  N(mean, sigma_max^2) instead leaves an error that no number of levels removes
    probes        random signs for the trace; None: all axes, exact, for states of few elements

        log p(u; a) = log p(u'; b) + integral_a^b (N - tr J) / sigma dsigma,     du/dsigma = (u - D)/sigma

    Chen et al. 2018 (arXiv 1806.07366, eq. 8); Song et al. 2021 (arXiv 2011.13456, eq. 39).
    """
    check_grid(grid)
    vectors = axes(u) if probes is None else signs(u, probes, Noise(seed))
    levels = grid.double().flip(0).tolist()
    gained = torch.zeros(len(u), dtype=torch.float64, device=u.device)
    slope, rate = _rates(denoiser, u, levels[0], vectors)
    for low, high in pairwise(levels):
        guess_slope, _ = _rates(denoiser, u + (high - low) * slope, high, ())
        u = u + (high - low) / 2 * (slope + guess_slope)
        slope, end_rate = _rates(denoiser, u, high, vectors)
        gained = gained + (high - low) / 2 * (rate + end_rate)
        rate = end_rate
    return gained + end_density(u, _level(u, levels[-1]))


def _rates(denoiser: Denoiser, u: Tensor, sigma: float, vectors) -> tuple[Tensor, Tensor]:
    level = _level(u, sigma)
    if not len(vectors):
        with torch.no_grad():
            return (u - denoiser(u, level)) / sigma, level
    denoised, pull = pullback(denoiser, u, level)
    return (u - denoised) / sigma, (u[0].numel() - trace(pull, vectors).double()) / sigma


def _level(u: Tensor, sigma: float) -> Tensor:
    return torch.full((len(u),), sigma, dtype=torch.float64, device=u.device)
