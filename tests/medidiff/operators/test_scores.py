import pytest
import torch

from medidiff.operators.problem import Problem, Solved
from medidiff.operators.scores import calibrated, relative_errors, scores_of
from tests.medidiff.operators.examples import operator, solved


def inside(example):
    problem = example.problem
    return Solved(Problem(problem.initial, problem.forcing, torch.ones_like(problem.parameters)), example.states)


def test_fields_of_other_units_count_alike():
    truth = torch.ones(2, 2, 4, 8)
    truth[:, 1] = 1000.0
    found = truth.clone()
    found[:, 0] += 0.1
    assert relative_errors(found, truth) == pytest.approx([0.1 / 2**0.5] * 2, rel=1e-6)


def test_scores_tell_of_answer_ensemble_and_refinement():
    model = calibrated(operator(), inside(solved(8, seed=4)), members=3)
    assert len(model.card.inflation) == 4 and model.card.interval_factor > 0
    scores = scores_of(model, inside(solved(6, seed=5, cells=64)), members=3)
    assert scores["trajectories"] == 6 and scores["members"] == 3
    assert {"relative_l2", "spread_skill", "crps", "coverage_0.9", "relative_l2_2x", "relative_l2_4x_interpolated"} <= set(scores)


def test_a_regression_has_no_ensemble_to_score():
    model = calibrated(operator(form="regression", parts=["regression"]), inside(solved(4)), members=3)
    assert "spread_skill" not in scores_of(model, inside(solved(4)), members=3)
