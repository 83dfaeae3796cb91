"""Means over cases with their intervals."""

import math

import numpy as np
import pytest

from medidiff.metrics.averages import average


def test_the_interval_of_many_normal_cases_is_that_of_their_mean():
    values = np.random.default_rng(0).normal(3, 2, 400)
    found = average(values)
    half = 1.96 * values.std() / 20
    assert found.mean == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - half, abs=0.03)
    assert found.high == pytest.approx(values.mean() + half, abs=0.03)


def test_the_interval_covers_the_true_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(1)
    hits = [interval.low <= 0 <= interval.high for interval in (average(rng.normal(size=30)) for _ in range(300))]
    assert 0.9 <= np.mean(hits) <= 0.98


def test_cases_without_a_value_are_left_out_and_one_case_has_no_interval():
    assert average([1.0, math.nan, 3.0]).cases == 2
    single = average([2.0])
    assert single.mean == 2 and math.isnan(single.low)
    assert math.isnan(average([]).mean)
