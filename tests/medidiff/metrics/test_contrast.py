"""Contrast figures of distributions whose values are known in closed form."""

import math

import numpy as np
import pytest
from scipy.stats import norm

from medidiff.metrics.contrast import cnr_challenge, cnr_db, contrast_db, eroded, gcnr, ks_distance, unfit


def _speckle(count, power, seed):
    return np.random.default_rng(seed).rayleigh(math.sqrt(power / 2), count)


def _closed_form(ratio_db):
    """gCNR, and KS distance, of two Rayleigh densities with one crossing."""
    k = 10 ** (ratio_db / 10)
    return k ** (-1 / (k - 1)) - k ** (-k / (k - 1))


@pytest.mark.parametrize(("ratio_db", "value"), [(3, 0.2492), (6, 0.4711), (10, 0.6968), (20, 0.9450), (30, 0.9921)])
def test_gcnr_and_ks_of_speckle_are_the_closed_form(ratio_db, value):
    a, b = _speckle(100_000, 10 ** (ratio_db / 10), 1), _speckle(100_000, 1.0, 2)
    assert _closed_form(ratio_db) == pytest.approx(value, abs=6e-5)
    assert gcnr(a, b).value == pytest.approx(value, abs=0.008)
    assert ks_distance(a, b) == pytest.approx(value, abs=0.006)


def test_gcnr_of_two_normal_distributions_is_the_closed_form():
    rng = np.random.default_rng(0)
    found = gcnr(rng.normal(0, 1, 100_000), rng.normal(1.5, 1, 100_000)).value
    assert found == pytest.approx(1 - 2 * norm.cdf(-0.75), abs=0.008)


def test_gcnr_is_not_below_the_ks_distance_but_for_the_width_of_bins():
    rng = np.random.default_rng(3)
    a, b = rng.normal(0, 3, 5000), rng.normal(0, 1, 5000)
    assert gcnr(a, b).value > ks_distance(a, b) + 0.1


def test_rank_bins_do_not_change_under_a_monotone_map_and_equal_bins_do():
    a, b = _speckle(800, 4.0, 5), _speckle(700, 1.0, 6)
    decibels = lambda v: 20 * np.log10(v)
    assert gcnr(a, b).value == gcnr(decibels(a), decibels(b)).value
    assert gcnr(a, b, bins="challenge").value != gcnr(decibels(a), decibels(b), bins="challenge").value


def test_many_bins_of_few_samples_raise_the_value_and_the_note_says_so():
    pairs = [(_speckle(300, 10**0.3, 2 * s), _speckle(300, 1.0, 2 * s + 1)) for s in range(40)]
    equal, rank = ([gcnr(a, b, bins=rule) for a, b in pairs] for rule in ("challenge", "rank"))
    assert np.mean([g.value for g in equal]) == pytest.approx(0.45, abs=0.03)
    assert np.mean([g.value for g in rank]) == pytest.approx(0.29, abs=0.03)
    assert all("256 bins for 300 samples raise" in g.note for g in equal) and not any(g.note for g in rank)


@pytest.mark.parametrize("bins", ["challenge", "rank"])
def test_the_bias_is_the_mean_value_for_equal_distributions(bins):
    found = [gcnr(_speckle(400, 1.0, 2 * s), _speckle(600, 1.0, 2 * s + 1), bins=bins) for s in range(60)]
    assert np.mean([g.bias for g in found]) == pytest.approx(np.mean([g.value for g in found]), rel=0.12)


def test_bins_and_samples_are_reported():
    found = gcnr(_speckle(400, 1.0, 0), _speckle(900, 1.0, 1))
    assert (found.rule, found.bins, found.samples) == ("rank", 20, (400, 900))


def test_a_region_of_fewer_than_fifty_samples_has_no_value_but_a_reason():
    found = gcnr(np.ones(49), np.ones(500))
    assert math.isnan(found.value) and "49 and 500" in found.note


def test_a_black_region_is_told_apart_wholly():
    assert gcnr(_speckle(500, 1.0, 0), np.zeros(500)).value == 1.0


def test_figures_of_three_grey_values_are_what_a_hand_computes():
    a, b = np.array([100, 110, 120] * 20, np.uint8), np.array([10, 20, 110] * 20, np.uint8)
    assert gcnr(a, b, bins="challenge").value == pytest.approx(2 / 3)
    assert ks_distance(a, b) == pytest.approx(2 / 3)
    var_a, var_b = 200 / 3, (36.6667**2 + 26.6667**2 + 63.3333**2) / 3
    assert cnr_challenge(a, b) == pytest.approx((110 - 46.6667) / math.sqrt(var_a + var_b), rel=1e-5)
    assert cnr_db(a, b) == pytest.approx(20 * math.log10(63.3333 / math.sqrt((var_a + var_b) / 2)), rel=1e-5)


def test_contrast_is_of_powers_and_black_is_infinitely_far():
    assert contrast_db(np.array([10.0, 10j]), np.array([1.0, -1.0])) == pytest.approx(20.0)
    assert contrast_db(np.ones(3), np.zeros(3)) == math.inf and math.isnan(contrast_db(np.zeros(3), np.zeros(3)))


def test_constant_regions_have_no_noise_to_compare_with():
    assert math.isnan(cnr_challenge(np.ones(60), np.zeros(60))) and math.isnan(cnr_db(np.ones(60), np.zeros(60)))


def test_erosion_takes_the_rim_but_not_the_edges_of_the_frame():
    region = np.zeros((2, 30, 40), bool)
    region[0, 5:25, 0:30] = True
    left = eroded(region, axial=3, lateral=4)
    expected = np.zeros_like(region)
    expected[0, 8:22, 0:26] = True
    assert np.array_equal(left, expected)


def test_unfit_regions_say_why():
    a, b = np.zeros((20, 20), bool), np.zeros((20, 20), bool)
    a[:10], b[9:] = True, True
    assert "share 20 samples" in unfit(a, b) and "200 and 0" in unfit(a, np.zeros_like(b))
    b[9] = False
    assert unfit(a, b) == ""
