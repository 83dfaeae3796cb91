"""Overlap of masks."""

import math

import numpy as np
import pytest
import SimpleITK
import torch
from monai.metrics import DiceMetric

from medidiff.metrics.overlap import aggregated_dice, dice, jaccard, precision, sensitivity, volume_error


def cube(start, side=5, shape=(12, 11, 10)):
    mask = np.zeros(shape, bool)
    mask[tuple(slice(s, s + side) for s in start)] = True
    return mask


def random_pair(seed):
    rng = np.random.default_rng(seed)
    truth = rng.random((9, 8, 7)) < rng.uniform(0.1, 0.6)
    return truth ^ (rng.random(truth.shape) < 0.2), truth


def test_a_cube_of_five_shifted_by_one_has_dice_four_fifths():
    moved, still = cube((2, 2, 2)), cube((3, 2, 2))
    assert dice(moved, still) == pytest.approx(0.8)
    assert jaccard(moved, still) == pytest.approx(2 / 3)
    assert sensitivity(moved, still) == precision(moved, still) == pytest.approx(0.8)


def test_empty_masks_are_undefined_only_where_nothing_is_divided():
    empty, some = cube((0, 0, 0), 0), cube((1, 1, 1))
    assert math.isnan(dice(empty, empty))
    assert math.isnan(jaccard(empty, empty))
    assert dice(empty, some) == dice(some, empty) == 0
    assert math.isnan(sensitivity(some, empty))
    assert math.isnan(precision(empty, some))


def test_dice_of_two_cases_aggregated_on_paper():
    # 2 (10 + 5) / ((20 + 30) + (5 + 5)) = 0.5, while the mean of both cases is (0.4 + 1) / 2 = 0.7
    assert aggregated_dice([(10, 20, 30), (5, 5, 5)]) == pytest.approx(0.5)
    assert aggregated_dice([(10, 20, 30), (0, 0, 0)]) == pytest.approx(0.4)
    assert math.isnan(aggregated_dice([]))


def test_volume_error_has_a_sign():
    assert volume_error(cube((0, 0, 0), 4), cube((0, 0, 0), 2), voxel_ml=0.5) == (28.0, 700.0)
    assert volume_error(cube((0, 0, 0), 0), cube((0, 0, 0), 2), voxel_ml=0.5) == (-4.0, -100.0)
    assert math.isnan(volume_error(cube((0, 0, 0), 2), cube((0, 0, 0), 0), voxel_ml=1)[1])


@pytest.mark.parametrize("seed", range(6))
def test_overlap_equals_that_of_simpleitk_and_monai(seed):
    prediction, truth = random_pair(seed)
    images = [SimpleITK.GetImageFromArray(mask.astype(np.uint8)) for mask in (truth, prediction)]
    measure = SimpleITK.LabelOverlapMeasuresImageFilter()
    measure.Execute(*images)
    assert dice(prediction, truth) == pytest.approx(measure.GetDiceCoefficient(), abs=1e-12)
    assert jaccard(prediction, truth) == pytest.approx(measure.GetJaccardCoefficient(), abs=1e-12)
    tensors = [torch.from_numpy(mask[None, None].astype(np.float32)) for mask in (prediction, truth)]
    assert dice(prediction, truth) == pytest.approx(DiceMetric()(*tensors).item(), abs=1e-6)


def test_the_order_of_voxels_and_axes_does_not_matter():
    prediction, truth = random_pair(1)
    order = np.random.default_rng(2).permutation(truth.size)
    for measure in (dice, jaccard, sensitivity, precision):
        assert measure(prediction.ravel()[order], truth.ravel()[order]) == measure(prediction, truth)
