"""RED-diff: one image that fits the measurement and that the denoiser would not change much, by stochastic gradients.

    min over m of   |y - A m|^2 / (2 sy^2)  +  lam E_sigma w(sigma) <sg[e(m + sigma n, sigma) - n], m>

The prior works through its denoiser alone, without its gradient (Mardani 2024, eq. 8 and 9). The result is a point estimate.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from medidiff.diffusion.denoiser import Denoiser
from medidiff.diffusion.exact import Gaussian
from medidiff.diffusion.grid import check_grid
from medidiff.diffusion.measurement import Measurement, scaled
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.sample import State, check_finite
from medidiff.errors import ConfigError

Weight = Callable[[Tensor], Tensor]  # sigma (b,) -> w (b,)


def linear_weight(sigma: Tensor) -> Tensor:
    """w = sigma, the paper's choice."""
    return sigma


@dataclass(frozen=True)
class RedDiff:
    """How the image is found: Adam over the levels of a grid, one call per level."""

    lam: float = 0.25  # weight of the prior against the measurement, whose terms are sums, not means
    learning_rate: float = 0.1  # of Adam, data unit; falls to 0 over the last 30 % of the levels
    weight: Weight = linear_weight  # 1 / sigma near sigma = 0 with lam = 1 is the exact maximum of the posterior

    def __post_init__(self):
        if not 0 <= self.lam < float("inf"):
            raise ConfigError(f"lam {self.lam:g}: expected 0 or more")
        if not self.learning_rate > 0:
            raise ConfigError(f"learning_rate {self.learning_rate:g}: expected more than 0")

    def gradient(self, denoiser: Denoiser, measurement: Measurement, m: Tensor, *, sigma: Tensor, z: Tensor) -> Tensor:
        """The stochastic gradient at m (b, c, *space): A^T (A m - y) / sy^2 + lam w (e(m + sigma z, sigma) - z).

        sigma   (b,)   one level per item
        z       as m   white noise
        """
        u = m + scaled(sigma, z)
        e = scaled(1 / sigma, u - denoiser(u, sigma))
        return scaled(self.lam * self.weight(sigma), e - z) - measurement.gradient(m) / measurement.noise_std**2


def red_diff(
    denoiser: Denoiser,
    measurement: Measurement,
    start: Tensor,
    grid: Tensor,
    *,
    options: RedDiff = RedDiff(),
    noise: Noise = Noise(0),  # noqa: B008  (frozen)
    on_step: Callable[[State], None] | None = None,
) -> Tensor:
    """The image (b, c, *space) that RED-diff ends with, one Adam step for each level of the grid.

    denoiser      (u, sigma) -> E[x0 | u]
    measurement   y = A x + noise_std n, noise_std > 0
    start         (b, c, *space)    a pseudo-inverse or filtered back-projection
    grid          (n,)              falling levels above 0
    on_step       called with the image after every level

    ConfigError for a noise_std of 0 and for a level of 0.
    """
    if measurement.noise_std == 0:
        raise ConfigError("RED-diff divides by noise_std, which is 0; give the noise of y")
    check_grid(grid)
    if float(grid[-1]) == 0:
        raise ConfigError("RED-diff divides by the level; leave the last 0 of the grid away")
    check_finite("start", start)
    m = start.clone()
    adam = torch.optim.Adam([m], lr=options.learning_rate, betas=(0.9, 0.99))
    for index, level in enumerate(grid.tolist()):
        adam.param_groups[0]["lr"] = options.learning_rate * min(1.0, (1 - index / len(grid)) / 0.3)
        sigma = torch.full((len(m),), level, dtype=torch.float64, device=m.device)
        with torch.no_grad():
            m.grad = options.gradient(denoiser, measurement, m, sigma=sigma, z=noise(index, m, 1))
        adam.step()
        if on_step:
            on_step(State(m.clone(), index))
    return m


def fixed_point(prior: Gaussian, matrix: Tensor, *, y: Tensor, noise_std: float, levels: Tensor, options: RedDiff) -> Tensor:
    """Where the mean gradient vanishes under a Gaussian prior, (d,): the bias of RED-diff in closed form.

    matrix (m, d)    y (m,)    levels (n,)    all equally frequent

        (A^T A / sy^2 + R) m = A^T y / sy^2 + R mean,     R = lam E[w sigma (C + sigma^2)^-1];   exact if R = C^-1
    """
    basis = torch.eye(matrix.shape[1], dtype=matrix.dtype) if prior.basis is None else prior.basis
    shares = options.lam * (options.weight(levels) * levels)[:, None] / (prior.variance.flatten() + levels[:, None] ** 2)
    r = (basis * shares.mean(0)) @ basis.T
    gram = matrix.T @ matrix / noise_std**2
    return torch.linalg.solve(gram + r, matrix.T @ y / noise_std**2 + r @ prior.mean.flatten())
