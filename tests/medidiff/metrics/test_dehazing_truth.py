"""Figures against truth: exact for errors that were made on purpose."""

import math

import numpy as np
import pytest

from medidiff.metrics.dehazing_truth import contrast_recovery_db, level_mae_db, nmse_db, truth_figures

RNG = np.random.default_rng(0)
A, B = np.zeros((60, 50), bool), np.zeros((60, 50), bool)
A[:25], B[30:] = True, True
NOISE = RNG.normal(size=(60, 50)) + 1j * RNG.normal(size=(60, 50))
TRUTH = NOISE * np.where(B, 0.01, 1.0)
HAZE = 0.1 * (RNG.normal(size=(60, 50)) + 1j * RNG.normal(size=(60, 50)))


def test_a_relative_error_of_a_tenth_is_twenty_decibels_down_and_phases_count():
    assert nmse_db(TRUTH * (1 + 0.1j), TRUTH) == pytest.approx(-20)
    assert nmse_db(-TRUTH, TRUTH) == pytest.approx(20 * math.log10(2))
    assert nmse_db(TRUTH, TRUTH) == -math.inf and math.isnan(nmse_db(TRUTH, 0 * TRUTH))


def test_an_error_outside_the_region_does_not_count():
    wrong = np.where(B, 5.0, TRUTH * 1.1)
    assert nmse_db(wrong, TRUTH, region=A) == pytest.approx(-20)


def test_levels_are_compared_as_shown():
    truth = np.array([1.0, 0.1, 1e-9, 1e-5])
    estimate = np.array([0.1, 0.1j, 1e-3, 0.0])
    assert level_mae_db(estimate, truth, reference=1.0) == pytest.approx(20 / 4)


def test_contrast_error_tells_haze_that_is_left_from_tissue_that_was_lost():
    regions = {"region_a": A, "region_b": B}
    assert contrast_recovery_db(np.where(B, 10 * TRUTH, TRUTH), TRUTH, **regions) == pytest.approx(-20)
    assert contrast_recovery_db(np.where(B, 0.1 * TRUTH, TRUTH), TRUTH, **regions) == pytest.approx(20)


def test_the_truth_itself_has_no_error_and_the_measurement_no_gain():
    y = TRUTH + HAZE
    best = truth_figures(TRUTH, TRUTH, y, region_a=A, region_b=B)
    assert best["nmse_db"] == -math.inf and best["contrast_error_db"] == 0 and best["gcnr_recovery"] == 1
    assert best["level_mae_db"] == best["ks_a"] == best["ks_b"] == 0 and best["grain_axial"] == best["grain_lateral"] == 1
    same = truth_figures(y, TRUTH, y, region_a=A, region_b=B)
    assert same["nmse_gain_db"] == 0 and same["gcnr_recovery"] == 0 and same["contrast_error_db"] < -15


def test_haze_has_the_power_that_was_added():
    y = TRUTH + HAZE
    found = truth_figures(y, TRUTH, y, region_a=A, region_b=B)
    assert found["nmse_a_db"] == pytest.approx(-20, abs=0.3) and found["nmse_b_db"] == pytest.approx(20, abs=0.3)
    assert found["speckle_snr"] == pytest.approx(1.913, rel=0.06)


def test_unfit_regions_leave_only_what_needs_none():
    found = truth_figures(TRUTH, TRUTH, TRUTH + HAZE, region_a=A, region_b=A)
    assert found["nmse_db"] == -math.inf and math.isnan(found["gcnr"]) and math.isnan(found["contrast_error_db"])
