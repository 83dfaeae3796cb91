"""Speckle figures of fields whose statistics are known."""

import math

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from medidiff.metrics.speckle import RAYLEIGH_SNR, grain_width, speckle_snr


def _field(sigma, shape=(300, 300)):
    rng = np.random.default_rng(0)
    return sum(unit * gaussian_filter(rng.normal(size=shape), sigma, mode="wrap") for unit in (1, 1j))


def test_speckle_of_a_complex_normal_field_has_the_ratio_of_rayleigh():
    assert pytest.approx(1.913, abs=1e-3) == RAYLEIGH_SNR
    assert speckle_snr(np.abs(_field((0.5, 0.5)))) == pytest.approx(RAYLEIGH_SNR, rel=0.02)
    assert math.isnan(speckle_snr(np.ones(9)))


def test_grains_are_root_two_times_as_wide_as_the_point_spread_along_each_axis():
    field, region = _field((2.0, 3.5)), np.ones((300, 300), bool)
    full = math.sqrt(8 * math.log(2) * 2)
    assert grain_width(field, region, axis=-2) == pytest.approx(full * 2.0, rel=0.05)
    assert grain_width(field, region, axis=-1) == pytest.approx(full * 3.5, rel=0.05)


def test_only_pairs_within_the_region_count():
    field, region = _field((2.0, 2.0)), np.zeros((300, 300), bool)
    region[:, :150] = True
    before = grain_width(field, region, axis=-1)
    field[:, 150:] = 1e6
    assert grain_width(field, region, axis=-1) == before


def test_a_region_narrower_than_a_grain_has_no_width():
    region = np.zeros((40, 40), bool)
    region[:, 10:13] = True
    assert math.isnan(grain_width(_field((9.0, 9.0), (40, 40)), region, axis=-1))
