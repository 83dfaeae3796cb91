import math

import numpy as np
import pytest

from medidiff.errors import DataError
from medidiff.metrics.pde import error_over_time, mean_square, pdebench_metrics, relative_l2


def _target(*shape):
    return np.random.default_rng(1).normal(size=shape) + 3


def test_an_error_of_one_everywhere_is_one_by_every_mean():
    target = _target(3, 2, 4, 16)
    found = pdebench_metrics(target + 1, target, lengths=(2.0,))
    for name in ("rmse", "crmse", "brmse", "max_error"):
        assert found[name] == pytest.approx(1.0), name
    assert found["frmse_low"] == pytest.approx(2.0 / 4)  # wave number 0 alone, of four


def test_an_error_of_one_in_two_dimensions_is_one_with_corners_counted_twice():
    target = _target(2, 1, 3, 8, 12)
    found = pdebench_metrics(target + 1, target, lengths=(1.0, 1.0))
    for name in ("rmse", "crmse", "brmse", "max_error"):
        assert found[name] == pytest.approx(1.0), name
    corner = target.copy()
    corner[..., 0, 0] += 1
    assert pdebench_metrics(corner, target, lengths=(1.0, 1.0))["brmse"] == pytest.approx(math.sqrt(2 / (2 * 8 + 2 * 12)))


@pytest.mark.parametrize(("wave", "band", "width"), [(3, "low", 4), (5, "mid", 8), (13, "high", 5)])
def test_a_cosine_has_half_the_length_at_its_wave_number(wave, band, width):
    x = np.arange(32) / 32
    target = _target(2, 1, 3, 32)
    found = pdebench_metrics(target + np.cos(2 * math.pi * wave * x), target, lengths=(3.0,))
    assert found[f"frmse_{band}"] == pytest.approx(1.5 / width)
    assert found["crmse"] == pytest.approx(0, abs=1e-12)
    assert found["rmse"] == pytest.approx(math.sqrt(0.5))


def test_one_quadrant_misses_waves_that_run_to_the_other_diagonal():
    x, y = np.meshgrid(np.arange(16) / 16, np.arange(16) / 16, indexing="ij")
    target = _target(1, 1, 1, 16, 16)
    wave = np.cos(2 * math.pi * (2 * x - 2 * y))
    both = [pdebench_metrics(target + wave, target, lengths=(1.0, 1.0), is_quadrant=only)["frmse_low"] for only in (False, True)]
    assert both[0] == pytest.approx(math.sqrt(0.5) / 4)  # two coefficients of 1/2 in shell 2, of four shells
    assert both[1] == pytest.approx(0, abs=1e-12)


def test_the_normalised_error_is_of_each_frame_alone_and_infinite_for_zeros():
    target = np.ones((2, 1, 2, 8)) * np.array([1.0, 10.0])[None, None, :, None]
    assert pdebench_metrics(target + 1, target, lengths=(1.0,))["nrmse"] == pytest.approx((1 + 0.1) / 2)
    assert math.isinf(pdebench_metrics(target + 1, 0 * target, lengths=(1.0,))["nrmse"])


def test_biases_of_two_signs_do_not_cancel_between_trajectories():
    target = _target(2, 1, 1, 8)
    bias = np.array([1.0, -1.0]).reshape(2, 1, 1, 1)
    assert pdebench_metrics(target + bias, target, lengths=(1.0,))["crmse"] == pytest.approx(1.0)


def test_the_relative_error_of_a_scaled_trajectory_is_the_scale():
    target = _target(3, 2, 4, 8)
    scale = np.array([0.1, 0.2, -0.3])
    assert np.allclose(relative_l2(target * (1 + scale[:, None, None, None]), target), np.abs(scale))
    assert mean_square(target + 0.5, target) == pytest.approx(0.25)


def test_error_over_time_is_relative_to_the_largest_frame():
    target = np.ones((1, 1, 2, 8)) * np.array([4.0, 1e-9])[None, None, :, None]
    assert np.allclose(error_over_time(target + 1, target), 0.25)


def test_trajectories_on_different_grids_are_refused():
    with pytest.raises(DataError, match=r"found shapes .* expected the same .*Resample"):
        relative_l2(_target(1, 1, 4, 8), _target(1, 1, 4, 16))
    with pytest.raises(DataError, match="lengths: found 2"):
        pdebench_metrics(_target(1, 1, 4, 8), _target(1, 1, 4, 8), lengths=(1.0, 1.0))
