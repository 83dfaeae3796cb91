"""How far a score is from obeying the equation that every true score obeys."""

import torch
from torch import Tensor

from medidiff.diffusion.denoiser import Denoiser
from medidiff.diffusion.jacobian import axes, signs
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.process import per_item


def fokker_planck_residual(
    denoiser: Denoiser, u: Tensor, sigma: Tensor, *, probes: int | None = None, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """The residual R and the rate ds/dsigma it is to be compared with, both as `u`; R is 0 for the score of any density.

    u        (b, *event)   states at the levels sigma (b,)
    probes   random signs for the divergence; None: all axes, exact, for states of few elements

        R = ds/dsigma - sigma grad(div s + |s|^2),     s = (D - u) / sigma^2

    From dp/dsigma = sigma Laplace(p). Lai et al. 2023 (arXiv 2210.04296) in the noise level as time. The bound on
    W2(ODE, SDE) by an integral of |R| is far too wide to be a number: compare |R| with |ds/dsigma|.
    """
    vectors = axes(u) if probes is None else signs(u, probes, Noise(seed))

    def score(state: Tensor, level: Tensor) -> Tensor:
        return (denoiser(state, level) - state) / per_item(level, state) ** 2

    def potential(state: Tensor) -> Tensor:
        found, pull = torch.func.vjp(lambda inner: score(inner, sigma), state)
        divergence = sum((pull(v)[0] * v).sum() for v in vectors) / len(vectors)
        return divergence + (found**2).sum()

    with torch.no_grad():
        gradient = torch.func.grad(potential)(u)
        # ds/dsigma by reverse mode twice, which every network supports: v^T ds/dsigma is linear in v
        pull = torch.func.vjp(lambda level: score(u, level), sigma)[1]
        rate = torch.func.vjp(lambda v: pull(v)[0], torch.zeros_like(u))[1](torch.ones_like(sigma))[0]
        return rate - per_item(sigma, u) * gradient, rate
