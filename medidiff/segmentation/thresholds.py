"""Masks from the standardised uptake value alone."""

import numpy as np
from scipy import ndimage

TOUCHING = np.ones((3, 3, 3), bool)  # 26 neighbours: faces, edges and corners


def above_suv(pet: np.ndarray, suv: float) -> np.ndarray:
    """Voxels above a fixed uptake.

    pet       (i, j, k)   SUV
    suv       SUV         2.5 is the most used, 4.0 that of lymphoma studies
    returns   (i, j, k)   bool
    """
    return pet > suv


def above_fraction(pet: np.ndarray, fraction: float) -> np.ndarray:
    """Voxels above a fraction of the largest uptake of the volume (41 %: Boellaard et al. 2015, EANM guideline 2.0).

    pet       (i, j, k)   SUV
    fraction  0 to 1
    returns   (i, j, k)   bool; empty where nothing is taken up
    """
    return pet > fraction * max(float(pet.max()), 0.0)


def largest_component(mask: np.ndarray) -> np.ndarray:
    """The connected part (26 neighbours) with the most voxels, of equal ones the first in array order; empty stays empty."""
    labels, count = ndimage.label(mask, TOUCHING)
    if count == 0:
        return np.zeros(mask.shape, bool)
    return labels == 1 + np.bincount(labels.ravel())[1:].argmax()
