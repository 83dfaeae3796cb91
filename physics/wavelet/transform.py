"""Wavelet coefficients of trajectories as channels: sub-bands of every level on the grid of the coarsest."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from physics.wavelet.axis import LONGEST_DENSE, analyse, analyse_adjoint, synthesise, synthesise_adjoint
from physics.wavelet.filters import check_length, check_transform, coefficients, points, taps
from physics.wavelet.windows import analyse_plane, synthesise_plane

FEW_TAPS = 4  # up to which both axes of a plane are transformed at once


@dataclass(frozen=True)
class Wavelet:
    """The transform W of arrays (b, field, *space) to channels (b, field · (2^d)^levels, *coarse), its inverse and its adjoints.

    family    PyWavelets' name, not dmey
    mode      zero, symmetric or periodization: what stands beyond the ends
    levels    1 to 3; more than 1 in periodization alone, where every level halves the grid
    axes      d negative axes, ascending, that are transformed; time and space of (b, field, t, x) are (-2, -1)

    Channel = field · (2^d)^levels + band, bands in the order of `bands`. At one level a band's code in binary says for each
    axis, the first the highest bit, whether it is approximation or detail: aa, ad, da, dd. At more levels those of the
    coarsest come first; the details of each finer level follow, every 2nd, 4th ... coefficient a channel of its own, so that
    all have one grid and none is repeated. Filters have norm 1: a constant c has aa = 2^(d/2) c. ("Wavelet Diffusion Neural
    Operator" 2025, with the details of more than one level unshuffled.) Raises ValueError for what cannot be undone.
    """

    family: str = "bior2.4"
    mode: str = "periodization"
    levels: int = 1
    axes: tuple[int, ...] = (-2, -1)

    def __post_init__(self):
        check_transform(self.family, self.mode)
        if not 1 <= self.levels <= 3 or (self.levels > 1 and self.mode != "periodization"):
            raise ValueError(f"levels: found {self.levels} in mode {self.mode}, expected 1 to 3 in periodization, else 1.")
        if not self.axes or list(self.axes) != sorted(set(self.axes)) or self.axes[-1] >= 0:
            raise ValueError(f"axes: found {self.axes}, expected distinct negative axes in ascending order, as (-2, -1).")

    @property
    def bands(self) -> tuple[str, ...]:
        """Names of the channels of one field; ad: detail along the last axis; ad2: of level 2; ad1[0.1]: its odd places there."""
        codes = ["".join(code) for code in product("ad", repeat=len(self.axes))]
        if self.levels == 1:
            return tuple(codes)
        names = [f"{code}{self.levels}" for code in codes]
        for level in range(self.levels - 1, 0, -1):
            width = 2 ** (self.levels - level)
            places = [".".join(map(str, place)) for place in product(range(width), repeat=len(self.axes))]
            names += [f"{code}{level}[{place}]" for code in codes[1:] for place in places]
        return tuple(names)

    def coarse(self, sizes: Sequence[int]) -> tuple[int, ...]:
        """Coefficients along each of `axes` in one channel, of arrays with `sizes` points along them."""
        for axis, size in zip(self.axes, sizes, strict=True):
            check_length(size, self.mode, levels=self.levels, axis=f"axis {axis}")
        if self.levels > 1:
            return tuple(size // 2**self.levels for size in sizes)
        return tuple(coefficients(size, self.family, self.mode) for size in sizes)

    def forward(self, u: Tensor) -> Tensor:
        """W u, (b, field · (2^d)^levels, *coarse), of arrays (b, field, *space), float32 or float64, on their device."""
        self.coarse([u.shape[axis] for axis in self.axes])
        if self._is_plane and u.ndim == 4:
            return analyse_plane(u.flatten(0, 1), self.family, self.mode).unflatten(0, u.shape[:2]).flatten(1, 2)
        return self._down(u, analyse)

    def inverse(self, w: Tensor, sizes: Sequence[int] = ()) -> Tensor:
        """The arrays (b, field, *space) of coefficients; `sizes` along `axes` where one of them is odd."""
        sizes = self._sizes(w, sizes)
        if self._is_plane and w.ndim == 4 and max(sizes) > LONGEST_DENSE:
            bands = w.unflatten(1, (-1, 4))
            return synthesise_plane(bands.flatten(0, 1), self.family, self.mode, sizes=sizes).unflatten(0, bands.shape[:2])
        return self._up(w, synthesise, sizes)

    def adjoint(self, w: Tensor, sizes: Sequence[int] = ()) -> Tensor:
        """Wᵀ w, (b, field, *space):  <W u, w> = <u, Wᵀ w>; equal to the inverse for orthogonal families in periodization."""
        return self._up(w, analyse_adjoint, self._sizes(w, sizes))

    def inverse_adjoint(self, u: Tensor) -> Tensor:
        """(W⁻¹)ᵀ u, shaped as W u: a gradient with respect to arrays becomes one with respect to coefficients."""
        self.coarse([u.shape[axis] for axis in self.axes])
        return self._down(u, synthesise_adjoint)

    @property
    def _is_plane(self) -> bool:
        """Whether both axes may be transformed at once."""
        return self.levels == 1 and self.axes == (-2, -1) and taps(self.family) <= FEW_TAPS

    def _down(self, u: Tensor, step: Callable[..., Tensor]) -> Tensor:
        """All levels of one-axis steps from points to coefficients."""
        finer: list[Tensor] = []
        for level in range(1, self.levels + 1):
            for axis in self.axes:
                u = step(u, self.family, self.mode, axis=axis)
            bands = self._split(u, {axis: (2, u.shape[axis] // 2) for axis in self.axes}, to=2, part=0)
            if level < self.levels:
                width = 2 ** (self.levels - level)
                parts = {axis: (bands.shape[axis] // width, width) for axis in self.axes}
                finer.insert(0, self._split(bands[:, :, 1:], parts, to=3, part=1).flatten(2, 3))
                u = bands[:, :, 0]
        return (torch.cat([bands, *finer], 2) if finer else bands).flatten(1, 2)

    def _up(self, w: Tensor, step: Callable[..., Tensor], sizes: tuple[int, ...]) -> Tensor:
        """All levels of one-axis steps from coefficients to points."""
        depth = len(self.axes)
        w = w.unflatten(1, (-1, 2 ** (depth * self.levels)))
        u, used = w[:, :, 0], 1
        for level in range(self.levels, 0, -1):
            width = 2 ** (self.levels - level)
            taken = (2**depth - 1) * width**depth
            if level == self.levels:
                bands = w[:, :, : taken + 1]
            else:
                details = w[:, :, used : used + taken].unflatten(2, (2**depth - 1, -1))
                bands = torch.cat([u[:, :, None], self._join(details, width, at=3, part=1)], 2)
            u, used = self._join(bands, 2, at=2, part=0), used + taken
            for axis, size in zip(self.axes, sizes):
                u = step(u, self.family, self.mode, axis=axis, size=size // 2 ** (level - 1))
        return u

    def _split(self, u: Tensor, parts: dict[int, tuple[int, int]], *, to: int, part: int) -> Tensor:
        """Every axis cut in two, of which number `part` of each becomes one place of the axis `to`, the first axis slowest."""
        for count, axis in enumerate(self.axes):
            place = u.ndim + axis
            u = u.unflatten(place, parts[axis]).movedim(place + part, to + count)
        return u.flatten(to, to + len(self.axes) - 1)

    def _join(self, u: Tensor, width: int, *, at: int, part: int) -> Tensor:
        """The reverse of `_split`: the axis `at` goes back into the axes it was cut from."""
        u = u.unflatten(at, [width] * len(self.axes))
        for axis in self.axes:
            place = u.ndim + axis - 1
            u = u.movedim(at, place + part).flatten(place, place + 1)
        return u

    def _sizes(self, w: Tensor, sizes: Sequence[int]) -> tuple[int, ...]:
        """Points along every axis. Raises ValueError where the coefficients do not fit them, or channels do not come in bands."""
        found = tuple(w.shape[axis] for axis in self.axes)
        if w.shape[1] % len(self.bands):
            raise ValueError(f"found {w.shape[1]} channels, expected a multiple of the {len(self.bands)} bands of a field.")
        if self.levels > 1:
            even = tuple(size * 2**self.levels for size in found)
        else:
            even = tuple(points(size, self.family, self.mode) for size in found)
        sizes = tuple(sizes) or even
        if self.coarse(sizes) != found:
            raise ValueError(f"found {found} coefficients along the axes {self.axes}, expected {self.coarse(sizes)} of {sizes}.")
        return sizes
