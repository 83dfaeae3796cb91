import numpy as np
import pytest
import torch

from medidiff.operators.chamber import OPEN_SIDES, WALLS, draw_plumes, rim, solve, walls
from medidiff.operators.classical import classical_solver
from medidiff.operators.generate import generate
from medidiff.operators.problem import Problem
from medidiff.operators.systems import SystemSettings

SMOKE = SystemSettings(system="smoke", cells=32, frames=2, solver_cells=32, solver_frames=2, duration_s=0.25, viscosity=1e-3)
X = (np.arange(32) + 0.5) / 32


def test_the_chamber_has_sixteen_walls_and_seven_exits_on_every_grid():
    assert len(WALLS) == 16
    for cells in (32, 64):
        solid = walls(cells)
        assert float(solid.double().mean()) == pytest.approx(float(walls(32).double().mean()))
        sides = {"left": solid[0], "right": solid[-1], "top": solid[:, -1], "bottom": solid[:, 0]}
        gaps = {name: int((side[:-1] & ~side[1:]).sum()) for name, side in sides.items()}
        assert gaps == {"left": 2, "right": 2, "top": 3, "bottom": 0} and set(OPEN_SIDES) == set(gaps) - {"bottom"}


def test_draws_follow_their_law():
    drawn = draw_plumes(np.random.default_rng(0), 40)
    start = drawn.initial(X)
    assert float(start[:, 1:].max()) == 0 and set(np.unique(start)) == {0.0, 1.0}
    assert 0.7 * 11**2 / 64**2 < float(start[:, 0].mean()) < 1.5 * 11**2 / 64**2
    assert float(start[:, 0, :, 8:].max()) == 0  # below the lowest wall
    force = drawn.forcing(4, 32, rows=slice(0, 40))
    inside = ~rim(32).numpy()
    assert force.shape == (40, 2, 4, 32, 32) and float(np.abs(force[..., inside]).max()) == 0
    on_rim = force[..., ~inside]
    assert float(on_rim.std(-1).mean()) == pytest.approx(0.025, rel=0.05)
    assert np.allclose(on_rim.mean(-1), drawn.means, atol=0.01)  # four frames, four means
    assert np.array_equal(force[5:9], drawn.forcing(4, 32, rows=slice(5, 9)))


@pytest.mark.parametrize("dynamics", ["navier-stokes", "frozen"])
def test_smoke_leaves_by_exits_alone_and_walls_hold(dynamics):
    system = SMOKE.model_copy(update={"dynamics": dynamics})
    drawn = draw_plumes(np.random.default_rng(1), 2)
    start, control = torch.tensor(drawn.initial(X)), torch.tensor(drawn.forcing(2, 32, rows=slice(0, 2)))
    frames = solve(system, start, control, [0.125, 0.25])
    assert frames.shape == (2, 3, 2, 32, 32) and bool(frames.isfinite().all())
    assert float(frames[:, 0, :, walls(32)].abs().max()) == 0
    mass = frames[:, 0].sum((-2, -1))
    torch.testing.assert_close(mass, start[:, 0].sum((-2, -1))[:, None].expand(2, 2), rtol=1e-12, atol=0)  # too early to leave
    assert float(frames[:, 1:].abs().max()) > 1e-3


def test_a_generated_chunk_is_what_the_classical_solver_makes_of_its_forces():
    found = generate(SMOKE, "test", 0)
    assert found.u.shape == (64, 3, 2, 32, 32) and found.f.shape == (64, 2, 2, 32, 32) and len(found.space) == 2
    assert np.array_equal(found.solid[3, 0], walls(32).numpy())
    assert found.units["smoke"] == "1" and found.parameters == ("viscosity", "buoyancy")
    problem = Problem(*(torch.from_numpy(values[:2]) for values in (found.u0, found.f, found.theta)))
    again = classical_solver(SMOKE)(problem).numpy()
    assert float(np.abs(again - found.u[:2]).max()) < 1e-4


def test_grids_on_which_the_walls_cannot_stand_are_refused():
    with pytest.raises(ValueError, match="cells 48: the walls of the smoke's chamber need a multiple of 32"):
        SystemSettings(system="smoke", cells=48, solver_cells=96)
    with pytest.raises(ValueError, match="the chamber's walls need a multiple of 32 cells, found 16"):
        solve(SMOKE, torch.zeros(1, 3, 16, 16), torch.zeros(1, 2, 1, 16, 16), [0.1])
