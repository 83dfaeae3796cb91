"""Agreement of a predicted mask with the truth."""

import math

import numpy as np
import pytest
from nibabel.eulerangles import euler2mat

from medidiff.errors import DataError
from medidiff.io.nifti import read_nifti
from medidiff.io.volume import Volume
from medidiff.segmentation.evaluation import evaluate
from medidiff.segmentation.task import segment


def mask(start, *, side=5, move=0.0):
    affine = np.eye(4)
    affine[:3, :3] = euler2mat(0.1, 0.3, -0.2) @ np.diag([2.0, 1.0, 4.0])
    affine[:3, 3] = -20.0 + move, 35.0, 410.0
    array = np.zeros((16, 15, 14), np.uint8)
    array[tuple(slice(s, s + side) for s in start)] = 1
    return Volume(array, affine)


def test_a_shifted_cube_on_paper():
    found = evaluate(mask((3, 4, 4)), mask((4, 4, 4)))
    assert found["dice"] == pytest.approx(0.8)
    assert found["volume_ml"] == found["truth_ml"] == pytest.approx(125 * 8 / 1000)
    assert found["volume_error_ml"] == found["volume_error_percent"] == 0
    assert found["hd95_voxel_mm"] == pytest.approx(2.0)
    assert found["hd95_surfel_mm"] == pytest.approx(2.0)
    assert found["nsd"] == 1.0
    assert (found["lesions_found"], found["lesions_made_up"], found["lesions_missed"], found["lesion_f1"]) == (1, 0, 0, 1)
    assert found["false_positive_ml"] == found["false_negative_ml"] == 0


def test_an_empty_prediction_has_no_overlap_and_is_infinitely_far():
    found = evaluate(mask((0, 0, 0), side=0), mask((4, 4, 4)))
    assert found["dice"] == found["lesion_f1"] == found["nsd"] == 0
    assert found["hd95_surfel_mm"] == math.inf
    assert found["false_negative_ml"] == pytest.approx(1.0)


def test_two_empty_masks_are_undefined_in_overlap_and_equal_in_surface():
    found = evaluate(mask((0, 0, 0), side=0), mask((0, 0, 0), side=0))
    assert math.isnan(found["dice"])
    assert (found["hd95_surfel_mm"], found["nsd"]) == (0, 1)


def test_masks_on_different_grids_are_refused_with_both_affines():
    with pytest.raises(DataError, match=r"(?s)different grids.*prediction.*-19\.99.*truth.*-20\."):
        evaluate(mask((4, 4, 4), move=0.01), mask((4, 4, 4)))
    assert evaluate(mask((4, 4, 4), move=5e-4), mask((4, 4, 4)))["dice"] == 1


def test_values_within_a_thousandth_are_rounded_and_other_labels_refused():
    one = mask((4, 4, 4))
    assert evaluate(one.with_array(one.array * 0.9995), one)["dice"] == 1
    with pytest.raises(DataError, match=r"the truth has the values 0, 2, expected 0 and 1"):
        evaluate(one, one.with_array(one.array * 2))
    with pytest.raises(DataError, match=r"the prediction has the values 0, 0\.7"):
        evaluate(one.with_array(one.array * 0.7), one)


@pytest.mark.realdata
def test_a_real_threshold_mask_is_measured_on_both_grids(mirror):
    folder = mirror / "petct_sts/nifti_native/STS_008"
    ct, pet, truth = (read_nifti(folder / f"{name}.nii.gz") for name in ("CT_image", "PET_image", "PET_mask"))
    found = evaluate(segment(ct, pet, method="suv2").mask, truth)
    assert found["dice"] == pytest.approx(0.752, abs=1e-3)
    assert found["lesions_found"] == 1
    assert 0 < found["assd_mm"] < found["hd95_voxel_mm"] < 100
