"""Volume intervals and exact binomial intervals."""

import numpy as np
import pytest
from scipy.stats import binom

from medidiff.metrics.coverage import binomial_interval, volume_coverage


def test_the_ends_of_an_exact_interval_put_two_and_a_half_percent_beyond_them():
    low, high = binomial_interval(7, 20)
    assert binom.sf(6, 20, low) == pytest.approx(0.025)
    assert binom.cdf(7, 20, high) == pytest.approx(0.025)
    assert binomial_interval(0, 10) == (0.0, pytest.approx(1 - 0.025 ** (1 / 10)))
    assert binomial_interval(10, 10) == (pytest.approx(0.025 ** (1 / 10)), 1.0)
    assert binomial_interval(0, 0) == (0.0, 1.0)


def test_truths_drawn_like_the_members_are_covered_as_often_as_stated():
    rng = np.random.default_rng(0)
    members = rng.lognormal(2, 0.4, (2000, 99))
    found = volume_coverage(members, rng.lognormal(2, 0.4, 2000))
    assert found.low <= 0.9 <= found.high
    assert found.high - found.low < 0.03


def test_members_that_agree_too_much_cover_too_little():
    rng = np.random.default_rng(1)
    found = volume_coverage(rng.normal(10, 0.5, (400, 40)), rng.normal(10, 2, 400))
    assert found.high < 0.5


def test_two_cases_on_paper():
    members = np.tile(np.arange(21.0), (2, 1))  # central 90 %: 1 to 19
    assert volume_coverage(members, [1.0, 19.5]).share == 0.5


def test_few_members_are_refused():
    with pytest.raises(ValueError, match="found 8 members, expected at least 20"):
        volume_coverage(np.zeros((3, 8)), [0, 0, 0])
