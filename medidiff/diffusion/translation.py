"""One image in the style of two domains: the noise that a model needs to make it, handed to another model."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from medidiff.diffusion.denoiser import Denoiser, predict
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.sample import State, Step


@dataclass(frozen=True)
class Code:
    """All the noise that leads to one image."""

    top: Tensor  # (b, c, *space) state at the first level of the grid
    fresh: tuple[Tensor, ...]  # noise of every step, first step first; as many tensors of the state's size as there are steps


@torch.no_grad()
def encode(denoiser: Denoiser, x0: Tensor, grid: Tensor, noise: Noise) -> Code:
    """The noise with which a stochastic sampler makes `x0` exactly.

    x0     (b, c, *space)   data
    grid   (n,)             falling levels, the last one 0 or more
    noise  of the forward path, drawn from the posterior of each level given the one above and x0

        u_b = x0 + (b^2/a^2)(u_a - x0) + b sqrt(1 - b^2/a^2) n;     z = (u_b - D - (b^2/a^2)(u_a - D)) / (b sqrt(1 - b^2/a^2))

    CycleDiffusion: Wu and De la Torre 2023 (arXiv 2210.05559). At a last level 0 the step has no noise of its own: what is
    missing to x0 is kept as it is.
    """
    levels = grid.tolist()
    top = u = x0 + levels[0] * noise(0, x0, draw="path")
    fresh = []
    for index in range(len(levels) - 1):
        a, b = levels[index], levels[index + 1]
        share, std = _kernel(a, b)
        lower = x0 + share * (u - x0) + std * noise(index + 1, x0, draw="path")
        denoised = predict(denoiser, u, a)
        fresh.append((lower - denoised - share * (u - denoised)) / (std or 1.0))
        u = lower
    return Code(top, tuple(fresh))


@torch.no_grad()
def decode(denoiser: Denoiser, code: Code, grid: Tensor) -> Tensor:
    """The image that a denoiser makes of a code: with the denoiser that encoded, the same image to rounding."""
    levels, u = grid.tolist(), code.top
    for index, z in enumerate(code.fresh):
        a, b = levels[index], levels[index + 1]
        share, std = _kernel(a, b)
        denoised = predict(denoiser, u, a)
        u = denoised + share * (u - denoised) + (std or 1.0) * z
    return u


@torch.no_grad()
def translate(source: Denoiser, target: Denoiser, x: Tensor, grid: Tensor, step: Step) -> Tensor:
    """The image of the target's domain that shares its noise with `x`: up the source's ODE, down the target's.

    grid   (n,)   falling levels, positive; the last is the level x is taken to be at
    step   a deterministic one-step method, such as `heun`

    Two Gaussians with commuting covariances: mean_B + C_B^(1/2) C_A^(-1/2) (x - mean_A). Su et al. 2023 (arXiv 2203.08382).
    """
    return _along(target, _along(source, x, grid.flip(0), step), grid, step)


def _along(denoiser: Denoiser, u: Tensor, grid: Tensor, step: Step) -> Tensor:
    # `sample` insists on falling levels; the ODE itself runs both ways
    state = State(u)
    while state.step < len(grid) - 1:
        state = step(denoiser, state, grid, Noise())
    return state.u


def _kernel(a: float, b: float) -> tuple[float, float]:
    return (b / a) ** 2, b * math.sqrt(1 - (b / a) ** 2)
