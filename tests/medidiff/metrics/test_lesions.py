"""Lesions found, missed and made up."""

import itertools
import math

import numpy as np
import pytest

from medidiff.metrics.lesions import Detection, components, detect_lesions, unmatched_volume_ml


def boxes(*spans, shape=(30, 6, 6)):
    mask = np.zeros(shape, bool)
    for low, high in spans:
        mask[low:high, 1:4, 1:4] = True
    return mask


def test_a_pair_that_meets_at_a_corner_is_one_lesion_by_26_and_at_an_edge_by_18_neighbours():
    mask = np.zeros((6, 6, 6), bool)
    mask[0, 0, 0] = mask[1, 1, 1] = True  # corner, at the border of the volume
    mask[4, 4, 0] = mask[5, 5, 0] = True  # edge
    mask[0, 5, 5] = mask[1, 5, 5] = True  # face
    assert [components(mask, connectivity)[1] for connectivity in (6, 18, 26)] == [5, 4, 3]


def test_autopet_volumes_of_three_parts_on_paper():
    truth = np.zeros((8, 8, 8), bool)
    truth[1:3, 1:3, 1:3] = True  # 8 voxels, found in part
    truth[6, 6, 6] = True  # missed
    prediction = np.zeros_like(truth)
    prediction[2:4, 2, 2] = True  # touches the first
    prediction[4, 3, 3] = True  # meets that part at a corner: made up by 18 neighbours, part of it by 26
    prediction[0, 7, 0] = prediction[1, 6, 0] = True  # made up, one part by its edge
    assert unmatched_volume_ml(prediction, truth, voxel_ml=0.5) == pytest.approx(1.5)
    assert unmatched_volume_ml(prediction, truth, voxel_ml=0.5, connectivity=26) == pytest.approx(1.0)
    assert unmatched_volume_ml(truth, prediction, voxel_ml=0.5) == pytest.approx(0.5)


def test_only_what_was_made_up_counts_where_there_is_no_truth():
    empty, some = boxes(), boxes((2, 4))
    assert unmatched_volume_ml(some, empty, voxel_ml=1.0) == 18
    assert unmatched_volume_ml(empty, some, voxel_ml=1.0) == 0


def test_a_lesion_counts_from_beyond_the_least_iou():
    truth = boxes((0, 10))
    assert detect_lesions(boxes((0, 4)), truth) == Detection(1, 0, 0)  # 0.4
    assert detect_lesions(boxes((0, 3)), truth) == Detection(0, 1, 1)  # 0.3 is not more than 0.3
    assert detect_lesions(boxes((0, 3)), truth, least_iou=0.29) == Detection(1, 0, 0)


def test_the_most_pairs_are_matched_not_the_best_first():
    """One prediction spans two true lesions; the other fits only the first: greedy by IoU would lose a pair."""
    truth, prediction = np.zeros((40, 1, 1), bool), np.zeros((40, 1, 1), bool)
    truth[0:10], truth[11:19] = True, True
    prediction[0:4], prediction[5:19] = True, True
    # IoU: (p1, t1) 4/10, (p2, t1) 5/19, (p2, t2) 8/14
    assert detect_lesions(prediction, truth, least_iou=0.25) == Detection(2, 0, 0)


def brute_force(prediction, truth, least):
    (predicted, n), (true, m) = components(prediction, 26), components(truth, 26)
    iou = np.array(
        [
            [np.sum((predicted == i) & (true == j)) / np.sum((predicted == i) | (true == j)) for j in range(1, m + 1)]
            for i in range(1, n + 1)
        ]
    ).reshape(n, m)
    small, large = (iou, m) if n <= m else (iou.T, n)
    return max(
        sum(small[i, j] > least for i, j in enumerate(order)) for order in itertools.permutations(range(large), len(small))
    )


@pytest.mark.parametrize("seed", range(12))
def test_matching_equals_the_best_of_all_assignments(seed):
    rng = np.random.default_rng(seed)
    prediction, truth = np.zeros((2, 60, 1, 1), bool)
    for mask in (prediction, truth):
        for start in rng.choice(12, 6, replace=False):
            mask[5 * start : 5 * start + int(rng.integers(2, 5))] = True
    prediction = np.roll(prediction, 1)
    found = detect_lesions(prediction, truth, least_iou=0.1)
    assert found.found == brute_force(prediction, truth, 0.1)
    assert found.found + found.missed == components(truth, 26)[1]
    assert found.found + found.made_up == components(prediction, 26)[1]


def test_counts_of_a_cohort_add_up_to_one_f1():
    cohort = Detection(2, 1, 0) + Detection(0, 0, 3) + Detection(1, 0, 0)
    assert cohort == Detection(3, 1, 3)
    assert cohort.f1 == pytest.approx(6 / 10)
    assert (cohort.sensitivity, cohort.precision) == (0.5, 0.75)


def test_no_lesion_anywhere_is_undefined():
    nothing = detect_lesions(boxes(), boxes())
    assert nothing == Detection(0, 0, 0)
    assert all(math.isnan(value) for value in (nothing.f1, nothing.sensitivity, nothing.precision))
