"""Volumes on another grid, through the full affine."""

import math
from collections.abc import Iterator

import numpy as np
from scipy import ndimage

from medidiff.errors import ConfigError, DataError
from medidiff.io.volume import Grid, Volume

_SLAB_BYTES = 2**26  # coordinates of one slab of target slices
_BORDER = 0.5 + 1e-6  # half a voxel beyond the outermost centres, and rounding


def resample_to(volume: Volume, grid: Grid, *, order: int = 1, fill: float, antialias: bool = True) -> Volume:
    """The volume sampled at the voxel centres of a grid, float32.

    order       0 nearest, 1 linear, 3 cubic B-spline (overshoots: a PET can turn negative)
    fill        value of centres outside the source's voxel box, -1/2 to n - 1/2; between the outermost voxel
                centres and the box's faces the edge value goes on
    antialias   smooth a source axis before it is sampled more than 1.5 times coarser; for a label map say False

        value(p) = interpolate(volume, M p),   M = inverse(volume.affine) · grid.affine
        sigma[axis] = sqrt(f[axis]² - 1) / 2 source voxels,   f[axis] = |row `axis` of M|

    Beside the result, memory is bounded by one smoothed copy of the source and slabs of target slices. Raises ConfigError for
    another order.
    """
    if order not in (0, 1, 3):
        raise ConfigError(f"order of resampling is {order}, expected 0 (nearest), 1 (linear) or 3 (cubic).")
    if volume.grid.agrees_with(grid, tolerance_mm=1e-9):
        return Volume(volume.array.astype(np.float32), grid.affine)
    to_source = np.linalg.inv(volume.affine) @ grid.affine
    source = volume.array.astype(np.float32)
    if antialias:
        source = _smoothed(source, to_source)
    mode = "nearest" if order <= 1 else "mirror"
    if order > 1:
        source = ndimage.spline_filter(source, order, output=np.float32, mode=mode)
    result = np.empty(grid.shape, np.float32)
    for start, stop in _slabs(grid.shape):
        shift = to_source[:3, 3] + start * to_source[:3, 2]
        slab = result[:, :, start:stop]
        ndimage.affine_transform(
            source, to_source[:3, :3], shift, output_shape=slab.shape, output=slab, order=order, mode=mode, prefilter=False
        )
        _fill_outside(slab, to_source[:3, :3], shift, source.shape, fill)
    return Volume(result, grid.affine)


def resample_mask(mask: Volume, grid: Grid, *, threshold: float = 0.5) -> Volume:
    """A mask or probability on another grid: the probability is interpolated, then compared with the threshold.

    mask        values from 0 to 1
    threshold   probability from which on a voxel belongs to the mask
    returns     uint8, 0 and 1; nothing outside the source

    Raises DataError for values outside 0 to 1, as in a map of several labels: resample one label after the other.
    """
    low, high = float(mask.array.min()), float(mask.array.max())
    if low < 0 or high > 1:
        raise DataError(f"the mask has values from {low:g} to {high:g}, expected 0 to 1; give one label at a time (label == n).")
    probability = resample_to(mask, grid, fill=0.0)
    return probability.with_array((probability.array >= threshold).astype(np.uint8))


def iso_grid(grid: Grid, spacing_mm: float) -> Grid:
    """The axis-aligned RAS grid of cubic voxels that covers a grid's voxel box, from its lowest corner on."""
    corners = grid.corners()
    extent = np.ptp(corners, axis=0)
    shape = np.maximum(np.ceil(extent / spacing_mm - 1e-6), 1)
    affine = np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0])
    affine[:3, 3] = corners.min(axis=0) + spacing_mm / 2
    return Grid(tuple(shape), affine)


def _smoothed(source: np.ndarray, to_source: np.ndarray) -> np.ndarray:
    factor = np.linalg.norm(to_source[:3, :3], axis=1)
    sigma = np.where(factor > 1.5, np.sqrt(np.maximum(factor**2 - 1, 0)) / 2, 0.0)
    return ndimage.gaussian_filter(source, sigma, mode="nearest") if sigma.any() else source


def _slabs(shape: tuple[int, int, int]) -> Iterator[tuple[int, int]]:
    depth = max(1, math.floor(_SLAB_BYTES / (8 * shape[0] * shape[1])))
    return ((start, min(start + depth, shape[2])) for start in range(0, shape[2], depth))


def _fill_outside(slab: np.ndarray, matrix: np.ndarray, shift: np.ndarray, source_shape: tuple[int, ...], fill: float) -> None:
    """Set those voxels of a slab whose source index, matrix · (i, j, k) + shift, lies outside the source's voxel box."""
    low, high = -_BORDER, np.array(source_shape) - 1 + _BORDER
    corners = np.stack(np.meshgrid(*[(0, n - 1) for n in slab.shape], indexing="ij"), -1).reshape(-1, 3) @ matrix.T + shift
    if ((corners >= low) & (corners <= high)).all():
        return  # the box is convex
    inside = np.ones(slab.shape, bool)
    i, j, k = np.ogrid[: slab.shape[0], : slab.shape[1], : slab.shape[2]]
    for row, start, top in zip(matrix, shift, high):
        index = row[0] * i + row[1] * j + row[2] * k + start
        inside &= (index >= low) & (index <= top)
    slab[~inside] = fill
