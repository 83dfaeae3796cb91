"""The simultaneous iterative reconstruction technique: slow, hard to break."""

import torch
from torch import Tensor

from physics.operator import LinearOperator


def reconstruct_sirt(operator: LinearOperator, y: Tensor, *, iterations: int, nonnegative: bool) -> Tensor:
    """The image (*batch, *domain) after so many SIRT iterations from x = 0.

    operator      real, with entries that are not negative
    y             (*batch, *range)
    nonnegative   clip the image to 0 and above after each iteration

        x <- x + C A^T R (y - A x),    R = 1 / row sums of A,   C = 1 / column sums of A

    Gilbert 1972; van der Sluis and van der Vorst 1990. Rays that meet no pixel and pixels that meet no ray stay out.
    ValueError for a complex operator.
    """
    if operator.is_complex:
        raise ValueError("SIRT: found a complex operator, expected a real one without negative entries. Use CGLS.")
    ones = y.new_ones(())
    rows = _inverse(operator.forward(ones.expand(operator.domain).contiguous()))
    columns = _inverse(operator.adjoint(ones.expand(operator.range).contiguous()))
    x = torch.zeros_like(operator.adjoint(y))
    for _ in range(iterations):
        x = x + columns * operator.adjoint(rows * (y - operator.forward(x)))
        if nonnegative:
            x = x.clamp(min=0)
    return x


def _inverse(sums: Tensor) -> Tensor:
    """One over the sums, 0 where a sum is 0 to rounding."""
    is_seen = sums > 1e-6 * sums.max()
    return torch.where(is_seen, 1 / torch.where(is_seen, sums, 1.0), 0.0)
