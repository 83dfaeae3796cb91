"""Overlapping windows over a volume, and the mean of what is predicted in them, slab by slab."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from medidiff.errors import ConfigError


@dataclass(frozen=True)
class Windows:
    """Where a network looks at a volume that is too large for one look.

    Windows of an axis start every (1 - overlap) roi voxels; the last is moved inward, so that all lie inside.
    """

    shape: tuple[int, int, int]  # voxels of the volume, at least the roi
    roi: tuple[int, int, int]  # voxels of a window
    overlap: float = 0.25  # of a window with the next one, 0 to below 1
    batch: int = 1  # windows in one call of the network

    def __post_init__(self):
        if any(size > side for size, side in zip(self.roi, self.shape)) or min(self.roi) < 1:
            raise ConfigError(f"windows of {self.roi} voxels do not fit into {self.shape}; pad the volume first")
        if not 0 <= self.overlap < 1 or self.batch < 1:
            raise ConfigError(f"overlap {self.overlap:g}, batch {self.batch}: expected 0 to below 1, and 1 or more")

    def starts(self, axis: int) -> tuple[int, ...]:
        """First voxels of the windows along an axis, rising."""
        room = self.shape[axis] - self.roi[axis]
        stride = max(1, int(self.roi[axis] * (1 - self.overlap)))
        return (*range(0, room, stride), room)

    def weight(self, axis: int) -> Tensor:
        """What each voxel of a window counts along an axis: a Gaussian of deviation roi / 8, at least .001 of its top."""
        size = self.roi[axis]
        distance = (torch.arange(size, dtype=torch.float64) - (size - 1) / 2) / (size / 8)
        return torch.exp(-(distance**2) / 2).clamp(min=1e-3).float()

    def total(self, axis: int) -> Tensor:
        """The sum of all weights at each voxel along an axis; that of the volume is the product of the three."""
        total = torch.zeros(self.shape[axis])
        for start in self.starts(axis):
            total[start : start + self.roi[axis]] += self.weight(axis)
        return total


Corner = tuple[int, int]  # (j, k) of a window inside its layer
Predict = Callable[[list[Corner]], Tensor]  # corners -> (n, *roi), what each window holds


def blended(windows: Windows, open_layer: Callable[[int], Predict]) -> Iterator[tuple[int, Tensor]]:
    """The weighted mean of all windows, slab by slab along the first axis: (first slice, (slices, j, k)).

    open_layer   (first slice) -> predict, for one layer of windows of equal i after the other; predict gets a batch at a time

    A slab is given as soon as no further window reaches it, so that its slices may be overwritten then. Memory: two layers of one
    window's depth.
    """
    starts = windows.starts(0)
    corners = list(product(windows.starts(1), windows.starts(2)))
    weight = outer([windows.weight(axis) for axis in range(3)])
    total = torch.zeros(windows.roi[0], *windows.shape[1:])
    for start, following in zip(starts, (*starts[1:], windows.shape[0])):
        predict = open_layer(start)
        for first in range(0, len(corners), windows.batch):
            some = corners[first : first + windows.batch]
            for (j, k), values in zip(some, predict(some)):
                total[:, j : j + windows.roi[1], k : k + windows.roi[2]] += weight * values
        done = following - start
        norm = outer([windows.total(0)[start:following], windows.total(1), windows.total(2)])
        yield start, total[:done] / norm
        total = torch.cat([total[done:], torch.zeros_like(total[:done])])


def outer(factors: list[Tensor]) -> Tensor:
    """The product of three vectors over three axes."""
    return torch.einsum("i,j,k->ijk", *factors)


def window_size(shape: tuple[int, ...], *, roi: tuple[int, ...], least: tuple[int, ...], multiple: int) -> tuple[int, ...]:
    """The window for a volume: at most `roi`, at least `least` (the training's patch), else the side up to the next multiple."""
    return tuple(
        min(most, max(few, math.ceil(side / multiple) * multiple)) for side, most, few in zip(shape, roi, least, strict=True)
    )


def padding(shape: tuple[int, ...], window: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    """How many voxels to add before and after each axis so that the window fits: evenly on both sides."""
    missing = [max(size - side, 0) for side, size in zip(shape, window)]
    return tuple((gap // 2, gap - gap // 2) for gap in missing)
