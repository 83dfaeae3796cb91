"""Consistency models and CTM: networks that jump along the ODE's path instead of pointing along it.

jump(u, sigma, target=...)    from level sigma (b,) to level target (b,), both float64; target 0 is the clean image
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from medidiff.diffusion.denoiser import Denoiser, Network
from medidiff.diffusion.exact import Gaussian
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.onestep import levels
from medidiff.diffusion.process import per_item
from medidiff.diffusion.sample import State
from medidiff.diffusion.stochastic import check_share


@dataclass(frozen=True)
class Consistency:
    """A consistency function around a network: f(u, smin) = u exactly (Song 2023, eq. 5 and appendix C).

        f = c_skip u + c_out F(c_in u, c_noise)
        c_skip = sd^2 / ((s - smin)^2 + sd^2),    c_out = sd (s - smin) / sqrt(s^2 + sd^2)

    It is used as a denoiser: one call from the first level is a sample, `renoise(rule="fresh")` is multistep sampling.
    """

    network: Network = field(repr=False)
    sd: float  # standard deviation of the data, data unit
    smin: float = 0.002  # level at which it is the identity, data unit

    def __call__(self, u: Tensor, sigma: Tensor, **condition: Tensor) -> Tensor:
        distance, total = sigma - self.smin, torch.sqrt(sigma**2 + self.sd**2)
        output = self.network(per_item(1 / total, u) * u, (sigma.log() / 4).to(u.dtype), **condition)
        c_skip = self.sd**2 / (distance**2 + self.sd**2)
        return per_item(c_skip, u) * u + per_item(self.sd * distance / total, u) * output


@dataclass(frozen=True)
class Jump:
    """CTM's jump from a network g(u, sigma, target): G(u, a, b) = (b/a) u + (1 - b/a) g(u, a, b) (Kim 2024, eq. 6).

    g -> D as b -> a, so g(u, sigma, sigma) is the denoiser that `denoiser` returns.
    """

    network: Callable[..., Tensor] = field(repr=False)  # g

    def __call__(self, u: Tensor, sigma: Tensor, *, target: Tensor, **condition: Tensor) -> Tensor:
        kept = per_item(target / sigma, u)
        return kept * u + (1 - kept) * self.network(u, sigma, target=target, **condition)

    def denoiser(self, u: Tensor, sigma: Tensor, **condition: Tensor) -> Tensor:
        """E[x0 | u], the jump of length 0."""
        return self.network(u, sigma, target=sigma, **condition)


@dataclass(frozen=True)
class ExactJump:
    """The jump of a Gaussian, along its probability-flow ODE."""

    prior: Gaussian

    def __call__(self, u: Tensor, sigma: Tensor, *, target: Tensor, **condition: Tensor) -> Tensor:
        l = self.prior.variance.flatten()
        return self.prior.mapped(u, torch.sqrt((l + target[:, None] ** 2) / (l + sigma[:, None] ** 2)))


@dataclass(frozen=True)
class CTM:
    """CTM's gamma sampling (Kim 2024, algorithm 1): jump below the next level, put the rest back on as fresh noise. One call.

        u' = G(u, a -> sqrt(1 - gamma^2) b) + gamma b z

    0 jumps along the ODE, 1 is consistency multistep sampling. `sample` gets the jump in the place of the denoiser.
    """

    gamma: float = 0.0

    def __post_init__(self):
        check_share("gamma", self.gamma)

    @property
    def is_stochastic(self) -> bool:
        return self.gamma > 0

    def __call__(self, denoiser: Denoiser, state: State, grid: Tensor, noise: Noise) -> State:
        a, b = levels(grid, state.step)
        sigma = torch.full((len(state.u),), a, dtype=torch.float64, device=state.u.device)
        u = denoiser(state.u, sigma, target=torch.full_like(sigma, math.sqrt(1 - self.gamma**2) * b))
        return state.moved(u + self.gamma * b * noise(state.step, u, 1) if self.gamma * b > 0 else u)
