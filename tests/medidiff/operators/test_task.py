import pytest
import torch

from medidiff.operators.sampler import Drawing, level_grid
from medidiff.operators.settings import ControlSettings, SamplerSettings
from medidiff.operators.task import control, simulate
from tests.medidiff.operators.examples import asked, operator


@pytest.mark.parametrize("form", ["regression", "residual", "direct"])
def test_every_form_gives_trajectories_on_the_grid_of_the_problem(form):
    found = simulate(operator(form=form), asked(), members=3)
    members = 1 if form == "regression" else 3
    assert found.states.shape == (3, members, 1, 8, 16) and found.mean.shape == found.spread.shape == (3, 1, 8, 16)
    assert bool(found.states.isfinite().all()) and (found.spread.max() > 0) == (members > 1)
    assert found.numbers["network_calls"] == {"regression": 1, "residual": 10, "direct": 9}[form]


def test_members_do_not_depend_on_the_batch():
    model, problem = operator(), asked(5)
    whole, pieces = (simulate(model, problem, members=2, drawing=Drawing(3, batch)).states for batch in (64, 2))
    torch.testing.assert_close(whole, pieces, rtol=0, atol=1e-4)
    assert (simulate(model, problem, members=2, drawing=Drawing(4)).states - whole).abs().max() > 1e-3


def test_a_residual_model_with_nothing_left_over_answers_as_its_regression():
    model = operator(weights=0.0)
    found = simulate(model, asked(), members=1, sampler=SamplerSettings(method="restart", steps=4, sigma_min=0.3))
    assert found.states.abs().max() < 5.0
    plain = simulate(operator(form="regression", weights=0.0), asked())
    assert plain.states.abs().max() == 0


def test_levels_fall_from_the_first_to_zero():
    grid = level_grid(SamplerSettings(method="heun", steps=5))
    assert len(grid) == 6 and grid[0] == 20 and grid[-2] == 0.02 and grid[-1] == 0
    assert level_grid(SamplerSettings(method="restart", steps=1)).tolist() == [20.0, 0.0]


def test_few_steps_of_heun_are_refused():
    with pytest.raises(ValueError, match="heun multiplies the network's error below 5 steps"):
        SamplerSettings(method="heun", steps=4)


def test_control_keeps_the_draw_that_the_solver_likes_best():
    model, problem = operator(), asked()
    settings = ControlSettings(draws=4, sampler=SamplerSettings(method="euler", steps=3, sigma_min=0.3))
    still = lambda asked: asked.initial[:, :, None].expand_as(asked.forcing).contiguous()
    found = control(model, problem, 0.5 * problem.initial, solver=still, settings=settings)
    assert found.all_actual.shape == (3, 4) and found.forcing.shape == (3, 1, 8, 16)
    torch.testing.assert_close(found.actual, found.all_actual.amin(1))
    miss = (0.25 * problem.initial.square()).sum((1, 2)) / 16
    effort = 0.01 * found.forcing.square().sum((1, 2, 3)) * 0.25 / 16
    torch.testing.assert_close(found.actual, miss + effort)


def test_steering_lowers_the_predicted_objective():
    model, problem = operator(), asked()
    sampler = SamplerSettings(method="euler", steps=6, sigma_min=0.1)
    still = lambda asked: asked.initial[:, :, None].expand_as(asked.forcing).contiguous()
    cold, hot = (
        control(
            model,
            problem,
            problem.initial,
            solver=still,
            settings=ControlSettings(draws=4, temperature=temperature, sampler=sampler),
        ).all_predicted.mean()
        for temperature in (1e-3, 1e9)
    )
    assert cold < 0.1 * hot
