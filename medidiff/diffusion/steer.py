"""Constraints as steps: the recipes that are a `Renoise` with a correction, and DPS as published, which pushes after the step."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from medidiff.diffusion.conjugate_gradient import inner
from medidiff.diffusion.denoiser import Denoiser
from medidiff.diffusion.jacobian import pullback
from medidiff.diffusion.measurement import Measurement, digest, scaled
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.sample import State, Step
from medidiff.diffusion.stochastic import Renoise, check_share

Correct = Callable[[Tensor, float], Tensor]  # (denoised, sigma) -> denoised


def dds(correct: Correct, *, eta: float = 0.85) -> Renoise:
    """The step of DDS and NA-DDS: u' = h + b (eta z + sqrt(1 - eta^2) e), e being the network's own noise (Chung 2024, eq. 16).

    correct   `correction(measurement, Isotropic(data_std))` for NA-DDS
    eta       share of fresh noise in amplitude; not DDIM's eta
    """
    return Renoise(eta=eta, rule="fresh", noise_from="prior", correct=correct)


def diffpir(correct: Correct, *, zeta: float = 0.3) -> Renoise:
    """The step of DiffPIR: u' = h + b (sqrt(zeta) z + sqrt(1 - zeta) e), e leading from h to u (Zhu 2023, algorithm 1).

    correct   `correction(measurement, Flat(lam))`
    zeta      share of fresh noise in variance
    """
    check_share("zeta", zeta)
    return Renoise(eta=math.sqrt(zeta), rule="fresh", noise_from="posterior", correct=correct)


@dataclass(frozen=True)
class Inpainting:
    """The correction that puts known pixels in: h = mask y + (1 - mask) D. On repeated levels it is RePaint (Lugmayr 2022)."""

    mask: Tensor  # (1 or b, 1 or c, *space), 1 where y is known
    y: Tensor  # (1 or b, c, *space), data unit

    @property
    def __name__(self) -> str:
        """Mask and pixels, as saved states name them."""
        return f"Inpainting(mask={digest(self.mask)}, y={digest(self.y)})"

    def __call__(self, denoised: Tensor, sigma: float) -> Tensor:
        return denoised + self.mask.to(denoised) * (self.y.to(denoised) - denoised)


@dataclass(frozen=True)
class DPS:
    """Diffusion posterior sampling as published (Chung 2023, algorithm 1), around any step.

        u' -= zeta grad_u |y - A D(u)|

    The norm is per item, so items do not know each other. zeta is tuned; nothing makes the result a posterior sample. It needs
    the network's Jacobian: one backward pass, and the prediction it makes on the way serves the step itself.
    """

    step: Step
    measurement: Measurement
    zeta: float = 0.3  # 0 to 1; data unit over unit of y

    def __post_init__(self):
        check_share("zeta", self.zeta)

    @property
    def is_stochastic(self) -> bool:
        return getattr(self.step, "is_stochastic", False)

    @property
    def may_repeat(self) -> bool:
        return getattr(self.step, "may_repeat", False)

    def __call__(self, denoiser: Denoiser, state: State, grid: Tensor, noise: Noise) -> State:
        sigma = torch.full((len(state.u),), float(grid[state.step]), dtype=torch.float64, device=state.u.device)
        denoised, pull = pullback(denoiser, state.u, sigma)

        def known_at_the_start(u: Tensor, level: Tensor) -> Tensor:
            return denoised if u is state.u else denoiser(u, level)

        after = self.step(known_at_the_start, state, grid, noise)
        misfit = self.measurement.misfit(denoised)
        size = inner(misfit, misfit).sqrt().clamp(min=torch.finfo(torch.float64).tiny)
        uphill = pull(self.measurement.operator.adjoint(scaled(1 / size, misfit)))
        return State(after.u + self.zeta * uphill, after.step, after.history)
