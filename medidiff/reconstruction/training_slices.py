"""Training images of priors: crops of CT and MR volumes, and the batches that a network is given of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.random import Generator
from scipy.ndimage import gaussian_filter, map_coordinates
from torch import Tensor

AIR_HU = -1024
TISSUE_HU = -300
LEAST_TISSUE = 0.01  # share of a slice below which it is not used
SIGNAL = 0.1  # of the 99th percentile of an MR volume; below it is background
TURN_RAD = 0.35  # largest turn of an MR crop to either side
GAMMA = (0.7, 1.4)  # smallest and largest exponent of MR magnitudes: contrasts that were not measured
GAIN = (0.85, 1.2)  # of MR magnitudes
PHASE_WAVES = 4  # of the smooth random phase
PHASE_TURNS = 1.5  # most periods of a wave across an image
PHASE_RAD = 0.8  # standard deviation of the waves' sum


@dataclass(frozen=True, eq=False)
class CtImages:
    """Batches for `medidiff.diffusion.train` of CT numbers, `x0` (b, 1, row, column) with the window at -1 to 1."""

    hu: np.ndarray  # (n, row, column) int16
    window: tuple[float, float]
    mirrored: bool = False  # left and right exchanged at random

    def __len__(self) -> int:
        return len(self.hu)

    def __getitem__(self, indices: Tensor) -> dict[str, Tensor]:
        x = self.images(self.hu[indices.numpy()])
        if self.mirrored:
            turned = torch.rand(len(x)) < 0.5
            x = torch.where(turned[:, None, None, None], x.flip(3), x)
        return {"x0": x}

    def images(self, hu: np.ndarray) -> Tensor:
        """CT numbers (b, row, column) in network units, (b, 1, row, column)."""
        low, high = self.window
        middle, half = (low + high) / 2, (high - low) / 2
        return (torch.from_numpy(hu).float().clamp(low, high)[:, None] - middle) / half


@dataclass(frozen=True, eq=False)
class MrImages:
    """Batches of MR images, `x0` (b, 2, row, column): magnitudes with a smooth random phase as real and imaginary part."""

    magnitude: np.ndarray  # (n, row, column) float16, 1 at the 99th percentile of the volume
    mirrored: bool = False

    def __len__(self) -> int:
        return len(self.magnitude)

    def __getitem__(self, indices: Tensor) -> dict[str, Tensor]:
        magnitude = torch.from_numpy(self.magnitude[indices.numpy()]).float()
        if self.mirrored:
            turned = torch.rand(len(magnitude)) < 0.5
            magnitude = torch.where(turned[:, None, None], magnitude.flip(2), magnitude)
        phase = smooth_phase(magnitude.shape)
        return {"x0": torch.stack([magnitude * phase.cos(), magnitude * phase.sin()], dim=1)}


def smooth_phase(shape: Sequence[int], *, generator: torch.Generator | None = None) -> Tensor:
    """Random phases (b, row, column), rad: a constant, uniform on the circle, and waves longer than the image or nearly so.

    generator   torch's own when missing, which the training loop seeds anew at every step

        phase(r) = c + sqrt(2/n) PHASE_RAD sum_w cos(2 pi k_w · r + c_w),   |k_w| at most PHASE_TURNS per axis, r in [-1/2, 1/2]^2
    """
    items, rows, columns = shape
    turns = (2 * torch.rand(items, PHASE_WAVES, 2, generator=generator) - 1) * PHASE_TURNS
    offsets = 2 * torch.pi * torch.rand(items, PHASE_WAVES + 1, generator=generator)
    y, x = (torch.linspace(-0.5, 0.5, n) for n in (rows, columns))
    angle = 2 * torch.pi * (turns[..., 0, None, None] * y[:, None] + turns[..., 1, None, None] * x)
    waves = (angle + offsets[:, 1:, None, None]).cos().sum(dim=1)
    return offsets[:, :1, None] + (2 / PHASE_WAVES) ** 0.5 * PHASE_RAD * waves


def ct_crops(hu: np.ndarray, count: int, generator: Generator, *, size: int, jitter: int) -> np.ndarray:
    """Crops (count, size, size) int16 of slices that hold tissue, spread over the box of the tissue.

    hu       (slice, row, column) int16
    jitter   pixels by which a crop may reach over the box; no crop at all where no slice holds tissue
    """
    tissue = hu > TISSUE_HU
    usable = _levels(tissue, 0)
    if len(usable) == 0:
        return np.zeros((0, size, size), np.int16)
    slices = generator.choice(usable, count)
    box = np.array([_box(tissue[index]) for index in slices])  # (count, first or last, row or column)
    reach = np.maximum((box[:, 1] - box[:, 0] - size) / 2, 0) + jitter
    corners = np.rint(box.mean(1) + generator.uniform(-reach, reach)).astype(int) + size // 2
    padded = np.pad(hu, ((0, 0), (size, size), (size, size)), constant_values=AIR_HU)
    return np.stack([padded[z, y : y + size, x : x + size] for z, (y, x) in zip(slices, corners)])


def coarser(hu: np.ndarray, factor: int) -> np.ndarray:
    """Slices with pixels of `factor` times the edge: means of blocks, rounded; a rest at the border is cut off."""
    slices, rows, columns = hu.shape[0], hu.shape[1] // factor, hu.shape[2] // factor
    blocks = hu[:, : rows * factor, : columns * factor].reshape(slices, rows, factor, columns, factor)
    return np.rint(blocks.astype(np.float32).mean((2, 4))).astype(np.int16)


def mr_crops(
    magnitude: np.ndarray,
    spacing_mm: Sequence[float],
    count: int,
    generator: Generator,
    *,
    size: int,
    pixel_mm: tuple[float, float],
) -> np.ndarray:
    """Crops (count, size, size) float16 of slices along all three axes, turned, scaled and with other contrast at random.

    magnitude   (i, j, k), at least 0
    pixel_mm    smallest and largest pixel of a crop; uniform in its logarithm

    Values are in units of the 99th percentile of the volume. A slice is smoothed before it is sampled more coarsely.
    """
    scaled = (np.maximum(magnitude, 0) / np.percentile(magnitude, 99)).astype(np.float32)
    usable = [_levels(scaled > SIGNAL, axis) for axis in range(3)]
    crops = np.empty((count, size, size), np.float16)
    for index in range(count):
        axis = int(generator.integers(3))
        rows_mm, columns_mm = (s for a, s in enumerate(spacing_mm) if a != axis)
        plane = np.moveaxis(scaled, axis, 0)[generator.choice(usable[axis])]
        pixel = float(np.exp(generator.uniform(*np.log(pixel_mm))))
        crop = _resampled(plane, np.array([pixel / rows_mm, pixel / columns_mm]), generator, size)
        crops[index] = generator.uniform(*GAIN) * np.maximum(crop, 0) ** generator.uniform(*GAMMA)
    return crops


def _box(mask: np.ndarray) -> np.ndarray:
    """First and last (row, column) of a mask."""
    places = np.nonzero(mask)
    return np.array([[p.min() for p in places], [p.max() for p in places]])


def _levels(mask: np.ndarray, axis: int) -> np.ndarray:
    """The slices along an axis that hold enough of a mask."""
    return np.flatnonzero(mask.mean(tuple(a for a in range(3) if a != axis)) > LEAST_TISSUE)


def _resampled(plane: np.ndarray, step: np.ndarray, generator: Generator, size: int) -> np.ndarray:
    """A turned, perhaps flipped crop of a plane, `step` pixels of the plane between its pixels along rows and columns."""
    smooth = 0.5 * np.sqrt(np.maximum(step**2 - 1, 0))
    angle = generator.uniform(-TURN_RAD, TURN_RAD)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    flips = generator.choice([-1.0, 1.0], 2)
    first, last = _box(plane > SIGNAL)
    reach = np.maximum((last - first - size * step) / 2, 0) + 6 * step
    middle = (first + last) / 2 + generator.uniform(-reach, reach)
    offsets = (np.arange(size) - (size - 1) / 2)[:, None] * flips
    grid = np.stack(np.meshgrid(offsets[:, 0], offsets[:, 1], indexing="ij")).reshape(2, -1)
    places = middle[:, None] + step[:, None] * (turn @ grid)
    sampled = map_coordinates(gaussian_filter(plane, smooth), places, order=1, mode="constant", cval=0.0)
    return sampled.reshape(size, size)
