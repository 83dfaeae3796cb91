"""A trajectory as channels: the wavelet sub-bands of every field over time and space, on one grid of half the size."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional

from medidiff.errors import ConfigError, DataError
from physics.wavelet.filters import check_length
from physics.wavelet.transform import Wavelet


@dataclass(frozen=True)
class OperatorLayout:
    """How trajectories (b, field, t, x[, y]) become channels (b, channel, *grid) and go back; linear both ways."""

    fields: tuple[str, ...]  # order of the field axis
    family: str = "bior2.4"  # PyWavelets' name
    mode: str = "periodization"  # zero, symmetric or periodization
    levels: int = 1  # the grid shrinks by 2**levels along every transformed axis; 0: physical space, no wavelets
    axes: str = "tx"  # transformed axes
    space: str = "x"  # axes of space that the data have
    padded: tuple[int, ...] = ()  # the grid of the channels is filled up to this with zeros; empty: it is not

    def __post_init__(self):
        """Raises ConfigError for what cannot be transformed."""
        if not self.axes or any(axis not in self.names for axis in self.axes):
            raise ConfigError(f"operator.axes: found {self.axes!r}, expected some of {self.names!r} in this order.")
        if self.levels:
            try:
                _ = self.wavelet
            except ValueError as error:
                raise ConfigError(f"operator.{error}") from error

    @property
    def names(self) -> str:
        """All axes behind batch and channel."""
        return "t" + self.space

    @property
    def bands(self) -> int:
        """Channels of one field."""
        return 2 ** (len(self.axes) * self.levels)

    @property
    def initial_bands(self) -> int:
        """Channels of one field of the initial state."""
        return 2 ** (len(self.axes.replace("t", "")) * self.levels)

    @cached_property
    def wavelet(self) -> Wavelet:
        """The transform of trajectories."""
        return Wavelet(self.family, self.mode, self.levels, self._negative(self.axes))

    @cached_property
    def spatial(self) -> Wavelet | None:
        """The transform of what does not depend on time; None where only time is transformed."""
        axes = self._negative(self.axes.replace("t", ""))
        return Wavelet(self.family, self.mode, self.levels, axes) if axes else None

    def grid(self, sizes: tuple[int, ...]) -> tuple[int, ...]:
        """The grid of the channels of trajectories with `sizes` points along t, x[, y].

        Raises DataError for lengths that the transform cannot halve, and where `padded` is too small.
        """
        found = self._transformed(sizes)
        if self.padded and (len(self.padded) != len(found) or any(p < n for p, n in zip(self.padded, found))):
            raise DataError(f"operator.padded: found {self.padded}, expected at least {found}, the grid of the coefficients.")
        return self.padded or found

    def _transformed(self, sizes: tuple[int, ...]) -> tuple[int, ...]:
        if not self.levels:
            return tuple(sizes)
        for axis, size in zip(self.names, sizes, strict=True):
            if axis in self.axes:
                try:
                    check_length(size, self.mode, levels=self.levels, axis=axis)
                except ValueError as error:
                    raise DataError(str(error)) from error
        shrunk = dict(zip(self.axes, self.wavelet.coarse([sizes[self.names.index(axis)] for axis in self.axes]), strict=True))
        return tuple(shrunk.get(axis, size) for axis, size in zip(self.names, sizes, strict=True))

    def encode(self, u: Tensor) -> Tensor:
        """W u, (b, field * bands, *grid), of trajectories (b, field, t, x[, y])."""
        self.grid(tuple(u.shape[2:]))
        return self._filled(self.wavelet.forward(u) if self.levels else u)

    def decode(self, w: Tensor, sizes: tuple[int, ...]) -> Tensor:
        """The trajectories (b, field, *sizes) of channels."""
        w = w[(..., *(slice(0, size) for size in self._transformed(sizes)))] if self.padded else w
        return self.wavelet.inverse(w, self._along(sizes)) if self.levels else w

    def decode_adjoint(self, u: Tensor) -> Tensor:
        """The transpose of `decode`: a gradient with respect to trajectories becomes one with respect to channels."""
        return self._filled(self.wavelet.inverse_adjoint(u) if self.levels else u)

    def encode_initial(self, initial: Tensor, frames: int) -> Tensor:
        """The channels of an initial state repeated over all frames, without those of detail in time, which vanish.

        initial   (b, field, x[, y])
        returns   (b, field * initial_bands, *grid)
        """
        grid = self.grid((frames, *initial.shape[2:]))
        w = initial if not self.levels or self.spatial is None else self.spatial.forward(initial)
        w = self._filled(w)
        factor = 2 ** (self.levels / 2) if "t" in self.axes else 1.0  # of a constant in time, at filters of norm 1
        return (factor * w).unsqueeze(2).expand(*w.shape[:2], *grid)

    def _filled(self, w: Tensor) -> Tensor:
        """Zeros behind the end of every axis that `padded` makes longer; those of space alone where there is no time."""
        if not self.padded:
            return w
        wanted = self.padded[len(self.padded) + 2 - w.ndim :]
        ends = [(0, size - found) for size, found in zip(wanted, w.shape[2:])]
        return functional.pad(w, [number for end in reversed(ends) for number in end])

    def coordinates(self, sizes: tuple[int, ...], like: Tensor) -> Tensor:
        """Places in [-1, 1] along every axis of the grid, (dims, *grid)."""
        lines = [torch.linspace(-1, 1, size).to(like) for size in self.grid(sizes)]
        return torch.stack(torch.meshgrid(*lines, indexing="ij"))

    def _negative(self, axes: str) -> tuple[int, ...]:
        return tuple(self.names.index(axis) - len(self.names) for axis in axes)

    def _along(self, sizes: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(sizes[self.names.index(axis)] for axis in self.axes)
