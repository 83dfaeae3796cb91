"""How much of an image no measurement speaks for: the part in the null space of the operator is the prior's word alone.

    P = A^+ A    projects on what is measured,   I - P    on what is not

P is found by conjugate gradients, so directions that are measured too weakly for the given number of iterations count as
unmeasured: more iterations move energy from the null part to the measured one, never back.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from medidiff.diffusion.conjugate_gradient import conjugate_gradient
from physics.operator import LinearOperator

ITERATIONS, TOLERANCE = 100, 1e-6


@dataclass(frozen=True)
class ErrorShares:
    """Where the error of a reconstruction lies; the shares add up to 1."""

    measured: float  # |P e|^2 / |e|^2: contradicts or misses the data
    null: float  # |(I - P) e|^2 / |e|^2: no measurement could have told


def measured_part(operator: LinearOperator, x: Tensor, *, iterations: int = ITERATIONS, tolerance: float = TOLERANCE) -> Tensor:
    """P x = A^+ A x, what the measurements of `operator` say of the images x (slice, *domain), real or complex.

    The least-norm solution of  A^H A p = A^H A x,  slice by slice, from p = 0 (Hestenes and Stiefel 1952).
    """
    return conjugate_gradient(operator.normal, operator.normal(x), iterations=iterations, tolerance=tolerance).x


def null_part(operator: LinearOperator, x: Tensor, *, iterations: int = ITERATIONS, tolerance: float = TOLERANCE) -> Tensor:
    """(I - P) x, what no measurement supports, as x (slice, *domain)."""
    return x - measured_part(operator, x, iterations=iterations, tolerance=tolerance)


def null_energy(operator: LinearOperator, x: Tensor, baseline: Tensor, *, iterations: int = ITERATIONS) -> float:
    """|(I - P)(x - baseline)| / |x|: how much of the picture is neither in the data nor in the baseline; 0 for x = 0.

    x, baseline   (slice, *domain), such as the result of a prior and of total variation
    """
    size = float(torch.linalg.vector_norm(x))
    return float(torch.linalg.vector_norm(null_part(operator, x - baseline, iterations=iterations))) / size if size else 0.0


def split_error(operator: LinearOperator, x: Tensor, truth: Tensor, *, iterations: int = ITERATIONS) -> ErrorShares:
    """The shares of |x - truth|^2 in the measured and in the null part; both NaN for a perfect x.

    x, truth   (slice, *domain)

    Shares are of |P e|^2 + |(I - P) e|^2, which is |e|^2 once the conjugate gradients have converged.
    """
    error = x - truth
    measured = measured_part(operator, error, iterations=iterations)
    seen, unseen = (float(torch.linalg.vector_norm(part)) ** 2 for part in (measured, error - measured))
    whole = seen + unseen
    return ErrorShares(seen / whole, unseen / whole) if whole else ErrorShares(float("nan"), float("nan"))
