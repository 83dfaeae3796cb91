"""Guidance through the network, for comparison: DPS and PiGDM on the sum of tissue and haze."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from medidiff.dehazing.domain import Domain, channels, parted
from medidiff.diffusion.denoiser import Denoiser, predict
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.onestep import levels, moved_to
from medidiff.diffusion.rules import isotropic_variance
from medidiff.diffusion.sample import State


@dataclass(frozen=True)
class Measured:
    """What is known: y, the domain of the priors, and the assumed amplitude of the haze."""

    y: Tensor  # (b, axial, lateral) complex, scaled to amplitudes of at most 1
    domain: Domain
    gamma: float = 1.0

    def misfit(self, denoised: Tensor) -> Tensor:
        """C(y) - C(C^-1(D_x) + gamma C^-1(D_h)), (b, 2, axial, lateral)."""
        x, h = (self.domain.expand(part) for part in parted(denoised))
        return channels(self.domain.compress(self.y)) - channels(self.domain.compress(x + self.gamma * h))


@dataclass(frozen=True)
class DPS:
    """A reverse step, and a step down the norm of the misfit of each frame, differentiated through the network.

        u' <- u' - weight grad_u |misfit(D(u))|_2

    Chung et al. 2023 (arXiv 2209.14687), algorithm 1. The norm is of one frame, so that frames do not depend on their batch.
    """

    measured: Measured
    weight: float = 1.0

    is_stochastic = True

    def __call__(self, denoiser: Denoiser, state: State, grid: Tensor, noise: Noise) -> State:
        sigma, following = levels(grid, state.step)
        with torch.enable_grad():
            u = state.u.detach().requires_grad_()
            denoised = predict(denoiser, u, sigma)
            norm = self.measured.misfit(denoised).flatten(1).norm(dim=1).sum()
            gradient = torch.autograd.grad(norm, u)[0]
        return state.moved(_reverse(state, denoised.detach(), (sigma, following), noise) - self.weight * gradient)


@dataclass(frozen=True)
class PiGDM:
    """A reverse step whose score knows y, with the posterior of each prior as an isotropic Gaussian.

        grad log p(y | u) = (dD/du)^T (dC/dD)^T misfit / (r_x^2 + gamma^2 r_h^2),    r^2 = sigma^2 sd^2 / (sigma^2 + sd^2)

    Song et al. 2023 (PiGDM), eq. 7, with the vector-Jacobian product in full.
    """

    measured: Measured
    sd: tuple[float, float]  # of tissue and haze, companded units

    is_stochastic = True

    def __call__(self, denoiser: Denoiser, state: State, grid: Tensor, noise: Noise) -> State:
        sigma, following = levels(grid, state.step)
        level = torch.tensor([sigma], dtype=torch.float64)
        tissue, haze = (float(isotropic_variance(sd, level)) for sd in self.sd)
        with torch.enable_grad():
            u = state.u.detach().requires_grad_()
            denoised = predict(denoiser, u, sigma)
            misfit = self.measured.misfit(denoised)
            energy = misfit.square().sum() / (2 * (tissue + self.measured.gamma**2 * haze))
            score = -torch.autograd.grad(energy, u)[0]
        return state.moved(_reverse(state, denoised.detach(), (sigma, following), noise) + (sigma**2 - following**2) * score)


def _reverse(state: State, denoised: Tensor, ends: tuple[float, float], noise: Noise) -> Tensor:
    """Euler-Maruyama from level a to level b without guidance."""
    a, b = ends
    u = moved_to(state.u, denoised, a, b**2 / a)
    return u + math.sqrt(a**2 - b**2) * noise(state.step, u, 1) if b > 0 else u
