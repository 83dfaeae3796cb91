"""Least squares by conjugate gradients, ended early: few iterations are the regularisation."""

from collections.abc import Sequence

import torch
from torch import Tensor

from physics.operator import LinearOperator
from physics.solvers.conjugate_gradient import conjugate_gradient


def reconstruct_cgls(operator: LinearOperator, y: Tensor, *, iterations: int) -> Tensor:
    """The image (*batch, *domain) after so many CGLS iterations on |A x - y|^2 from x = 0, one step length for the batch.

    y            (*batch, *range)
    iterations   12 or so; more of them fit the noise

    Björck 1996, algorithm 7.4.1. ValueError when the adjoint is not the transpose.
    """
    back = operator.adjoint(y)
    return conjugate_gradient(operator.normal, back, torch.zeros_like(back), iterations=iterations)


def reconstruct_by_discrepancy(
    operator: LinearOperator, y: Tensor, *, noise_std: float, counts: Sequence[int] = (2, 4, 8, 16, 32, 64)
) -> tuple[Tensor, int]:
    """The image of the smallest iteration count whose residual has the size of the noise, and that count.

    noise_std   standard deviation of each entry of `y`
    counts      tried in this order; the last one is taken when none reaches the noise

        |A x - y|^2 <= entries of y · noise_std^2        (Morozov 1966)
    """
    limit = noise_std * y.numel() ** 0.5
    for count in counts:
        x = reconstruct_cgls(operator, y, iterations=count)
        if float((operator.forward(x) - y).norm()) <= limit:
            break
    return x, count
