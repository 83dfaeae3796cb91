"""From closed planar contours to a mask on any grid."""

import numpy as np

from medidiff.errors import DataError
from medidiff.io.dicom.rtstruct import Roi
from medidiff.io.volume import Grid

_SAME_PLANE_MM = 0.05  # contours of one plane differ by the rounding of their coordinates
_PARALLEL_VOXELS = 0.05  # contours that wander less along an axis of the grid lie in its slices
_CHUNK = 1 << 22  # point-edge pairs tested at once


def contours_to_mask(roi: Roi, grid: Grid, *, plane_mm: float = 0.0) -> np.ndarray:
    """Which voxel centres of a grid lie inside a region.

    roi         contours in RAS mm, all in parallel planes
    grid        any: the one the contours were drawn on, another spacing, another orientation, oblique or sheared
    plane_mm    distance of the slices that the contours were drawn on; 0 takes it from the contours
    returns     (i, j, k) bool

    A point is inside by the even-odd rule over all contours of its plane, so contours of one plane combine by exclusive or: a
    contour inside another is a hole. Edges are half open: a voxel centre on the edge of two regions belongs to one of them.
    A plane stands for the slab that reaches half of `plane_mm` to either side; a voxel takes the nearest plane whose slab
    holds it.
    Raises DataError where the region has no contour, its contours are not parallel and flat, or no voxel centre lies inside.
    """
    if not roi.contours:
        raise DataError(f"region {roi.name!r}: no closed contour of three points or more, expected at least one. Draw it again.")
    from_mm = np.linalg.inv(grid.affine)
    indices = [contour @ from_mm[:3, :3].T + from_mm[:3, 3] for contour in roi.contours]
    wander = np.max([np.ptp(contour, axis=0) for contour in indices], axis=0)
    axis = int(wander.argmin())
    if wander[axis] <= _PARALLEL_VOXELS:
        mask = _along_slices(indices, grid, axis, plane_mm)
    else:
        mask = _across_slices(roi, indices, grid, plane_mm)
    if not mask.any():
        raise DataError(
            f"region {roi.name!r}: no voxel centre lies inside its contours; they lie outside the image, or are smaller than a "
            "voxel. Check that the structure set belongs to this image."
        )
    return mask


def _along_slices(indices: list[np.ndarray], grid: Grid, axis: int, plane_mm: float) -> np.ndarray:
    """The mask where every contour lies in a slice across `axis`: all contours and rows at once."""
    spacing, depth = grid.spacing_mm[axis], grid.shape[axis]
    plane_of, positions = _planes(np.array([contour[:, axis].mean() for contour in indices]), _SAME_PLANE_MM / spacing)
    flat = [np.delete(contour, axis, axis=1) for contour in indices]
    width, height = (n for other, n in enumerate(grid.shape) if other != axis)
    inside = _even_odd_rows(flat, plane_of, (len(positions), width, height))
    on_slices = len(positions) == 1 or np.abs(positions - np.round(positions)).max() < _PARALLEL_VOXELS
    thickness = plane_mm / spacing or (1.0 if on_slices else float(np.diff(positions).min()))
    nearest, within = _nearest_plane(np.arange(depth, dtype=float), positions, thickness)
    mask = np.zeros((depth, width, height), bool)
    mask[within] = inside[nearest[within]]
    return np.moveaxis(mask, 0, axis)


def _even_odd_rows(contours: list[np.ndarray], plane_of: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Even-odd inside of whole pixels (plane, x, y), by counting the edges that each column of pixels has passed.

    Along one y, the points where edges cross it sort the x axis into outside and inside: each crossing adds one to every
    pixel at or beyond it, and odd sums are inside. Sums may wrap in uint8, their parity does not.
    """
    planes, width, height = shape
    start, plane = np.concatenate(contours), np.repeat(plane_of, [len(c) for c in contours])
    end = np.concatenate([np.roll(c, -1, axis=0) for c in contours])
    low, high = (np.ceil(f(start[:, 1], end[:, 1])).clip(0, height).astype(np.int64) for f in (np.minimum, np.maximum))
    edge = np.repeat(np.arange(len(start)), high - low)
    y = np.arange(len(edge)) - np.repeat(np.cumsum(high - low) - (high - low), high - low) + low[edge]
    slope = (end[edge, 0] - start[edge, 0]) / (end[edge, 1] - start[edge, 1])
    x = np.ceil(start[edge, 0] + (y - start[edge, 1]) * slope).clip(0, width).astype(np.int64)
    passed = np.zeros((planes, width + 1, height), np.uint8)
    np.add.at(passed, (plane[edge], x, y), 1)
    return np.add.accumulate(passed, axis=1)[:, :width] % 2 == 1


def _across_slices(roi: Roi, indices: list[np.ndarray], grid: Grid, plane_mm: float) -> np.ndarray:
    """The mask where the contours' planes cut through the slices: every voxel centre is put into the nearest contour plane."""
    basis = _plane_basis(roi)
    flat = [contour @ basis.T for contour in roi.contours]
    plane_of, positions = _planes(np.array([contour[:, 2].mean() for contour in flat]), _SAME_PLANE_MM)
    one_voxel = float(np.abs(basis[2] @ grid.affine[:3, :3]).max())
    thickness = plane_mm or (one_voxel if len(positions) == 1 else float(np.diff(positions).min()))
    mask = np.zeros(grid.shape, bool)
    every = np.concatenate(indices)
    margin = thickness / min(grid.spacing_mm) + 1
    low = np.clip(np.floor(every.min(axis=0) - margin), 0, grid.shape).astype(int)
    high = np.clip(np.ceil(every.max(axis=0) + margin) + 1, 0, grid.shape).astype(int)
    voxels = np.stack(np.meshgrid(*map(np.arange, low, high), indexing="ij"), -1).reshape(-1, 3)
    points = grid.positions(voxels) @ basis.T
    nearest, within = _nearest_plane(points[:, 2], positions, thickness)
    for plane in range(len(positions)):
        chosen = np.flatnonzero(within & (nearest == plane))
        contours = [flat[c][:, :2] for c in np.flatnonzero(plane_of == plane)]
        inside = chosen[_even_odd_points(points[chosen, :2], contours)]
        mask[tuple(voxels[inside].T)] = True
    return mask


def _plane_basis(roi: Roi) -> np.ndarray:
    """Rows u, v, normal of the contours' planes, RAS. Raises DataError where they are not parallel and flat."""
    largest = max(roi.contours, key=lambda contour: float(np.prod(np.sort(np.ptp(contour, axis=0))[1:])))
    basis = np.linalg.svd(largest - largest.mean(axis=0), full_matrices=True)[2]
    tilt = max(float(np.ptp(contour @ basis[2])) for contour in roi.contours)
    if tilt > 0.5:
        raise DataError(
            f"region {roi.name!r}: its contours leave their common plane by {tilt:.2f} mm, expected flat and parallel contours. "
            "Draw it again in one orientation."
        )
    return basis


def _even_odd_points(points: np.ndarray, contours: list[np.ndarray]) -> np.ndarray:
    """Even-odd inside of scattered points (n, 2)."""
    start, end = np.concatenate(contours), np.concatenate([np.roll(c, -1, axis=0) for c in contours])
    leans = end[:, 1] != start[:, 1]
    start, end = start[leans], end[leans]
    slope = (end[:, 0] - start[:, 0]) / (end[:, 1] - start[:, 1])
    inside = np.zeros(len(points), bool)
    step = max(1, _CHUNK // max(1, len(start)))
    for first in range(0, len(points), step):
        x, y = points[first : first + step, :1], points[first : first + step, 1:]
        crosses = (start[:, 1] <= y) != (end[:, 1] <= y)
        inside[first : first + step] = (crosses & (x < start[:, 0] + (y - start[:, 1]) * slope)).sum(axis=1) % 2 == 1
    return inside


def _planes(positions: np.ndarray, tolerance: float) -> tuple[np.ndarray, np.ndarray]:
    """The plane (n,) of every contour, and the position of every plane in ascending order."""
    order = np.argsort(positions, kind="stable")
    plane_of = np.empty(len(positions), np.int64)
    plane_of[order] = np.concatenate([[0], np.cumsum(np.diff(positions[order]) > tolerance)])
    return plane_of, np.bincount(plane_of, positions) / np.bincount(plane_of)


def _nearest_plane(at: np.ndarray, positions: np.ndarray, thickness: float) -> tuple[np.ndarray, np.ndarray]:
    """The nearest plane (n,) to each position, and whether the position lies in that plane's slab."""
    middles = (positions[1:] + positions[:-1]) / 2
    nearest = np.searchsorted(middles, at, side="right")
    distance = at - positions[nearest]
    # half open like the edges; the tolerance keeps a slice that lies on its plane up to rounding
    return nearest, (distance >= -thickness / 2 - 1e-6) & (distance < thickness / 2 - 1e-6)
