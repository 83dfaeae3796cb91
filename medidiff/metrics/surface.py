"""Distances between the surfaces of two masks, by surface elements and by boundary voxels."""

import functools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree
from skimage.measure import marching_cubes

_CORNER_BIT = np.array([[[128, 64], [32, 16]], [[8, 4], [2, 1]]], np.uint8)  # which bit each voxel of a 2x2x2 cell sets
_SIDES = np.arange(256)[:, None] & _CORNER_BIT.ravel() > 0  # (code, corner)


@dataclass(frozen=True, eq=False)
class Distances:
    """How far each surface element of one mask lies from the surface of the other, mm, and its area or weight."""

    prediction_mm: np.ndarray  # from the prediction's surface to the truth's; infinite when the truth is empty
    truth_mm: np.ndarray  # from the truth's surface to the prediction's
    prediction_area: np.ndarray  # mm², or 1 for each boundary voxel
    truth_area: np.ndarray


def surfel_distances(prediction: np.ndarray, truth: np.ndarray, *, spacing_mm: Sequence[float]) -> Distances:
    """Distances between surface elements, each weighted by its area (Nikolov et al. 2018, DeepMind's surface-distance).

    prediction, truth   (i, j, k) bool
    spacing_mm          of i, j, k

    Every 2x2x2 cell with voxels of both kinds holds one element at its centre. Its area is that of the marching-cubes
    triangles (Lorensen and Cline 1987) around the fewer voxels.
    """
    prediction, truth = _cropped(prediction, truth)
    codes = [_cell_codes(mask) for mask in (prediction, truth)]
    surfaces = [(code > 0) & (code < 255) for code in codes]
    areas = _element_areas(tuple(float(d) for d in spacing_mm))
    return Distances(*_mutual(*surfaces, spacing_mm), *(areas[code[surface]] for code, surface in zip(codes, surfaces)))


def voxel_distances(prediction: np.ndarray, truth: np.ndarray, *, spacing_mm: Sequence[float]) -> Distances:
    """Distances between the centres of boundary voxels, those with a face neighbour outside the mask; all of weight 1."""
    surfaces = [mask & ~ndimage.binary_erosion(mask) for mask in _cropped(prediction, truth)]
    return Distances(*_mutual(*surfaces, spacing_mm), *(np.ones(int(surface.sum())) for surface in surfaces))


def hd95_surfel(distances: Distances) -> float:
    """95th percentile of `surfel_distances` by cumulative area, the larger of both directions, mm (HECKTOR 2021).

    0 when both masks are empty, infinite when one is.
    """
    directions = ((distances.prediction_mm, distances.prediction_area), (distances.truth_mm, distances.truth_area))
    return _larger(_area_percentile(mm, area, 0.95) for mm, area in directions)


def hd95_voxel(distances: Distances) -> float:
    """95th percentile of `voxel_distances`, interpolated, the larger of both directions, mm (MONAI, MedPy).

    0 when both masks are empty, infinite when one is.
    """
    return _larger(_percentile(mm, 95) for mm in (distances.prediction_mm, distances.truth_mm))


def assd(distances: Distances) -> float:
    """Average symmetric surface distance, mm: the weighted mean over the elements of both surfaces.

        (Σ prediction_mm · prediction_area + Σ truth_mm · truth_area) / (Σ prediction_area + Σ truth_area)

    0 when both masks are empty, infinite when one is.
    """
    mm = np.concatenate([distances.prediction_mm, distances.truth_mm])
    area = np.concatenate([distances.prediction_area, distances.truth_area])
    return float(np.average(mm, weights=area)) if mm.size else 0.0


def nsd(distances: Distances, *, tolerance_mm: float) -> float:
    """Normalised surface Dice: the part of both surfaces that lies within a tolerance of the other (Nikolov et al. 2018).

    1 when both masks are empty, 0 when one is.
    """
    mm = np.concatenate([distances.prediction_mm, distances.truth_mm])
    area = np.concatenate([distances.prediction_area, distances.truth_area])
    return float(area[mm <= tolerance_mm].sum() / area.sum()) if mm.size else 1.0


def _cropped(prediction: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both masks in the box that holds both, with a border of one empty voxel; no distance changes by that."""
    box = ndimage.find_objects((prediction | truth).astype(np.uint8))
    crop = box[0] if box else (slice(0, 0),) * 3
    return tuple(np.pad(mask[crop], 1) for mask in (prediction, truth))


def _cell_codes(mask: np.ndarray) -> np.ndarray:
    codes = np.zeros([n - 1 for n in mask.shape], np.uint8)
    for corner in np.ndindex(2, 2, 2):
        codes |= mask[tuple(slice(c, n - 1 + c) for c, n in zip(corner, mask.shape))] * _CORNER_BIT[corner]
    return codes


def _mutual(prediction: np.ndarray, truth: np.ndarray, spacing_mm: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Distance of each element to the nearest of the other surface; time and memory grow with the surfaces alone."""
    points = [np.argwhere(surface) * np.array(spacing_mm, np.float64) for surface in (prediction, truth)]
    # elements on a lattice: halving boxes is as good as medians, and quicker
    trees = [cKDTree(cloud, balanced_tree=False, compact_nodes=False) for cloud in points]
    return trees[1].query(points[0])[0], trees[0].query(points[1])[0]


def _area_percentile(mm: np.ndarray, area: np.ndarray, share: float) -> float | None:
    if mm.size == 0:
        return None
    order = np.argsort(mm)
    filled = np.cumsum(area[order])
    return float(mm[order][min(np.searchsorted(filled / filled[-1], share), mm.size - 1)])


def _percentile(mm: np.ndarray, percent: float) -> float | None:
    if mm.size == 0:
        return None
    return math.inf if np.isinf(mm).any() else float(np.percentile(mm, percent))


def _larger(directions: Iterable[float | None]) -> float:
    return max((mm for mm in directions if mm is not None), default=0.0)


def _element_areas(spacing_mm: tuple[float, ...]) -> np.ndarray:
    """Area (256,) of the surface element of each cell code, mm²."""
    x, y, z = spacing_mm
    return np.linalg.norm(_triangle_normals() * (y * z, x * z, x * y), axis=-1).sum(axis=1)


@functools.cache
def _triangle_normals() -> np.ndarray:
    """Half cross products (256, triangle, 3) of the triangles in a unit cell; a code and its complement share theirs."""
    normals = np.zeros((256, 5, 3))
    for code in range(1, 255):
        few = code if _SIDES[code].sum() <= 4 else 255 - code
        cell = _SIDES[few].reshape(2, 2, 2).astype(np.float32)
        vertices, faces, _, _ = marching_cubes(cell, 0.5, method="lorensen")
        a, b, c = (vertices[faces[:, corner]].astype(np.float64) for corner in range(3))
        normals[code, : len(faces)] = np.cross(b - a, c - a) / 2
    return normals
