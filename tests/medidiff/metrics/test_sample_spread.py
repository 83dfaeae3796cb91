"""Samples that are drawn as the truth was are found calibrated; others are not."""

import numpy as np
import pytest

from medidiff.metrics.sample_spread import sample_spread

RNG = np.random.default_rng(1)
REGION = np.ones((300, 200), bool)
REGION[:20] = False


def _noise(*shape):
    return RNG.normal(size=shape) + 1j * RNG.normal(size=shape)


def test_coverage_of_samples_like_the_truth_is_that_of_student():
    found = sample_spread(_noise(8, 300, 200), _noise(300, 200), region=REGION, step=2)
    assert found.coverage == pytest.approx(found.expected, abs=0.01) and found.expected == pytest.approx(0.90, abs=0.01)
    assert found.ranks.sum() == pytest.approx(1) and found.ranks == pytest.approx([1 / 9] * 9, abs=0.01)
    assert found.chi_square < 2.5


def test_many_samples_come_near_the_usual_95_percent():
    found = sample_spread(_noise(64, 60, 40), _noise(60, 40), region=np.ones((60, 40), bool))
    assert found.expected == pytest.approx(0.947, abs=0.005)


def test_samples_that_spread_too_little_cover_too_little():
    found = sample_spread(0.5 * _noise(8, 300, 200), _noise(300, 200), region=REGION, step=2)
    assert found.coverage < 0.7 and found.ranks[0] > 0.2 and found.chi_square > 50


def test_two_samples_are_refused():
    with pytest.raises(ValueError, match="at least 3"):
        sample_spread(_noise(2, 5, 5), _noise(5, 5), region=np.ones((5, 5), bool))
