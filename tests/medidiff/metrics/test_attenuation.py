"""Errors of CT numbers."""

import math

import numpy as np
import pytest
from scipy import ndimage

from medidiff.metrics.attenuation import body_mask, hu_errors, worst_region


def patient() -> np.ndarray:
    """Two slices: air, a body of soft tissue with a lung of the right half and a rib."""
    hu = np.full((2, 40, 40), -1000.0)
    hu[:, 5:35, 5:35] = 30
    hu[:, 10:20, 10:30] = -800
    hu[:, 25:28, 10:20] = 600
    return hu


def test_the_body_holds_the_lungs_and_not_the_table():
    hu = patient()
    hu[:, 38, :] = 100  # a table
    assert np.array_equal(body_mask(hu)[0], np.pad(np.ones((30, 30), bool), ((5, 5), (5, 5))))


def test_an_empty_field_has_no_body_and_no_errors():
    hu = np.full((2, 30, 30), -1000.0)
    body = body_mask(hu)
    assert not body.any()
    assert math.isnan(hu_errors(hu, hu, body=body)["mae_hu"])


def test_each_tissue_shows_its_own_error():
    hu = patient()
    body = body_mask(hu)
    x = hu + np.where(hu == -800, 40.0, np.where(hu == 600, -90.0, 0.0)) + np.where(body, 0.0, 500.0)
    errors = hu_errors(x, hu, body=body)
    assert (errors["bias_lung_hu"], errors["bias_bone_hu"], errors["bias_soft_hu"]) == (40, -90, 0)
    assert errors["mae_bone_hu"] == 90
    assert math.isnan(errors["mae_air_hu"])  # the body holds none
    assert errors["mae_hu"] == pytest.approx((200 * 40 + 30 * 90) / 900)
    assert errors["bias_hu"] == pytest.approx((200 * 40 - 30 * 90) / 900)
    assert errors["rmse_hu"] == pytest.approx(math.sqrt((200 * 1600 + 30 * 8100) / 900))


def test_the_worst_region_is_found_in_any_slice_and_place():
    error = np.random.default_rng(0).normal(size=(3, 40, 33))
    mean = ndimage.uniform_filter(error**2, (1, 25, 25))[:, 12:-12, 12:-12]
    assert worst_region(error) == pytest.approx(math.sqrt(mean.max()))
    spot = np.zeros((2, 60, 60))
    spot[1, 50:55, 3:8] = 10
    assert worst_region(spot) == pytest.approx(10 * 5 / 25)


def test_a_slice_smaller_than_a_region_is_one_region():
    assert worst_region(np.full((1, 8, 30), -3.0)) == pytest.approx(3)
