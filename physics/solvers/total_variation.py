"""Least squares with total variation in three dimensions, by the alternating direction method of multipliers (ADMM)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from physics.operator import LinearOperator
from physics.solvers.cgls import reconstruct_cgls
from physics.solvers.conjugate_gradient import conjugate_gradient
from physics.solvers.differences import gradient, gradient_adjoint

INNER = 6  # conjugate gradient steps per iteration, each from the image before
RELAXATION = 1.6  # Eckstein and Bertsekas 1992: 1.5 to 1.8
EDGE = 0.03  # first threshold, as a share of the image's range
BALANCE_EVERY, BALANCE_AT = 10, 5.0  # when, and from which ratio of the residuals on, the penalty is changed


@dataclass(frozen=True, eq=False)
class Minimum:
    """Where ADMM stopped."""

    x: Tensor  # the image
    dual: Tensor  # (3, *x.shape) subgradient of the total variation's term: |dual| <= weight everywhere
    sign_dual: Tensor | None  # of x >= 0: nowhere above 0


def reconstruct_tv(
    operator: LinearOperator,
    y: Tensor,
    *,
    weight: float,
    iterations: int = 60,
    start: Tensor | None = None,
    nonnegative: bool = False,
) -> Tensor:
    """The image (slice, *domain) of least squares with isotropic total variation; see `minimise_tv`."""
    return minimise_tv(operator, y, weight=weight, iterations=iterations, start=start, nonnegative=nonnegative).x


def minimise_tv(
    operator: LinearOperator,
    y: Tensor,
    *,
    weight: float,
    iterations: int = 60,
    start: Tensor | None = None,
    nonnegative: bool = False,
) -> Minimum:
    """The minimum, to the accuracy of so many iterations, of

        1/2 |A x - y|^2 + weight · sum over voxels of |differences of x to the next slice, row and column|

    operator      images (*, row, column), real or complex
    y             (slice, *range)
    weight        0 and up, unit of x; with 0 it is CGLS
    start         (slice, *domain)   None: 10 iterations of CGLS
    nonnegative   keep a real image at 0 and above

    Boyd et al. 2011 (section 3.1) with over-relaxation (3.4.3) and balanced residuals (3.4.1); the penalty changes in the
    first half only. ValueError for a negative weight, a complex image that is to be at 0 and above, and when the adjoint is
    not the transpose.
    """
    if not weight >= 0:
        raise ValueError(f"total variation: found weight {weight}, expected 0 or more")
    if nonnegative and operator.is_complex:
        raise ValueError("total variation: found a complex operator with nonnegative, expected a real one. Leave it out.")
    if weight == 0 and not nonnegative:
        x = reconstruct_cgls(operator, y, iterations=iterations)
        return Minimum(x, torch.zeros_like(gradient(x)), None)
    x = reconstruct_cgls(operator, y, iterations=10) if start is None else start
    return _alternate(operator, y, x, weight=weight, iterations=iterations, nonnegative=nonnegative)


def objective(operator: LinearOperator, y: Tensor, x: Tensor, *, weight: float) -> float:
    """What `minimise_tv` makes small, at x."""
    misfit = (operator.forward(x) - y).abs().double().square().sum() / 2
    return float(misfit + weight * lengths(gradient(x)).double().sum())


def lengths(w: Tensor) -> Tensor:
    """Euclidean length over the three directions, w.shape[1:], real."""
    return w.abs().square().sum(dim=0).sqrt()


def _alternate(operator: LinearOperator, y: Tensor, x: Tensor, *, weight: float, iterations: int, nonnegative: bool) -> Minimum:
    back = operator.adjoint(y)
    edge = EDGE * (_range(x) or _range(reconstruct_cgls(operator, y, iterations=1)))
    penalty = weight / max(edge, 1e-12) if weight > 0 else 0.1
    w = gradient(x)
    u, v = torch.zeros_like(w), x.clamp(min=0) if nonnegative else None
    s = torch.zeros_like(x)  # scaled multiplier of x = v
    for iteration in range(1, iterations + 1):
        x = _least_squares(operator, back, x, splits=(w - u, None if v is None else v - s), penalty=penalty)
        slope, before = gradient(x), w
        relaxed = RELAXATION * slope + (1 - RELAXATION) * w
        w = shrink(relaxed + u, weight / penalty)
        u = u + relaxed - w
        if nonnegative:
            v = (x + s).clamp(min=0)
            s = s + x - v
        if iteration % BALANCE_EVERY == 0 and iteration <= iterations // 2:
            factor = _balance(slope - w, penalty * gradient_adjoint(w - before))
            penalty, u, s = penalty * factor, u / factor, s / factor
    return Minimum(x if v is None else v, penalty * u, penalty * s if nonnegative else None)


def _least_squares(operator: LinearOperator, back: Tensor, x: Tensor, *, splits: tuple, penalty: float) -> Tensor:
    """The x of |A x - y|^2 + penalty |D x - first split|^2 + penalty |x - second split|^2, a few steps nearer."""
    slopes, signs = splits
    b = back + penalty * gradient_adjoint(slopes)
    if signs is not None:
        b = b + penalty * signs

    def system(p: Tensor) -> Tensor:
        out = operator.normal(p) + penalty * gradient_adjoint(gradient(p))
        return out if signs is None else out + penalty * p

    return conjugate_gradient(system, b, x, iterations=INNER)


def shrink(w: Tensor, threshold: float) -> Tensor:
    """Every 3-vector shortened by the threshold, to 0 at most."""
    size = lengths(w)
    return w * (1 - threshold / size.clamp(min=threshold)) if threshold > 0 else w


def _balance(primal: Tensor, dual: Tensor) -> float:
    """2, 1/2 or 1: what to multiply the penalty with, so that neither residual lags far behind."""
    p, d = float(primal.norm()), float(dual.norm())
    return 2.0 if p > BALANCE_AT * d else 0.5 if d > BALANCE_AT * p else 1.0


def _range(x: Tensor) -> float:
    """The distance from the smallest to the largest value, of the modulus where the image is complex."""
    size = x.abs() if x.is_complex() else x
    return float(size.max() - size.min())
