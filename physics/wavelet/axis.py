"""One level of a wavelet transform along one axis: a matrix while the axis is short, windows where it is long."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pywt
import torch
from torch import Tensor

from physics.wavelet import windows

LONGEST_DENSE = 64  # points; above, products of short windows are faster than the whole matrix


def wavelet_matrix(size: int, family: str, mode: str) -> tuple[Tensor, Tensor]:
    """The analysis matrix W (2 m, n) and the synthesis matrix S (n, 2 m) of one level along an axis, float64.

    size      n, points of the axis
    family    PyWavelets' name
    mode      zero, symmetric or periodization (then `size` is even)
    returns   W, S; the first m rows of W and columns of S are the approximation, the others the detail

        w = W u,  u = S w,  S W = 1

    Each is PyWavelets' transform of the identity, so equal to it by construction. S = Wᵀ for orthogonal families in
    periodization alone.
    """
    return _matrices(size, family, mode, torch.float64, torch.device("cpu"))


def analyse(u: Tensor, family: str, mode: str, *, axis: int) -> Tensor:
    """Coefficients along a negative `axis`: m of the approximation, then m of the detail."""
    size = u.shape[axis]
    if size <= LONGEST_DENSE:
        return _multiply(_matrices(size, family, mode, u.dtype, u.device)[0], u, axis)
    return _along(axis, u, lambda x: windows.analyse(x, family, mode))


def synthesise(w: Tensor, family: str, mode: str, *, axis: int, size: int) -> Tensor:
    """The `size` points along a negative `axis` of the coefficients that `analyse` gives."""
    if size <= LONGEST_DENSE:
        return _multiply(_matrices(size, family, mode, w.dtype, w.device)[1], w, axis)
    return _along(axis, w, lambda x: windows.synthesise(x, family, mode, size=size))


def analyse_adjoint(w: Tensor, family: str, mode: str, *, axis: int, size: int) -> Tensor:
    """Wᵀ w along a negative `axis`."""
    if size <= LONGEST_DENSE:
        return _multiply(_matrices(size, family, mode, w.dtype, w.device)[0].T, w, axis)
    return _along(axis, w, lambda x: windows.analyse_adjoint(x, family, mode, size=size))


def synthesise_adjoint(u: Tensor, family: str, mode: str, *, axis: int) -> Tensor:
    """Sᵀ u along a negative `axis`: what a gradient with respect to u becomes with respect to the coefficients."""
    size = u.shape[axis]
    if size <= LONGEST_DENSE:
        return _multiply(_matrices(size, family, mode, u.dtype, u.device)[1].T, u, axis)
    return _along(axis, u, lambda x: windows.synthesise_adjoint(x, family, mode))


@cache
def _matrices(size: int, family: str, mode: str, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    forward = np.concatenate(pywt.dwt(np.eye(size), family, mode, axis=0))
    half = len(forward) // 2
    identity = np.eye(2 * half)
    inverse = pywt.idwt(identity[:half], identity[half:], family, mode, axis=0)[:size]
    return torch.tensor(forward, dtype=dtype, device=device), torch.tensor(inverse, dtype=dtype, device=device)


def _multiply(matrix: Tensor, u: Tensor, axis: int) -> Tensor:
    if axis == -1:
        return u @ matrix.T
    return (matrix @ u.movedim(axis, -2)).movedim(-2, axis) if axis != -2 else matrix @ u


def _along(axis: int, u: Tensor, transform: Callable[[Tensor], Tensor]) -> Tensor:
    """A transform of the middle axis of (b, n, y), along any negative axis."""
    place = u.ndim + axis
    lead, trail = u.shape[:place], u.shape[place + 1 :]
    found = transform(u.reshape(lead.numel(), u.shape[place], trail.numel()))
    return found.reshape(*lead, found.shape[1], *trail)
