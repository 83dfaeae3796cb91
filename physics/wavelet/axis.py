"""One level of a wavelet transform along one axis: a matrix while the axis is short, a strided convolution where it is long."""

from functools import cache

import numpy as np
import pywt
import torch
from torch import Tensor
from torch.nn import functional

from physics.wavelet.filters import coefficients, taps

LONGEST_DENSE = 256  # points; above, a convolution is faster than the matrix


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
    return _convolve(u.movedim(axis, -1), family, mode).movedim(-1, axis)


def synthesise(w: Tensor, family: str, mode: str, *, axis: int, size: int) -> Tensor:
    """The `size` points along a negative `axis` of the coefficients that `analyse` gives."""
    if size <= LONGEST_DENSE:
        return _multiply(_matrices(size, family, mode, w.dtype, w.device)[1], w, axis)
    return _spread(w.movedim(axis, -1), family, mode, size=size).movedim(-1, axis)


def analyse_adjoint(w: Tensor, family: str, mode: str, *, axis: int, size: int) -> Tensor:
    """Wᵀ w along a negative `axis`."""
    if size <= LONGEST_DENSE:
        return _multiply(_matrices(size, family, mode, w.dtype, w.device)[0].T, w, axis)
    return _convolve_adjoint(w.movedim(axis, -1), family, mode, size=size).movedim(-1, axis)


def synthesise_adjoint(u: Tensor, family: str, mode: str, *, axis: int) -> Tensor:
    """Sᵀ u along a negative `axis`: what a gradient with respect to u becomes with respect to the coefficients."""
    size = u.shape[axis]
    if size <= LONGEST_DENSE:
        return _multiply(_matrices(size, family, mode, u.dtype, u.device)[1].T, u, axis)
    return _spread_adjoint(u.movedim(axis, -1), family, mode).movedim(-1, axis)


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


@cache
def _filters(family: str, is_synthesis: bool, dtype: torch.dtype, device: torch.device) -> Tensor:
    """(2, 1, taps): low and high pass, as `conv1d` (which correlates) and `conv_transpose1d` want them."""
    wavelet = pywt.Wavelet(family)
    rows = (wavelet.rec_lo, wavelet.rec_hi) if is_synthesis else (wavelet.dec_lo[::-1], wavelet.dec_hi[::-1])
    return torch.tensor(np.array(rows), dtype=dtype, device=device)[:, None]


def _convolve(u: Tensor, family: str, mode: str) -> Tensor:
    """cA[k] = Σ_j h[j] u[2 k + s - j] along the last axis, with s = taps/2 in periodization, else 1."""
    size = u.shape[-1]
    left, right = _margins(size, family, mode)
    flat = u.reshape(-1, 1, size)
    flat = functional.pad(flat, (left, right)) if mode == "zero" else flat[..., _places(size, left, right, mode).to(u.device)]
    bands = functional.conv1d(flat, _filters(family, False, u.dtype, u.device), stride=2)
    return bands.reshape(*u.shape[:-1], -1)


def _convolve_adjoint(w: Tensor, family: str, mode: str, *, size: int) -> Tensor:
    """The transpose of `_convolve`: what stands beyond the ends is added to the point it was a copy of."""
    left, right = _margins(size, family, mode)
    flat = w.reshape(-1, 2, w.shape[-1] // 2)
    long = functional.conv_transpose1d(flat, _filters(family, False, w.dtype, w.device), stride=2)
    if mode == "zero":
        return long[..., left : left + size].reshape(*w.shape[:-1], size)
    short = long.new_zeros((len(long), 1, size)).index_add(-1, _places(size, left, right, mode).to(w.device), long)
    return short.reshape(*w.shape[:-1], size)


def _spread(w: Tensor, family: str, mode: str, *, size: int) -> Tensor:
    """u[i] = Σ_k g[i - 2 k + s] w[k] along the last axis, with s = taps/2 - 1 in periodization, else taps - 2."""
    flat, length = w.reshape(-1, 2, w.shape[-1] // 2), taps(family)
    start = length - 2
    if mode == "periodization":
        flat = flat[..., _places(flat.shape[-1], length // 2, length // 2, mode).to(w.device)]
        start = length + length // 2 - 1
    u = functional.conv_transpose1d(flat, _filters(family, True, w.dtype, w.device), stride=2)
    return u[..., start : start + size].reshape(*w.shape[:-1], size)


def _spread_adjoint(u: Tensor, family: str, mode: str) -> Tensor:
    """The transpose of `_spread`."""
    size, length = u.shape[-1], taps(family)
    count, margin = coefficients(size, family, mode), length // 2 if mode == "periodization" else 0
    start = length + margin - 1 if margin else length - 2
    long = functional.pad(u.reshape(-1, 1, size), (start, 2 * (count + 2 * margin - 1) + length - start - size))
    w = functional.conv1d(long, _filters(family, True, u.dtype, u.device), stride=2)
    if margin:
        places = _places(count, margin, margin, mode).to(u.device)
        w = w.new_zeros((len(w), 2, count)).index_add(-1, places, w)
    return w.reshape(*u.shape[:-1], 2 * count)


def _margins(size: int, family: str, mode: str) -> tuple[int, int]:
    """How far the filters reach beyond the first and the last point."""
    length, count = taps(family), coefficients(size, family, mode)
    left = length - 1 - (length // 2 if mode == "periodization" else 1)
    return left, 2 * (count - 1) + length - left - size


@cache
def _places(size: int, left: int, right: int, mode: str) -> Tensor:
    """Of an axis continued beyond its ends, which of its points each place is a copy of."""
    return torch.as_tensor(np.pad(np.arange(size), (left, right), mode="wrap" if mode == "periodization" else "symmetric"))
