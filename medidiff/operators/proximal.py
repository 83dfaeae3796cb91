"""Guidance by a quadratic objective without a step size: every denoised state is the solution of one linear system."""

from collections.abc import Callable
from dataclasses import dataclass, field

from torch import Tensor

from medidiff.diffusion.conjugate_gradient import conjugate_gradient
from medidiff.diffusion.denoiser import Denoiser, Limits, limits_of
from medidiff.diffusion.process import per_item


@dataclass(frozen=True, eq=False)
class Proximal:
    """argmin_y |y - D(u; sigma)|^2 / (2 r^2) + |B y - target|^2 / temperature,   r^2 = sigma^2 / (1 + sigma^2).

    forward, adjoint   B and its transpose, (b, c, *grid) -> (b, m) and back
    target             (b, m)
    temperature        as large as the objective may be; infinite: plain sampling
    iterations         of conjugate gradients for (1 + 2 r^2 / temperature B^T B) d = 2 r^2 / temperature B^T (target - B D)

    r^2 is the variance of data of variance 1 given u; so this is the mean of the posterior were D's error white.
    """

    denoiser: Denoiser = field(repr=False)
    forward: Callable[[Tensor], Tensor] = field(repr=False)
    adjoint: Callable[[Tensor], Tensor] = field(repr=False)
    target: Tensor = field(repr=False)
    temperature: float
    iterations: int = 10

    @property
    def limits(self) -> Limits:
        return limits_of(self.denoiser)

    def __call__(self, u: Tensor, sigma: Tensor, **condition: Tensor) -> Tensor:
        denoised = self.denoiser(u, sigma, **condition)
        weight = per_item(2 * sigma**2 / (1 + sigma**2) / self.temperature, u)
        pull = weight * self.adjoint(self.target - self.forward(denoised))
        found = conjugate_gradient(lambda d: d + weight * self.adjoint(self.forward(d)), pull, iterations=self.iterations)
        return denoised + found.x
