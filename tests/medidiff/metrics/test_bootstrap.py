"""Intervals by drawing patients."""

import math

import numpy as np
import pytest

from medidiff.metrics.bootstrap import bootstrap


def test_the_interval_of_a_mean_is_the_normal_one_for_many_patients():
    values = np.random.default_rng(0).normal(3, 2, 300)
    found = bootstrap(lambda cases: values[cases].mean(), [f"p{n}" for n in range(300)])
    assert found.value == values.mean() and found.patients == 300
    half = 1.96 * values.std() / np.sqrt(300)
    assert found.low == pytest.approx(values.mean() - half, abs=0.06)
    assert found.high == pytest.approx(values.mean() + half, abs=0.06)


def test_cases_of_one_patient_are_drawn_together():
    """Ten copies of each of 40 patients tell no more than 40 patients do."""
    values = np.random.default_rng(1).normal(size=40)
    alone = bootstrap(lambda cases: values[cases].mean(), [f"{n:02}" for n in range(40)])
    copies = np.repeat(values, 10)
    together = bootstrap(lambda cases: copies[cases].mean(), [f"{n:02}" for n in np.repeat(np.arange(40), 10)])
    assert (together.low, together.high) == (pytest.approx(alone.low), pytest.approx(alone.high))
    assert together.patients == 40


def test_a_ratio_of_sums_is_drawn_as_a_ratio_of_sums():
    part, whole = np.array([1.0, 0.0]), np.array([1.0, 9.0])
    found = bootstrap(lambda cases: part[cases].sum() / whole[cases].sum(), ["a", "b"])
    assert (found.low, found.value, found.high) == (0, 0.1, 1)


def test_one_patient_has_no_interval_and_draws_without_a_value_are_left_out():
    single = bootstrap(lambda cases: 2.0, ["a", "a"])
    assert single.value == 2 and math.isnan(single.low) and single.patients == 1
    values = np.array([1.0, math.nan])
    found = bootstrap(lambda cases: np.nanmean(values[cases]) if (cases == 0).any() else math.nan, ["a", "b"])
    assert (found.value, found.low, found.high) == (1, 1, 1)


def test_the_same_seed_gives_the_same_interval():
    values = np.arange(10.0)
    runs = [bootstrap(lambda cases: values[cases].mean(), list("abcdefghij"), seed=seed) for seed in (3, 3, 4)]
    assert runs[0] == runs[1] != runs[2]


def test_infinite_distances_stay_infinite():
    values = np.array([1.0, 2.0, math.inf])
    found = bootstrap(lambda cases: values[cases].mean(), list("abc"))
    assert found.value == found.high == math.inf and math.isfinite(found.low)
