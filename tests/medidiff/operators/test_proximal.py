import pytest
import torch

from medidiff.operators.control import FinalTarget, Rows
from medidiff.operators.proximal import Proximal
from tests.medidiff.operators.examples import CELLS, FRAMES, operator, solved


def rows_of(model, example, *, weight=0.1):
    objective = FinalTarget(example.problem.initial, weight, dx=1 / CELLS, dt=0.25)
    return objective, Rows(objective, model.encoding, (FRAMES, CELLS))


def test_the_squared_distance_of_the_rows_to_their_goal_is_the_objective():
    model, example = operator(), solved(3, dtype=torch.float64)
    objective, rows = rows_of(model, example)
    y = torch.randn(3, 8, 4, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    states, forcing = rows.physical(y)
    distance = (rows.forward(y) - objective.goal(forcing[0].numel())).square().sum(1)
    torch.testing.assert_close(distance, objective.value(states[:, None], forcing[:, None])[:, 0])


def test_the_objective_of_constants_is_known():
    target = torch.full((1, 1, 10), 2.0)
    objective = FinalTarget(target, 0.5, dx=0.1, dt=0.2)
    states, forcing = torch.full((1, 1, 1, 5, 10), 5.0), torch.full((1, 1, 1, 5, 10), 3.0)
    torch.testing.assert_close(objective.value(states, forcing), torch.tensor([[9.0 + 0.5 * 9.0]]))


def test_the_transpose_of_the_rows_is_their_adjoint():
    model, example = operator(), solved(3, dtype=torch.float64)
    _, rows = rows_of(model, example)
    generator = torch.Generator().manual_seed(0)
    y = torch.randn(3, 8, 4, 8, generator=generator, dtype=torch.float64)
    r = torch.randn(rows.forward(y).shape, generator=generator, dtype=torch.float64)
    torch.testing.assert_close((rows.forward(y) * r).sum(), (y * rows.adjoint(r)).sum(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("sigma", [0.05, 1.0, 20.0])
def test_steered_states_minimise_distance_plus_objective(sigma):
    model, example = operator(), solved(2, dtype=torch.float64)
    objective, rows = rows_of(model, example)
    goal, temperature = objective.goal(FRAMES * CELLS), 0.3
    centre = torch.randn(2, 8, 4, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    steered = Proximal(lambda u, s: centre, rows.forward, rows.adjoint, goal, temperature, iterations=300)
    y = steered(centre, torch.full((2,), sigma, dtype=torch.float64)).requires_grad_(True)
    r2 = sigma**2 / (1 + sigma**2)
    cost = (y - centre).square().sum() / (2 * r2) + (rows.forward(y) - goal).square().sum() / temperature
    (gradient,) = torch.autograd.grad(cost, y)
    assert gradient.abs().max() < 1e-4 * rows.adjoint(goal).abs().max() / temperature


def test_an_infinite_temperature_steers_nothing():
    model, example = operator(), solved(2)
    objective, rows = rows_of(model, example)
    centre = torch.randn(2, 8, 4, 8, generator=torch.Generator().manual_seed(1))
    free = Proximal(lambda u, s: centre, rows.forward, rows.adjoint, objective.goal(FRAMES * CELLS), float("inf"))
    assert torch.equal(free(centre, torch.ones(2, dtype=torch.float64)), centre)
