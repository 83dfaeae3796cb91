"""Least squares by conjugate gradients, ended early: few iterations are the regularisation."""

import torch
from torch import Tensor

from physics.operator import LinearOperator
from physics.solvers.conjugate_gradient import conjugate_gradient


def reconstruct_cgls(operator: LinearOperator, y: Tensor, *, iterations: int) -> Tensor:
    """The image (*batch, *domain) after so many CGLS iterations on |A x - y|^2 from x = 0, one step length for the batch.

    y            (*batch, *range)
    iterations   12 or so; more of them fit the noise

    Conjugate gradients on  A^H A x = A^H y  (Björck 1996, section 7.4). ValueError when the adjoint is not the transpose.
    """
    back = operator.adjoint(y)
    return conjugate_gradient(operator.normal, back, torch.zeros_like(back), iterations=iterations)
