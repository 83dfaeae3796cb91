"""Which lesions were found: connected parts matched one to one, and the volumes of those missed or made up."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import ndimage
from scipy.optimize import linear_sum_assignment

Connectivity = Literal[6, 18, 26]

_RANK = {6: 1, 18: 2, 26: 3}  # neighbours that share a face; also an edge; also a corner


@dataclass(frozen=True)
class Detection:
    """Counts of lesions, to be added up over a cohort."""

    found: int  # true lesions with a predicted partner
    made_up: int  # predicted lesions without a true partner
    missed: int  # true lesions without a predicted partner

    @property
    def f1(self) -> float:
        """2 found / (2 found + made_up + missed); NaN without any lesion."""
        whole = 2 * self.found + self.made_up + self.missed
        return 2 * self.found / whole if whole else math.nan

    @property
    def sensitivity(self) -> float:
        """Part of the true lesions that is found; NaN without a true lesion."""
        return self.found / (self.found + self.missed) if self.found + self.missed else math.nan

    @property
    def precision(self) -> float:
        """Part of the predicted lesions that is true; NaN without a predicted lesion."""
        return self.found / (self.found + self.made_up) if self.found + self.made_up else math.nan

    def __add__(self, other: "Detection") -> "Detection":
        return Detection(self.found + other.found, self.made_up + other.made_up, self.missed + other.missed)


def components(mask: np.ndarray, connectivity: Connectivity) -> tuple[np.ndarray, int]:
    """Connected parts of a mask numbered from 1, and how many there are."""
    return ndimage.label(mask, ndimage.generate_binary_structure(3, _RANK[connectivity]))


def detect_lesions(
    prediction: np.ndarray, truth: np.ndarray, *, least_iou: float = 0.3, connectivity: Connectivity = 26
) -> Detection:
    """Lesions found, made up and missed when parts are matched one to one (HECKTOR 2025: F1agg with IoU > 0.3).

    prediction, truth   (i, j, k) bool
    least_iou           a pair counts when its intersection over union is larger
    connectivity        what makes voxels one lesion

    Below an IoU of 0.5 a part can have several partners: the assignment with the most pairs is taken, among those the
    one with the largest sum of IoU (Kuhn 1955).
    """
    predicted, many_predicted = components(prediction, connectivity)
    true, many_true = components(truth, connectivity)
    both = prediction & truth
    pairs, common = np.unique(np.stack([predicted[both], true[both]]), axis=1, return_counts=True)
    sizes = [np.bincount(labels.ravel()) for labels in (predicted, true)]
    iou = common / (sizes[0][pairs[0]] + sizes[1][pairs[1]] - common)
    found = _most_pairs(pairs[:, iou > least_iou], iou[iou > least_iou])
    return Detection(found, many_predicted - found, many_true - found)


def unmatched_volume_ml(mask: np.ndarray, other: np.ndarray, *, voxel_ml: float, connectivity: Connectivity = 18) -> float:
    """Volume of the parts of a mask that share no voxel with the other mask, ml.

    autoPET's false positive volume is `unmatched_volume_ml(prediction, truth)`, its false negative volume
    `unmatched_volume_ml(truth, prediction)`, both with 18 neighbours.
    """
    labels, count = components(mask, connectivity)
    touched = np.zeros(count + 1, bool)
    touched[0] = True
    touched[labels[mask & other]] = True
    return float(np.bincount(labels.ravel())[~touched].sum()) * voxel_ml


def _most_pairs(pairs: np.ndarray, iou: np.ndarray) -> int:
    if iou.size == 0:
        return 0
    (rows, row), (columns, column) = (np.unique(labels, return_inverse=True) for labels in pairs)
    gain = np.zeros((len(rows), len(columns)))
    gain[row, column] = 1 + iou / (2 * len(iou))  # all IoU together weigh less than one pair
    chosen = linear_sum_assignment(gain, maximize=True)
    return int(np.count_nonzero(gain[chosen]))
