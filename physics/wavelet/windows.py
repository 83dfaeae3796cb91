"""A filter bank with stride 2 along a long axis: short windows, each multiplied by one small matrix."""

from functools import cache

import numpy as np
import pywt
import torch
from torch import Tensor
from torch.nn import functional

from physics.wavelet.filters import coefficients, taps

BLOCK = 8  # coefficients of a band that one product gives: windows of 2 BLOCK + taps - 2 points


def analyse(u: Tensor, family: str, mode: str) -> Tensor:
    """Coefficients (b, 2 m, y) along the middle axis of (b, n, y):  c[k] = Σ_j h[j] u[2 k + s - j], s = taps/2 or 1."""
    size = u.shape[1]
    left, right = _margins(size, family, mode)
    return _down(_continued(u, left, right, mode), coefficients(size, family, mode), family, is_synthesis=False, start=0)


def analyse_plane(u: Tensor, family: str, mode: str) -> Tensor:
    """All four bands (b, 4, x, y) of both axes of (b, x, y) at once: faster for filters of few taps, as no band is copied."""
    sizes = u.shape[1:]
    for axis, size in zip((1, 2), sizes):
        left, right = _margins(size, family, mode)
        u = _continued(u.transpose(1, axis), left, right, mode).transpose(1, axis)
    return functional.conv2d(u.unsqueeze(1), _plane_filters(family, False, u.dtype, u.device), stride=2)


def synthesise_plane(w: Tensor, family: str, mode: str, *, sizes: tuple[int, ...]) -> Tensor:
    """Points (b, *sizes) of the four bands (b, 4, x, y) of both axes, at once."""
    margin, start = _reach(family, mode)
    flat = w.flatten(0, 1)
    for axis in (1, 2):
        flat = _continued(flat.transpose(1, axis), margin, margin, mode).transpose(1, axis)
    filters = _plane_filters(family, True, w.dtype, w.device)
    u = functional.conv_transpose2d(flat.unflatten(0, (-1, 4)), filters, stride=2)[:, 0]
    return u[:, start : start + sizes[0], start : start + sizes[1]]


def analyse_adjoint(w: Tensor, family: str, mode: str, *, size: int) -> Tensor:
    """The transpose of `analyse`: what stands beyond the ends is added to the point it was a copy of."""
    left, right = _margins(size, family, mode)
    if mode == "zero":
        return _up(w, size, family, is_synthesis=False, start=left)
    return _folded(_up(w, left + size + right, family, is_synthesis=False, start=0), left, right, mode)


def synthesise(w: Tensor, family: str, mode: str, *, size: int) -> Tensor:
    """Points (b, size, y) of coefficients (b, 2 m, y):  u[i] = Σ_k g[i - 2 k + s] c[k], s = taps/2 - 1 or taps - 2."""
    margin, start = _reach(family, mode)
    if margin:  # the bands are continued, each by itself
        bands = w.unflatten(1, (2, -1)).flatten(0, 1)
        w = _continued(bands, margin, margin, mode).unflatten(0, (-1, 2)).flatten(1, 2)
    return _up(w, size, family, is_synthesis=True, start=start)


def synthesise_adjoint(u: Tensor, family: str, mode: str) -> Tensor:
    """The transpose of `synthesise`."""
    margin, start = _reach(family, mode)
    count = coefficients(u.shape[1], family, mode) + 2 * margin
    w = _down(u, count, family, is_synthesis=True, start=-start)
    if not margin:
        return w
    bands = w.unflatten(1, (2, -1)).flatten(0, 1)
    return _folded(bands, margin, margin, mode).unflatten(0, (-1, 2)).flatten(1, 2)


def _down(x: Tensor, count: int, family: str, *, is_synthesis: bool, start: int) -> Tensor:
    """Σ_j f[j] x[start + 2 k + j] of both filters for k < count, (b, 2 count, y); x is 0 beyond its ends."""
    matrix = _down_matrix(family, is_synthesis, x.dtype, x.device)
    blocks = -(-count // BLOCK)
    y = _products(_part(x, start, 2 * BLOCK * (blocks - 1) + matrix.shape[1]), matrix, step=2 * BLOCK)
    bands = y.unflatten(2, (2, BLOCK)).transpose(1, 2).flatten(2, 3)
    return bands[:, :, :count].flatten(1, 2)


def _up(w: Tensor, size: int, family: str, *, is_synthesis: bool, start: int) -> Tensor:
    """Σ_k f[start + i - 2 k] w[k] of both bands for i < size, (b, size, y): the transpose of `_down`."""
    matrices, first = _up_matrices(family, is_synthesis, start, w.dtype, w.device)
    blocks = -(-size // (2 * BLOCK))
    length = BLOCK * (blocks - 1) + matrices.shape[2]
    low, high = (_products(_part(band, first, length), matrix, step=BLOCK) for band, matrix in zip(w.chunk(2, 1), matrices))
    return (low + high).flatten(1, 2)[:, :size]


def _products(x: Tensor, matrix: Tensor, *, step: int) -> Tensor:
    """The matrix times every window of (b, n, y), `step` apart: (b, window, row, y)."""
    windows = x.unfold(1, matrix.shape[1], step)  # (b, window, y, width), without a copy
    if x.shape[-1] == 1:
        return (windows[:, :, 0].transpose(0, 1) @ matrix.T).transpose(0, 1).unsqueeze(-1)
    return matrix @ windows.mT


def _part(x: Tensor, first: int, length: int) -> Tensor:
    """Points `first` and on of the middle axis, `length` of them, 0 beyond its ends."""
    if first >= 0 and first + length <= x.shape[1]:
        return x.narrow(1, first, length)
    return functional.pad(x, (0, 0, -first, first + length - x.shape[1]))


@cache
def _down_matrix(family: str, is_synthesis: bool, dtype: torch.dtype, device: torch.device) -> Tensor:
    """(2 BLOCK, width): coefficients of the low pass, then of the high pass, of one window."""
    filters = _filters(family, is_synthesis)
    matrix = np.zeros((2, BLOCK, 2 * BLOCK + filters.shape[1] - 2))
    for k in range(BLOCK):
        matrix[:, k, 2 * k : 2 * k + filters.shape[1]] = filters
    return torch.tensor(matrix.reshape(2 * BLOCK, -1), dtype=dtype, device=device)


@cache
def _up_matrices(family: str, is_synthesis: bool, start: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, int]:
    """(2, 2 BLOCK, width) for the windows of either band, and where the first window begins."""
    filters = _filters(family, is_synthesis)
    length = filters.shape[1]
    first, last = -((length - 1 - start) // 2), (start + 2 * BLOCK - 1) // 2
    matrices = np.zeros((2, 2 * BLOCK, last - first + 1))
    for i in range(2 * BLOCK):
        for k in range(first, last + 1):
            if 0 <= start + i - 2 * k < length:
                matrices[:, i, k - first] = filters[:, start + i - 2 * k]
    return torch.tensor(matrices, dtype=dtype, device=device), first


@cache
def _plane_filters(family: str, is_synthesis: bool, dtype: torch.dtype, device: torch.device) -> Tensor:
    """(4, 1, taps, taps): products of the filters of both axes, in the order of the bands."""
    filters = torch.tensor(_filters(family, is_synthesis), dtype=torch.float64)
    planes = torch.einsum("ai,bj->abij", filters, filters).flatten(0, 1).unsqueeze(1)
    return planes.to(device, dtype)


def _filters(family: str, is_synthesis: bool) -> np.ndarray:
    """(2, taps): low and high pass in the order in which they meet the points."""
    wavelet = pywt.Wavelet(family)
    rows = (wavelet.rec_lo, wavelet.rec_hi) if is_synthesis else (wavelet.dec_lo[::-1], wavelet.dec_hi[::-1])
    return np.array(rows)


def _margins(size: int, family: str, mode: str) -> tuple[int, int]:
    """How far the filters of analysis reach beyond the first and the last point."""
    length, count = taps(family), coefficients(size, family, mode)
    left = length - 1 - (length // 2 if mode == "periodization" else 1)
    return left, 2 * (count - 1) + length - left - size


def _reach(family: str, mode: str) -> tuple[int, int]:
    """How many coefficients beyond either end synthesis needs, and which filtered point, counted from them, is the first."""
    length = taps(family)
    margin = length // 4 if mode == "periodization" else 0
    return margin, 2 * margin + (length // 2 - 1 if mode == "periodization" else length - 2)


def _continued(x: Tensor, left: int, right: int, mode: str) -> Tensor:
    """(b, left + n + right, y): the middle axis beyond its ends, as the mode says."""
    if left == right == 0:
        return x
    if mode == "zero":
        return functional.pad(x, (0, 0, left, right))
    before, after = (places.to(x.device) for places in _places(x.shape[1], left, right, mode))
    return torch.cat([x.index_select(1, before), x, x.index_select(1, after)], 1)


def _folded(x: Tensor, left: int, right: int, mode: str) -> Tensor:
    """The transpose of `_continued`."""
    size = x.shape[1] - left - right
    before, after = (places.to(x.device) for places in _places(size, left, right, mode))
    middle = x.narrow(1, left, size).clone()
    return middle.index_add(1, before, x[:, :left]).index_add(1, after, x[:, left + size :])


@cache
def _places(size: int, left: int, right: int, mode: str) -> tuple[Tensor, Tensor]:
    """Of which points the places before the first and behind the last one are copies."""
    places = np.pad(np.arange(size), (left, right), mode="wrap" if mode == "periodization" else "symmetric")
    return torch.as_tensor(places[:left]), torch.as_tensor(places[left + size :])
