import math

import numpy as np
import pytest

from medidiff.errors import DataError
from medidiff.metrics.ensemble import coverage, crps, rank_chi2, rank_histogram, spread_skill


def _draws(members, sigma=1.0, count=20000):
    generator = np.random.default_rng(4)
    return sigma * generator.normal(size=(count, members)), generator.normal(size=count)


def test_the_score_of_one_member_is_the_mean_absolute_error():
    assert crps(np.array([[1.0], [4.0]]), np.array([0.0, 2.0])) == pytest.approx(1.5)


def test_the_score_of_two_members_is_by_hand():
    assert crps(np.array([[1.0, 5.0]]), np.array([2.0])) == pytest.approx((1 + 3) / 2 - 4 / 2)


@pytest.mark.parametrize("members", [2, 3, 8])
def test_the_score_of_a_calibrated_normal_ensemble_does_not_depend_on_how_many_members_it_has(members):
    assert crps(*_draws(members)) == pytest.approx(1 / math.sqrt(math.pi), rel=0.03)


@pytest.mark.parametrize(("sigma", "expected"), [(1.0, 1.0), (0.5, 0.5 * math.sqrt(9 / 8 / (1 + 0.25 / 8)))])
def test_spread_over_skill_is_one_for_a_calibrated_ensemble_and_less_for_one_that_is_too_sure(sigma, expected):
    assert spread_skill(*_draws(8, sigma)) == pytest.approx(expected, rel=0.02)


def test_ranks_are_flat_for_a_calibrated_ensemble_and_heap_up_at_the_ends_of_one_that_is_too_sure():
    flat, sure = rank_histogram(*_draws(4)), rank_histogram(*_draws(4, 0.3))
    assert np.allclose(flat, 0.2, atol=0.02)
    assert sure[0] > 0.3
    assert sure[-1] > 0.3
    assert rank_chi2(*_draws(4)) < 0.01 < rank_chi2(*_draws(4, 0.3))


def test_ties_are_spread_over_their_ranks():
    assert np.allclose(rank_histogram(np.array([[1.0, 1.0, 2.0]]), np.array([1.0])), [1 / 3, 1 / 3, 1 / 3, 0])


def test_a_truth_always_at_one_rank_has_chi_square_of_the_number_of_members():
    assert rank_chi2(np.ones((5, 3)), np.zeros(5)) == pytest.approx(3.0)


def test_coverage_is_the_share_within_the_half_width():
    assert coverage(np.zeros(4), np.ones(4), np.array([0.5, -1.0, 1.5, -3.0])) == 0.5


def test_an_ensemble_that_does_not_fit_its_truth_is_refused():
    with pytest.raises(DataError, match="found members"):
        crps(np.zeros((2, 3, 4)), np.zeros((2, 5)))
    with pytest.raises(DataError, match="2 members or more"):
        spread_skill(np.zeros((2, 1)), np.zeros(2))
