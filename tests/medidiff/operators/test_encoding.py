import torch

from medidiff.operators.encoding import measure
from medidiff.operators.layout import OperatorLayout
from medidiff.operators.problem import Problem
from tests.medidiff.operators.examples import solved


def test_the_training_set_has_root_mean_square_one_in_every_field():
    example = solved(8, fields=2, dtype=torch.float64)
    encoding = measure(OperatorLayout(("a", "b")), ("f",), example)
    z = encoding.state(example.states).unflatten(1, (2, 4))
    torch.testing.assert_close(z.square().mean((0, 2, 3, 4)), torch.ones(2, dtype=torch.float64))
    torch.testing.assert_close(encoding.physical(z.flatten(1, 2), (8, 16)), example.states)


def test_one_scale_per_field_keeps_the_ratio_of_bands():
    example = solved(8, dtype=torch.float64)
    encoding = measure(OperatorLayout(("u",), family="haar"), ("f",), example)
    error = encoding.state(example.states + 0.1) - encoding.state(example.states)
    torch.testing.assert_close(error.square().sum() * encoding.state_scale[0] ** 2, torch.tensor(0.01 * 8 * 8 * 16).double())


def test_the_condition_has_force_flag_initial_state_and_places():
    example = solved(5)
    encoding = measure(OperatorLayout(("u",)), ("f",), example)
    told = encoding.condition(example.problem)
    assert told.shape == (5, encoding.conditions, 4, 8) and encoding.conditions == 4 + 1 + 2 + 2
    assert encoding.given_channel == 4 and bool((told[:, 4] == 1).all())
    torch.testing.assert_close(told[:, :4].square().mean((0, 2, 3)), torch.ones(4))


def test_without_forces_nothing_is_said_of_them():
    example = solved(5, forces=0)
    encoding = measure(OperatorLayout(("u",)), (), example)
    assert encoding.given_channel is None and encoding.condition(example.problem).shape[1] == encoding.conditions == 4


def test_parameters_fill_the_range_of_the_training():
    example = solved(6)
    encoding = measure(OperatorLayout(("u",)), ("f",), example)
    told = encoding.parameters(example.problem)
    torch.testing.assert_close(told.amin(), torch.tensor(-0.5))
    torch.testing.assert_close(told.amax(), torch.tensor(0.5))
    same = Problem(*(value[:1] for value in (example.problem.initial, example.problem.forcing, example.problem.parameters)))
    assert measure(OperatorLayout(("u",)), ("f",), type(example)(same, example.states[:1])).parameters(same).abs().max() == 0
