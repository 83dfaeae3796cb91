"""Conjugate gradients for one system, be it as large as a volume: real or complex, started anywhere."""

from collections.abc import Callable

import torch
from torch import Tensor


def conjugate_gradient(
    apply: Callable[[Tensor], Tensor], b: Tensor, x: Tensor, *, iterations: int, tolerance: float = 0.0
) -> Tensor:
    """The solution of H x = b after so many steps, for symmetric (Hermitian) H >= 0; as `b`.

    apply        x -> H x
    b            any shape, real or complex
    x            where to start, as `b`
    iterations   at most so many products with H, besides the first
    tolerance    stop at |b - H x| <= tolerance |b|

    The inner product is Re <p, q> over the whole tensor, so that a volume has one step length and complex images converge
    (Hestenes and Stiefel 1952). ValueError where p^H H p < 0, since then the adjoint behind H is not the transpose of its
    forward, and where a value is not finite.
    """
    r = b - apply(x)
    p, rr = r, inner(r, r)
    rounding = 10 * torch.finfo(b.dtype).eps
    goal = max(tolerance, rounding) ** 2 * inner(b, b)
    for _ in range(iterations):
        if rr <= goal:
            break
        q = apply(p)
        curvature = inner(p, q)
        size = (inner(p, p) * inner(q, q)) ** 0.5
        if not curvature >= -rounding * size:
            raise ValueError(
                f"conjugate gradients: found p^H H p = {curvature:.3g}, expected more than 0. Either the operator is unmatched "
                f"(measure it with physics.laws.adjoint_error, and use the exact transpose), or the data are not finite."
            )
        if curvature <= rounding * size:
            break  # H is singular along p: the least-norm correction is reached
        step = rr / curvature
        x, r = x + step * p, r - step * q
        new = inner(r, r)
        p, rr = r + (new / rr) * p, new
    return x


def inner(a: Tensor, b: Tensor) -> float:
    """Re <a, b> over all entries, summed in double precision."""
    if a.is_complex():
        a, b = torch.view_as_real(a), torch.view_as_real(b)
    return float((a * b).sum(dtype=torch.float64))
