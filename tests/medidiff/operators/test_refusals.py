from dataclasses import replace

import pytest
import torch

from medidiff.errors import DataError
from medidiff.operators.problem import Problem
from medidiff.operators.refusals import check_problem
from medidiff.operators.task import control
from tests.medidiff.operators.examples import FRAMES, asked, operator

MODEL = operator()


def test_a_problem_of_the_models_own_grid_is_taken():
    check_problem(MODEL, asked(), tuple(0.25 * (i + 1) for i in range(FRAMES)))


def test_another_grid_says_what_the_model_and_its_refiner_can():
    with pytest.raises(DataError, match=r"tiny: 24 points, the model was trained on 16 points \(refiner: 32, 64\)"):
        check_problem(MODEL, asked(cells=24))


def test_a_force_with_a_padding_row_says_to_drop_it():
    problem = asked()
    padded = torch.cat([problem.forcing, problem.forcing[:, :, :1]], 2)
    with pytest.raises(DataError, match=r"force has 9 intervals, 8 frames are asked\. Drop the padding row"):
        check_problem(MODEL, Problem(problem.initial, padded, problem.parameters))


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ([0.2 * (i + 1) for i in range(FRAMES)], "frames are 0.2 s apart, the model expects 0.25 s"),
        ([0.25, 0.5, 0.8, 1.05, 1.3, 1.55, 1.8, 2.05], "t jumps from 0.5 to 0.8 after frame 2; uniform frames are needed"),
        ([0.25, 0.5], "2 frames, the model gives 8"),
    ],
)
def test_other_frame_times_are_refused(times, message):
    with pytest.raises(DataError, match=message):
        check_problem(MODEL, asked(), tuple(times))


def test_values_that_are_not_finite_are_named():
    problem = asked()
    problem.initial[2, 0, 5] = float("nan")
    with pytest.raises(DataError, match=r"trajectory 2: 1 value of the initial state is not finite, first at index \(0, 5\)"):
        check_problem(MODEL, problem)


def test_a_parameter_outside_the_training_is_refused():
    problem = replace(asked(), parameters=torch.tensor([[1.0], [9.0], [1.0]]))
    with pytest.raises(DataError, match="trajectory 1: viscosity is 9, the model was trained on"):
        check_problem(MODEL, problem)


def test_other_fields_are_refused():
    problem = asked()
    two = Problem(problem.initial.expand(-1, 2, -1), problem.forcing, problem.parameters)
    with pytest.raises(DataError, match="tiny: 2 fields and 1 forces, expected u and f0"):
        check_problem(MODEL, two)


def test_a_target_of_another_shape_is_refused():
    with pytest.raises(DataError, match=r"target has shape \(3, 1, 5\), expected that of the initial states \(3, 1, 16\)"):
        control(MODEL, asked(), torch.zeros(3, 1, 5), solver=lambda problem: problem.forcing)
