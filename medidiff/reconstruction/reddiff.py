"""RED-diff for volumes: the stochastic gradient of the engine, and total variation along the slices after every step."""

from collections.abc import Callable

import torch
from torch import Tensor

from medidiff.diffusion.denoiser import Denoiser
from medidiff.diffusion.measurement import Measurement
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.reddiff import RedDiff
from medidiff.diffusion.sample import State
from physics.solvers.differences import difference_z, difference_z_adjoint

PROX_ITERATIONS = 20  # on the dual, which starts where the last step left it


def volume_red_diff(
    denoiser: Denoiser,
    measurement: Measurement,
    start: Tensor,
    *,
    grid: Tensor,
    options: RedDiff,
    threshold: float,
    noise: Noise,
    on_step: Callable[[State], None] | None = None,
) -> Tensor:
    """The volume (slice, c, row, column) that RED-diff with coupled slices ends with.

    start       of the search, a pseudo-inverse
    grid        (n,)   falling levels above 0, one Adam step for each
    options     weight of the prior, learning rate
    threshold   of the total variation along slices, network unit; 0: that of `medidiff.diffusion.reddiff.red_diff`

        m <- m - Adam(A^T (A m - y) / sy^2 + lam w (e(m + sigma z, sigma) - z))
        m <- prox of rate/first rate · threshold |D_z m|_1
    """
    m, dual = start.clone(), torch.zeros_like(start)
    adam = torch.optim.Adam([m], lr=options.learning_rate, betas=(0.9, 0.99))
    for index, level in enumerate(grid.tolist()):
        share = min(1.0, (1 - index / len(grid)) / 0.3)
        adam.param_groups[0]["lr"] = options.learning_rate * share
        sigma = torch.full((len(m),), level, dtype=torch.float64, device=m.device)
        with torch.no_grad():
            m.grad = options.gradient(denoiser, measurement, m, sigma=sigma, z=noise(index, m, 1))
            adam.step()
            if threshold > 0 and len(m) > 1:
                smooth, dual = prox_along_z(m, share * threshold, dual)
                m.copy_(smooth)
        if on_step:
            on_step(State(m.clone(), index + 1))
    return m


def prox_along_z(v: Tensor, threshold: float, dual: Tensor, *, iterations: int = PROX_ITERATIONS) -> tuple[Tensor, Tensor]:
    """The x that minimises  1/2 |x - v|^2 + threshold |D_z x|_1,  and its dual.

    v      (slice, ...)
    dual   as v            to start from; 0 at first

        p <- clip(p + 1/4 D_z (v - D_z^T p), +- threshold);   x = v - D_z^T p      (Chambolle 2004)
    """
    p = dual
    for _ in range(iterations):
        p = (p + 0.25 * difference_z(v - difference_z_adjoint(p))).clamp(-threshold, threshold)
    return v - difference_z_adjoint(p), p
