"""Differences between neighbours: along the slices of a volume, and along all three of its axes."""

import torch
from torch import Tensor

AXES = (0, -2, -1)  # slice, row, column of (slice, 1, row, column) and of (slice, row, column)


def difference_z(x: Tensor, *, periodic: bool = False) -> Tensor:
    """Next slice minus this one, as `x`; the last one is 0, or the first slice minus the last when `periodic`.

    x   (slice, *any)
    """
    return _forward(x, 0, periodic)


def difference_z_adjoint(w: Tensor, *, periodic: bool = False) -> Tensor:
    """The exact transpose of `difference_z`, as `w`."""
    return _adjoint(w, 0, periodic)


def gradient(x: Tensor) -> Tensor:
    """Differences along slices, rows and columns, (3, *x.shape); 0 at the far faces.

    x   (slice, *any, row, column)
    """
    return torch.stack([_forward(x, axis, False) for axis in AXES])


def gradient_adjoint(w: Tensor) -> Tensor:
    """The exact transpose of `gradient`: minus the divergence, as w[0]."""
    return sum(_adjoint(part, axis, False) for part, axis in zip(w, AXES))


def _forward(x: Tensor, axis: int, periodic: bool) -> Tensor:
    if periodic:
        return x.roll(-1, axis) - x
    out = torch.zeros_like(x)
    count = x.shape[axis] - 1
    out.narrow(axis, 0, count).copy_(x.narrow(axis, 1, count) - x.narrow(axis, 0, count))
    return out


def _adjoint(w: Tensor, axis: int, periodic: bool) -> Tensor:
    if periodic:
        return w.roll(1, axis) - w
    out = torch.zeros_like(w)
    count = w.shape[axis] - 1
    inner = w.narrow(axis, 0, count)
    out.narrow(axis, 0, count).sub_(inner)
    out.narrow(axis, 1, count).add_(inner)
    return out
