import pytest
import torch

from medidiff.diffusion.noise import Noise
from medidiff.errors import ConfigError, DataError
from medidiff.operators.problem import Problem, Solved
from medidiff.operators.refine import Refining, measure_refinement
from medidiff.operators.restrict import cell_average, coarser
from medidiff.operators.task import ANSWER, simulate, super_resolve
from tests.medidiff.operators.examples import asked, operator, solved


def test_the_exact_detail_gives_the_fine_trajectory():
    fine = solved(4, cells=32, dtype=torch.float64)
    refinement = measure_refinement(("u",), ("f",), fine)
    found = refinement.joined(cell_average(fine.states, 2), refinement.detail(fine.states))
    torch.testing.assert_close(found, fine.states, rtol=0, atol=1e-12)


def test_of_two_axes_of_space_three_bands_are_detail_and_the_averages_of_squares_stay():
    generator = torch.Generator().manual_seed(0)
    draw = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)
    fine = Solved(Problem(draw(3, 2, 16, 8), draw(3, 1, 4, 16, 8), draw(3, 1)), draw(3, 2, 4, 16, 8))
    refinement = measure_refinement(("u", "v"), ("f",), fine)
    coarse, detail = cell_average(fine.states, 2, dims=2), refinement.detail(fine.states)
    assert detail.shape == (3, 6, 4, 8, 4) == (3, refinement.channels, 4, 8, 4)
    torch.testing.assert_close(refinement.joined(coarse, detail), fine.states, rtol=0, atol=1e-12)
    other = refinement.joined(coarse, draw(*detail.shape))
    torch.testing.assert_close(cell_average(other, 2, dims=2), coarse, rtol=0, atol=1e-12)
    assert refinement.condition(coarse, fine.problem).shape == (3, refinement.conditions, 4, 8, 4)


def test_refining_keeps_the_averages_whatever_the_network_says():
    model, problem = operator(weights=0.5), asked(cells=64)
    fine = super_resolve(model, problem, members=2)
    coarse = simulate(model, coarser(problem, 4), members=2, sampler=ANSWER)
    assert fine.states.shape == (3, 2, 1, 8, 64) and fine.numbers["doublings"] == 2
    torch.testing.assert_close(cell_average(fine.states, 4), coarse.states, rtol=0, atol=1e-5)
    assert fine.states.unflatten(-1, (-1, 2)).std(-1).max() > 0.01


def test_a_perfect_refiner_has_no_loss_at_either_scale_and_an_idle_one_has_loss_one():
    fine = solved(4, cells=64)
    refinement = measure_refinement(("u",), ("f",), fine)
    problem = fine.problem
    batch = {
        "states": fine.states,
        "forcing": problem.forcing,
        "initial": problem.initial,
        "parameters": problem.parameters,
        "told": problem.parameters,
    }
    details = {32: refinement.detail(fine.states), 16: refinement.detail(cell_average(fine.states, 2))}
    sizes = set()

    def perfect(condition, told):
        sizes.add(condition.shape[-1])
        return details[condition.shape[-1]]

    losses = [Refining(refinement)(batch, perfect, Noise(seed)) for seed in range(8)]
    assert max(losses) < 1e-10 and sizes == {16, 32}
    idle = Refining(refinement)(batch, lambda condition, told: torch.zeros_like(condition[:, :1]), Noise(0))
    torch.testing.assert_close(idle, torch.tensor(1.0))


def test_grids_that_are_no_doubling_and_models_without_a_refiner_are_refused():
    with pytest.raises(DataError, match="tiny: 24 cells, the refiner makes 32, 64, 128"):
        super_resolve(operator(), asked(cells=24))
    with pytest.raises(ConfigError, match="tiny: has no refiner"):
        super_resolve(operator(parts=["regression", "residual"]), asked(cells=32))
