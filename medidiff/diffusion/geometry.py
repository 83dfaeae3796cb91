"""What a denoiser's Jacobian tells: whether the network is the gradient of a density, and how many directions the data have."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from medidiff.diffusion.denoiser import Denoiser
from medidiff.diffusion.jacobian import axes, pullback, signs, trace
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.process import per_item


def asymmetry(denoiser: Denoiser, u: Tensor, sigma: Tensor, *, probes: int = 4, noise: Noise = Noise(0)) -> float:  # noqa: B008
    """|J - J^T| / |J| (Frobenius) averaged over the batch: 0 for the gradient of a density, as J is then symmetric.

    u        (b, *event)   states at the levels sigma (b,)
    probes   pairs of random vectors; each pair costs two backward passes

        E (v^T J w - w^T J v)^2 = |J - J^T|^2,     E (v^T J w)^2 = |J|^2     for independent standard normal v, w

    Rules that use J (PiGDM, TMPD, MMPS) are safe only where this is small; trained networks reach .2 to .5.
    """
    _, pull = pullback(denoiser, u, sigma)
    difference, size = 0.0, 0.0
    for index in range(probes):
        v, w = noise(0, u, draw=f"v-{index}"), noise(0, u, draw=f"w-{index}")
        one, other = (pull(v) * w).flatten(1).sum(1), (pull(w) * v).flatten(1).sum(1)
        difference += float(((one - other) ** 2).mean())
        size += float((one**2 + other**2).mean()) / 2
    return (difference / size) ** 0.5


def asymmetry_by_level(
    denoiser: Denoiser, x0: Tensor, edges: Sequence[float], *, probes: int = 4, seed: int = 0
) -> tuple[float, ...]:
    """`asymmetry` at the middle of every bin of the noise level, on data with fresh noise: what a prior's card says.

    x0      (b, c, *space)   held-out data
    edges   n + 1 levels around n bins
    """
    noise = Noise(seed)
    found = []
    for index, (low, high) in enumerate(pairwise(edges)):
        sigma = torch.full((len(x0),), (low * high) ** 0.5, dtype=torch.float64, device=x0.device)
        u = x0 + per_item(sigma, x0) * noise(index, x0)
        found.append(asymmetry(denoiser, u, sigma, probes=probes, noise=noise))
    return tuple(found)


def local_dimension(denoiser: Denoiser, u: Tensor, sigma: Tensor, *, probes: int | None = None, seed: int = 0) -> Tensor:
    """tr J of every item, (b,): the number of directions in which the data vary on a scale above sigma.

    u        (b, *event)   noisy states at the levels sigma (b,), noise std << sigma << signal std
    probes   random signs; None: all axes, exact, for states of few elements

        tr J = sum_i l_i / (l_i + sigma^2)   for a Gaussian with variances l
    """
    vectors = axes(u) if probes is None else signs(u, probes, Noise(seed))
    return trace(pullback(denoiser, u, sigma)[1], vectors)
