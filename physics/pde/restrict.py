"""Trajectories on coarser grids: averages of cells, every n-th point, or the approximation band of a wavelet."""

import torch
from torch import Tensor

from physics.wavelet.transform import Wavelet


def cell_average(u: Tensor, factor: int, *, axes: tuple[int, ...] = (-1,)) -> Tensor:
    """Means of `factor` neighbouring cells along negative axes: what finite volumes hold; sums over the domain are kept."""
    for axis in axes:
        _check(u, factor, axis)
        u = u.unflatten(axis, (-1, factor)).mean(dim=axis)
    return u


def subsample(u: Tensor, factor: int, *, axes: tuple[int, ...] = (-1,)) -> Tensor:
    """Every factor-th value along negative axes, the last of each group: the frames that end coarse intervals."""
    for axis in axes:
        _check(u, factor, axis)
        u = u.index_select(axis, torch.arange(factor - 1, u.shape[axis], factor, device=u.device))
    return u


def wavelet_restrict(u: Tensor, wavelet: Wavelet) -> Tensor:
    """Approximation band over 2^(d/2): half the points along the wavelet's d axes, constants kept; Haar gives cell averages.

    u         (b, field, *space)
    wavelet   of one level       raises ValueError for more
    """
    if wavelet.levels != 1:
        raise ValueError(f"wavelet_restrict: the wavelet has {wavelet.levels} levels; expected 1. Restrict repeatedly.")
    count = len(wavelet.bands)
    return wavelet.forward(u)[:, ::count] / count**0.5


def _check(u: Tensor, factor: int, axis: int) -> None:
    if factor < 1 or u.shape[axis] % factor:
        raise ValueError(f"axis {axis} has {u.shape[axis]} points; a restriction by {factor} needs a multiple of it.")
