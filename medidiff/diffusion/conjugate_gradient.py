"""Conjugate gradients for a batch of systems at once: every item stops by itself, real or complex, and says when it failed."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from medidiff.diffusion.process import per_item


@dataclass(frozen=True)
class Solution:
    """What conjugate gradients found, item by item."""

    x: Tensor  # as the right-hand side
    residual: Tensor  # (b,) |b - M x| / |b|, 0 where b = 0
    iterations: Tensor  # (b,) products with M that were used
    negative_curvature: Tensor  # (b,) M is not positive there: x is the last iterate before the bad direction


def conjugate_gradient(apply: Callable[[Tensor], Tensor], b: Tensor, *, iterations: int, tolerance: float = 1e-6) -> Solution:
    """The solution of M x = b from x = 0, for symmetric (Hermitian) M >= 0.

    apply        x -> M x, item by item, (b, *any)
    b            (b, *any)    real, or complex with the real inner product Re <p, q>
    iterations   at most so many products
    tolerance    an item stops at |b - M x| <= tolerance |b|

    An item also stops where <p, M p> is 0 to the rounding of M p (M singular: x is then the least-norm solution), and where it is
    negative, which `Solution.negative_curvature` reports. Items never influence each other (Hestenes and Stiefel 1952).
    """
    x, r, p = torch.zeros_like(b), b, b
    rr = first = inner(b, b)
    rounding, norm = 10 * torch.finfo(b.dtype).eps, torch.zeros_like(first)
    goal = max(tolerance, rounding) ** 2 * first  # below the rounding of b there is nothing to find but noise
    negative, used = torch.zeros_like(first, dtype=torch.bool), torch.zeros_like(first, dtype=torch.long)
    active = rr > goal
    for _ in range(iterations):
        if not bool(active.any()):
            break
        q = apply(p)
        curvature, length = inner(p, q), inner(p, p)
        norm = torch.maximum(norm, torch.where(active, torch.sqrt(inner(q, q) / length), 0.0))  # of M, from below
        flat = rounding * norm * length
        negative |= active & (curvature < -flat)
        active = active & (curvature > flat)
        used += active
        step = torch.where(active, rr / curvature, 0.0)
        x, r = x + per_item(step, p) * p, r - per_item(step, p) * q
        new = inner(r, r)
        p = r + per_item(torch.where(active, new / rr, 0.0), p) * p
        rr = torch.where(active, new, rr)
        active = active & (rr > goal)
    residual = torch.sqrt(torch.where(first > 0, rr / first, 0.0))
    return Solution(x, residual, used, negative)


def inner(a: Tensor, b: Tensor) -> Tensor:
    """Re <a, b> of every item, (b,) float64."""
    product = (a.conj() * b).real if a.is_complex() else a * b
    return product.flatten(1).sum(1, dtype=torch.float64)
