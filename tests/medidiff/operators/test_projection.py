import pytest
import torch

from medidiff.errors import ConfigError
from medidiff.operators.projection import Mass, Projected
from medidiff.operators.task import simulate
from tests.medidiff.operators.examples import CELLS, FRAMES, asked, operator


def mass_of(states):
    return states.mean(-1)


def test_a_projected_state_has_the_mass_of_the_initial_state_in_every_frame():
    model, problem = operator(forces=0), asked(forces=0)
    constraint = Mass(problem.initial.double()).of(model.encoding, (FRAMES, CELLS))
    z = torch.randn(3, 4, 4, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    kept = constraint.project(z)
    assert constraint.violation(z).max() > 0.1 and constraint.violation(kept).max() < 1e-12
    states = model.encoding.physical(kept, (FRAMES, CELLS))
    torch.testing.assert_close(mass_of(states), problem.initial.double().mean(-1)[:, :, None].expand(-1, -1, FRAMES))
    torch.testing.assert_close(constraint.project(kept), kept)


def test_the_projection_is_never_farther_from_a_state_that_keeps_its_mass():
    model, problem = operator(forces=0), asked(forces=0)
    constraint = Mass(problem.initial.double()).of(model.encoding, (FRAMES, CELLS))
    generator = torch.Generator().manual_seed(0)
    truth = constraint.project(torch.randn(3, 4, 4, 8, generator=generator, dtype=torch.float64))
    guess = truth + torch.randn(3, 4, 4, 8, generator=generator, dtype=torch.float64)
    before, after = ((one - truth).flatten(1).norm(dim=1) for one in (guess, constraint.project(guess)))
    assert bool((after < before).all())


def test_a_projected_denoiser_fulfils_the_constraint_on_what_is_diffused():
    model, problem = operator(forces=0), asked(forces=0)
    constraint = Mass(problem.initial.double()).of(model.encoding, (FRAMES, CELLS))
    offset = torch.randn(3, 4, 4, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    denoiser = Projected(lambda u, sigma: torch.tanh(u), constraint, offset, torch.tensor(0.3, dtype=torch.float64), 4)
    y = denoiser(torch.randn(3, 4, 4, 8, dtype=torch.float64), torch.ones(3, dtype=torch.float64))
    assert constraint.violation(offset + 0.3 * y).max() < 1e-12


@pytest.mark.parametrize("form", ["residual", "direct"])
def test_every_member_of_an_ensemble_keeps_its_mass(form):
    model, problem = operator(form=form, forces=0, boundary="periodic"), asked(forces=0)
    found = simulate(model, problem, members=3, conserve=True).states
    wanted = problem.initial.mean(-1)[:, None, :, None].expand(3, 3, 1, FRAMES)
    torch.testing.assert_close(mass_of(found), wanted, rtol=0, atol=1e-5)


def test_walls_are_said_not_to_keep_their_mass():
    with pytest.raises(ConfigError, match=r"operate\.conserve: burgers with walls ends does not keep its mass"):
        simulate(operator(), asked(), conserve=True)
