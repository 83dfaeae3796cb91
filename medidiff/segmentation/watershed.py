"""Lesions bounded by the steepest change of uptake."""

import numpy as np
from scipy import ndimage
from skimage.segmentation import watershed

from medidiff.io.volume import Volume
from medidiff.segmentation.thresholds import TOUCHING

_BACKGROUND, _LESION = 1, 2


def flood_lesions(pet: Volume, *, smoothing_mm: float, background_suv: float, hot_suv: float, seed_fraction: float) -> np.ndarray:
    """Voxels that a flood of the gradient magnitude reaches from hot markers before it does so from cold ones.

    pet              SUV
    smoothing_mm     standard deviation of the Gaussian before the gradient
    background_suv   smoothed uptake below which a voxel is a background marker
    hot_suv          smoothed uptake above which connected voxels (26 neighbours) are one hot part
    seed_fraction    of a hot part's maximum, from which on its voxels are lesion markers
    returns          (i, j, k) bool; empty without a hot part

    Marker-controlled watershed (Beucher and Meyer 1993) of |∇ SUV|, SUV/mm: between the markers the boundary runs
    along the ridge of the gradient. With seed_fraction below about one half the markers themselves can lie beyond the
    ridge, and the result is a threshold relative to each part that the flood only extends.
    """
    sigma = smoothing_mm / np.array(pet.grid.spacing_mm)
    smooth = ndimage.gaussian_filter(pet.array.astype(np.float32), sigma, mode="nearest")
    hot, parts = ndimage.label(smooth > hot_suv, TOUCHING)
    if parts == 0:
        return np.zeros(smooth.shape, bool)
    maxima = np.append(np.inf, ndimage.maximum(smooth, hot, np.arange(1, parts + 1)))  # no marker outside the parts
    seeds = smooth >= seed_fraction * maxima[hot]
    markers = np.where(seeds, _LESION, np.where(smooth < background_suv, _BACKGROUND, 0))
    shore = ndimage.binary_dilation(markers == 0, iterations=1)  # only markers next to open voxels can flood them
    flooded = watershed(gradient_magnitude(smooth, pet.affine), markers, mask=shore)
    return seeds | (flooded == _LESION)


def gradient_magnitude(values: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Length of the gradient in units per millimetre, by central differences; right on oblique and sheared grids.

    |∇| = | inverse(A)ᵀ · d(values)/d(index) |,   A = affine[:3, :3]
    """
    steps = [np.gradient(values, axis=axis) if values.shape[axis] > 1 else np.zeros_like(values) for axis in range(3)]
    to_mm = np.linalg.inv(affine[:3, :3]).T.astype(values.dtype)
    return np.sqrt(sum(sum(to_mm[row, axis] * steps[axis] for axis in range(3)) ** 2 for row in range(3)))
