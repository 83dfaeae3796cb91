"""Products with the Jacobian J = dD/du of a denoiser and its trace, item by item of a batch, without ever forming J.

Parameters are constants here: nothing is recorded for their gradients, so memory stays that of one backward pass.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from medidiff.diffusion.denoiser import Denoiser
from medidiff.diffusion.noise import Noise

Pull = Callable[[Tensor], Tensor]


def pullback(denoiser: Denoiser, u: Tensor, sigma: Tensor) -> tuple[Tensor, Pull]:
    """The denoised state, and the function v -> J^T v (both as `u`), at the price of one backward pass per product."""
    with torch.no_grad():
        denoised, pull = torch.func.vjp(lambda state: denoiser(state, sigma), u)

    @torch.no_grad()
    def product(v: Tensor) -> Tensor:
        return pull(v)[0]

    return denoised, product


def signs(u: Tensor, count: int, noise: Noise) -> list[Tensor]:
    """Fixed probes of random signs, each as `u`: of all probes with E[v v^T] = I those of least variance (Hutchinson 1990)."""
    return [torch.where(noise.uniform(0, u, draw=f"probe-{index}") < 0.5, -1.0, 1.0).to(u) for index in range(count)]


def axes(u: Tensor) -> list[Tensor]:
    """The d unit vectors times sqrt(d), each as `u`: probes whose mean v v^T is I exactly. For states of few elements."""
    count = u[0].numel()
    eye = math.sqrt(count) * torch.eye(count, dtype=u.dtype, device=u.device)
    return [row.reshape(u.shape[1:]).expand_as(u) for row in eye]


def trace(pull: Pull, probes: Sequence[Tensor]) -> Tensor:
    """tr J of every item, (b,), as the mean of v^T J v: exact with `axes`, an estimate with `signs`."""
    return sum((pull(v) * v).flatten(1).sum(1) for v in probes) / len(probes)
