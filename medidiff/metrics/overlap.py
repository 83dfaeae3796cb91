"""How much of two masks is common."""

import math
from collections.abc import Iterable

import numpy as np


def dice(prediction: np.ndarray, truth: np.ndarray) -> float:
    """Twice the common voxels over the sum of both; NaN when both masks are empty (count it, leave it out of means).

        2 |P ∩ G| / (|P| + |G|)

    prediction, truth   any one shape, bool
    """
    both = int(np.count_nonzero(prediction & truth))
    return _share(2 * both, int(np.count_nonzero(prediction)) + int(np.count_nonzero(truth)))


def jaccard(prediction: np.ndarray, truth: np.ndarray) -> float:
    """Common voxels over the voxels of either, |P ∩ G| / |P ∪ G|; NaN when both masks are empty."""
    return _share(int(np.count_nonzero(prediction & truth)), int(np.count_nonzero(prediction | truth)))


def sensitivity(prediction: np.ndarray, truth: np.ndarray) -> float:
    """Part of the truth that is found, |P ∩ G| / |G|; NaN when the truth is empty."""
    return _share(int(np.count_nonzero(prediction & truth)), int(np.count_nonzero(truth)))


def precision(prediction: np.ndarray, truth: np.ndarray) -> float:
    """Part of the prediction that is true, |P ∩ G| / |P|; NaN when the prediction is empty."""
    return _share(int(np.count_nonzero(prediction & truth)), int(np.count_nonzero(prediction)))


def volume_error(prediction: np.ndarray, truth: np.ndarray, *, voxel_ml: float) -> tuple[float, float]:
    """Predicted minus true volume in ml, and in percent of the true volume (NaN when the truth is empty)."""
    more = int(np.count_nonzero(prediction)) - int(np.count_nonzero(truth))
    return more * voxel_ml, 100 * _share(more, int(np.count_nonzero(truth)))


def aggregated_dice(cases: Iterable[tuple[float, float, float]]) -> float:
    """One Dice of a whole cohort (DSCagg of HECKTOR 2022); cases without any mask add nothing.

    cases     (common, predicted, true) volume of each case, ml

        2 Σ common / Σ (predicted + true)
    """
    common, predicted, true = np.array([(0.0, 0.0, 0.0), *cases]).sum(axis=0)
    return _share(2 * common, predicted + true)


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else math.nan
