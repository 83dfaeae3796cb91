"""Lines through a grid as one sparse matrix: row = ray, column = pixel, entry = length in mm (Joseph 1982)."""

from collections.abc import Iterable

import numpy as np
from scipy.sparse import csr_array

from physics.ct.grid import Grid

LARGEST_COUNT = 2**31  # entries that 32-bit indices can name


def ray_matrix(views: Iterable[tuple[np.ndarray, np.ndarray]], grid: Grid, *, dtype: np.dtype) -> csr_array:
    """Lengths of rays in pixels, (rays of all views, rows · columns), mm.

    views     per view: a point on each ray (ray, 2) and its unit direction (ray, 2), as (x, y) in mm
    grid      the pixels
    dtype     of the entries; they are computed in double precision
    returns   rows in the order of the views, columns in C order of the grid

        a ray steps along the axis it follows most, once per pixel, and divides  pixel_mm / max(|d_x|, |d_y|)
        between the two pixels beside it on the other axis, linearly

    ValueError for more entries than 32-bit indices can name.
    """
    counts, columns, lengths, total = [], [], [], 0
    for point, direction in views:
        steep = np.abs(direction[:, 1]) > np.abs(direction[:, 0])
        count, column, length = _view(point, direction, steep, grid)
        total += len(column)
        if total >= LARGEST_COUNT:
            raise ValueError(f"found {total} ray-pixel lengths or more, expected fewer than 2^31. Split the views with subset().")
        counts.append(count)
        columns.append(column)
        lengths.append(length.astype(dtype))
    starts = np.concatenate([[0], np.cumsum(np.concatenate(counts))])
    shape = (len(starts) - 1, grid.rows * grid.columns)
    matrix = csr_array((np.concatenate(lengths), np.concatenate(columns), starts.astype(np.int32)), shape=shape)
    matrix.sort_indices()
    return matrix


def _view(point: np.ndarray, direction: np.ndarray, steep: np.ndarray, grid: Grid) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Entries of the rays of one view, ray by ray: how many (ray,), their columns and lengths."""
    count = np.zeros(len(point), dtype=np.int64)
    parts = []
    for is_steep in (False, True):
        rays = np.flatnonzero(steep == is_steep)
        if len(rays):
            row, column, length = _entries(point[rays], direction[rays], is_steep, grid)
            parts.append((rays[row], column, length))
    ray, column, length = (np.concatenate(items) for items in zip(*parts))
    order = np.argsort(ray, kind="stable")
    count += np.bincount(ray, minlength=len(point))
    return count, column[order].astype(np.int32), length[order]


def _entries(point: np.ndarray, direction: np.ndarray, is_steep: bool, grid: Grid) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ray, pixel and length of every pair that meets, for rays that all follow y (steep) or all follow x."""
    along, across = (1, 0) if is_steep else (0, 1)
    steps = grid.y_mm if is_steep else grid.x_mm
    slope = direction[:, across] / direction[:, along]
    position = point[:, across, None] + (steps - point[:, along, None]) * slope[:, None]
    index = position / grid.pixel_mm if is_steep else -position / grid.pixel_mm
    size = grid.columns if is_steep else grid.rows
    index = index + (size - 1) / 2
    lower = np.floor(index).astype(np.int64)
    length = np.broadcast_to((grid.pixel_mm / np.abs(direction[:, along]))[:, None], index.shape)
    neighbour = np.stack([lower, lower + 1], axis=-1)
    share = np.stack([lower + 1 - index, index - lower], axis=-1) * length[..., None]
    meets = (neighbour >= 0) & (neighbour < size) & (share > 0)
    ray, step, _ = np.nonzero(meets)
    pixel = step * grid.columns + neighbour[meets] if is_steep else neighbour[meets] * grid.columns + step
    return ray, pixel, share[meets]
