"""Images from k-space without a prior: zeros for what is missing, or least squares over coils."""

import torch
from torch import Tensor

from physics.operator import LinearOperator
from physics.solvers.conjugate_gradient import conjugate_gradient


def reconstruct_zero_filled(operator: LinearOperator, y: Tensor) -> Tensor:
    """A^H y, the image (*batch, *domain) with zeros for what was not measured; exact where all of k-space was."""
    return operator.adjoint(y)


def reconstruct_density_compensated(operator: LinearOperator, y: Tensor, weights: Tensor) -> Tensor:
    """row · column A^H (w y): the adjoint image of a trajectory, each sample weighted by the area that it stands for.

    y         (*batch, coil, spoke, sample)
    weights   (spoke, sample)   area of k-space, of all of which is 1; `trajectory.radial_density`
    """
    rows, columns = operator.domain[-2:]
    return rows * columns * operator.adjoint(weights.to(y) * y)


def reconstruct_sense(operator: LinearOperator, y: Tensor, *, iterations: int = 30, ridge: float = 1e-3) -> Tensor:
    """The images (*batch, *domain) of least squares over all coils by conjugate gradients from 0 (Pruessmann 2001).

    operator     A, `CartesianMRI` or `NonCartesianMRI`
    y            (*batch, *range)
    iterations   of conjugate gradients over the whole batch, each one product with A^H A
    ridge        share of |A|^2; 0 for plain least squares

        minimises  |A x - y|^2 + ridge |A|^2 |x|^2

    ValueError for a negative ridge.
    """
    if not ridge >= 0:
        raise ValueError(f"ridge: found {ridge}, expected 0 or more; 1e-3 is usual.")
    weight = ridge * operator.norm**2 if ridge else 0.0
    b = operator.adjoint(y)
    return conjugate_gradient(lambda x: operator.normal(x) + weight * x, b, torch.zeros_like(b), iterations=iterations)
