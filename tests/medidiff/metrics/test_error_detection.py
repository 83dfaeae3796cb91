"""Uncertainty against errors: hand cases, uninformative scores, scikit-learn."""

import math

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from medidiff.metrics.error_detection import auprc, aurc, auroc, ueo

SCORE = np.array([0.9, 0.8, 0.7, 0.1])
WRONG = np.array([True, False, True, False])


def test_four_voxels_on_paper():
    assert auroc(SCORE, WRONG) == pytest.approx(3 / 4)  # of four pairs only (0.7, 0.8) is the wrong way round
    assert auprc(SCORE, WRONG) == pytest.approx((1 + 2 / 3) / 2)
    assert aurc(SCORE, WRONG) == pytest.approx((0 + 1 / 2 + 1 / 3 + 2 / 4) / 4)
    assert ueo(SCORE, WRONG) == (pytest.approx(4 / 5), 0.7)


def test_a_score_that_says_nothing_gets_chance():
    flat = np.zeros(10)
    wrong = np.arange(10) < 3
    assert auroc(flat, wrong) == 0.5
    assert auprc(flat, wrong) == pytest.approx(0.3)
    assert aurc(flat, wrong) == pytest.approx(0.3)
    assert ueo(flat, wrong)[0] == pytest.approx(2 * 3 / 13)


def test_a_perfect_score_gets_one_and_the_least_risk():
    wrong = np.arange(100) >= 80
    score = wrong.astype(float)
    assert auroc(score, wrong) == auprc(score, wrong) == ueo(score, wrong)[0] == 1
    k = np.arange(81, 101)
    assert aurc(np.arange(100.0), wrong) == pytest.approx(np.sum((k - 80) / k) / 100)


@pytest.mark.parametrize("seed", range(5))
def test_areas_equal_those_of_scikit_learn_with_ties(seed):
    rng = np.random.default_rng(seed)
    score, wrong = np.round(rng.random((6, 7, 8)), 1), rng.random((6, 7, 8)) < 0.2
    assert auroc(score, wrong) == pytest.approx(roc_auc_score(wrong.ravel(), score.ravel()), abs=1e-12)
    assert auprc(score, wrong) == pytest.approx(average_precision_score(wrong.ravel(), score.ravel()), abs=1e-12)


def test_ties_are_worth_the_mean_over_their_orders():
    rng = np.random.default_rng(0)
    score, wrong = rng.integers(0, 4, 30).astype(float), rng.random(30) < 0.4
    broken = [aurc(score + 1e-6 * rng.random(30), wrong) for _ in range(1000)]
    assert aurc(score, wrong) == pytest.approx(np.mean(broken), abs=4 * np.std(broken) / np.sqrt(1000))


def test_without_errors_detection_is_undefined():
    right = np.zeros(4, bool)
    assert all(math.isnan(value) for value in (auroc(SCORE, right), auprc(SCORE, right), *ueo(SCORE, right)))
    assert aurc(SCORE, right) == 0
