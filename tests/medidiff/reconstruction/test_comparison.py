"""A volume against its reference: known errors give known numbers, and nothing is hidden by rescaling."""

import math

import numpy as np
import pytest

from medidiff.errors import DataError
from medidiff.io.volume import Volume
from medidiff.reconstruction.comparison import compare, part_on

AFFINE = np.array([[1.4, -0.5, 0.2, -9.0], [0.4, 1.9, 0.0, 3.0], [0.0, 0.3, 3.0, 5.0], [0.0, 0.0, 0.0, 1.0]])


def reference():
    """A cylinder of water with a core of bone in air, (i, j, k)."""
    i, j, k = np.meshgrid(np.arange(24), np.arange(20), np.arange(12), indexing="ij")
    distance = np.hypot(i - 12, j - 10) + 0 * k
    return Volume(np.where(distance < 3, 700.0, np.where(distance < 8, 0.0, -1000.0)).astype(np.float32), AFFINE)


def test_a_constant_error_gives_the_numbers_of_its_formula():
    truth = reference()
    numbers = compare(truth.with_array(truth.array + 20), truth, kind="ct", window_hu=(-1000, 1000))
    assert numbers["psnr_db"] == pytest.approx(20 * math.log10(2000 / 20))
    for plane in ("axial", "coronal", "sagittal"):
        assert numbers[f"psnr_{plane}_db"] == pytest.approx(20 * math.log10(2000 / 20))
        assert 0.9 < numbers[f"ssim_{plane}"] < 1
    assert numbers["mae_hu"] == pytest.approx(20) and numbers["bias_hu"] == pytest.approx(20)
    assert numbers["bias_bone_hu"] == pytest.approx(20) and numbers["bias_soft_hu"] == pytest.approx(20)


def test_a_wider_window_raises_the_noise_ratio_by_its_width_alone():
    truth = reference()
    wrong = truth.with_array(truth.array * 0.9)
    narrow, wide = (compare(wrong, truth, kind="ct", window_hu=window)["psnr_db"] for window in ((-1000, 1000), (-1000, 3000)))
    assert wide - narrow == pytest.approx(20 * math.log10(2))


def test_magnitudes_are_compared_with_the_range_of_the_reference_and_never_rescaled():
    truth = reference()
    magnitude = truth.with_array(truth.array + 1000)
    numbers = compare(magnitude.with_array(1.1 * magnitude.array), magnitude, kind="mr")
    assert numbers["nmse"] == pytest.approx(0.01, rel=1e-5)
    rms = 0.1 * math.sqrt(float((magnitude.array.astype(float) ** 2).mean()))
    assert numbers["psnr_db"] == pytest.approx(20 * math.log10(1700 / rms), abs=1e-4)
    assert "mae_hu" not in numbers


def test_a_stated_spread_is_held_against_the_error():
    truth = reference()
    numbers = np.random.default_rng(3)
    spread = numbers.uniform(5, 50, truth.array.shape).astype(np.float32)
    x = truth.with_array(truth.array + 3 * spread * numbers.normal(size=spread.shape).astype(np.float32))
    found = compare(x, truth, kind="ct", maps={"spread": truth.with_array(spread)})
    assert found["error_over_spread"] == pytest.approx(3, rel=0.1)
    assert found["error_spread_correlation"] > 0.3
    assert "error_over_spread" not in compare(x, truth, kind="ct", maps={"spread": truth.with_array(0 * spread)})


def test_an_interval_is_counted_where_it_holds_the_truth():
    truth = reference()
    half = np.where(np.arange(12) % 2, 30.0, 10.0) * np.ones(truth.array.shape)
    found = compare(truth.with_array(truth.array + 20), truth, kind="ct", maps={"half_width": truth.with_array(half)})
    assert found["coverage"] == pytest.approx(0.5) and found["mean_half_width"] == pytest.approx(20)


def test_another_grid_is_refused():
    truth = reference()
    moved = AFFINE.copy()
    moved[0, 3] += 0.5
    with pytest.raises(DataError, match=r"found different grids, expected one within 0.001 mm"):
        compare(Volume(truth.array, moved), truth, kind="ct")


def test_the_middle_that_a_challenge_keeps_is_cut_out_and_another_grid_is_left_alone():
    whole = reference()
    affine = AFFINE.copy()
    affine[:3, 3] += AFFINE[:3, :3] @ (3, 2, 1)
    part = part_on(whole, Volume(np.zeros((10, 12, 11)), affine).grid)
    np.testing.assert_array_equal(part.array, whole.array[3:13, 2:14, 1:12])
    affine[0, 3] += 0.4
    assert part_on(whole, Volume(np.zeros((10, 12, 11)), affine).grid) is whole
