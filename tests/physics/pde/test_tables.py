"""Errors of the solvers at the resolutions that reports of them name: longer than the tests of their orders."""

import math
from itertools import pairwise

import pytest
import torch

from physics.pde.burgers import burgers
from physics.pde.control import BurgersControl
from physics.pde.euler import Gas, compressible
from physics.pde.riemann import exact_riemann
from tests.physics.pde.test_burgers import centres, exact, sine, volume_error
from tests.physics.pde.test_riemann import states

F64 = torch.float64
pytestmark = pytest.mark.slow


def test_burgers_with_a_tenth_of_the_viscosity_needs_eight_times_the_cells():
    errors = []
    for cells in (512, 1024):
        u = burgers(sine(centres(cells)).reshape(1, 1, -1), None, viscosity=0.001, times=[0.25, 0.5], boundary="periodic")
        errors.append(float((u[0, 0, -1] - exact(centres(cells), viscosity=0.001)).abs().max()))
    assert errors[1] < 1e-4 and errors[0] > 50 * errors[1], errors  # faster than any order, once the shock has cells


@pytest.mark.parametrize("reconstruction, order, bound", [("weno", 4.0, 5e-7), ("muscl", 1.8, 1.4e-4)])
def test_volumes_of_burgers_reach_their_order_on_fine_grids(reconstruction, order, bound):
    errors = [volume_error(cells, reconstruction) for cells in (240, 480)]
    assert errors[1] < bound and abs(math.log2(errors[0] / errors[1]) - order) < 0.35, errors


@pytest.mark.parametrize(
    "name, end, muscl, weno",
    [("Sod", 0.2, (1.7e-3, 1.2e-3), (1.4e-3, 9.5e-4)), ("Lax", 0.13, (7.7e-3, 4.6e-3), (6.7e-3, 3.9e-3))],
)
def test_shock_tubes_have_the_errors_of_their_reconstruction(name, end, muscl, weno):
    sides = list(states(name))
    for reconstruction, bounds in (("muscl", muscl), ("weno", weno)):
        errors = []
        for cells in (256, 512):
            x = (torch.arange(cells, dtype=F64) + 0.5) / cells
            start = torch.where(x < 0.5, sides[0].unsqueeze(-1), sides[1].unsqueeze(-1))
            found = compressible(start, [end], gas=Gas(1.4), reconstruction=reconstruction)[0, 0, -1]
            xi = ((torch.arange(16 * cells, dtype=F64) + 0.5) / cells / 16 - 0.5) / end
            true = exact_riemann(*sides, 1.4, xi)[0][0, 0].reshape(cells, 16).mean(-1)
            errors.append(float((found - true).abs().mean()))
        assert all(error < bound for error, bound in zip(errors, bounds, strict=True)), (reconstruction, errors)
        assert all(before > 1.3 * after for before, after in pairwise(errors))


def test_the_optimal_force_of_the_published_size_costs_a_hundredth_of_none():
    """120 cells, 80 frames in 8 s, 10 sub-steps; the target is reached by a known force."""
    x, times = centres(120), torch.arange(1, 81, dtype=F64) / 10
    u0 = (1.5 * torch.exp(-0.5 * ((x - 0.3) / 0.1) ** 2) - torch.exp(-0.5 * ((x - 0.7) / 0.1) ** 2)).reshape(1, 1, -1)
    force = torch.exp(-0.5 * ((times[:, None] - 6) / 1.5) ** 2) * torch.exp(-0.5 * ((x - 0.6) / 0.2) ** 2)
    unaimed = BurgersControl(u0, u0, times, substeps=10)
    task = BurgersControl(u0, unaimed.run(force[None, None])[:, :, -1], times, substeps=10)
    found = task.optimise(iterations=20)
    none, made = (float(task.objective(scale * force[None, None])) for scale in (0.0, 1.0))
    assert float(found.objective) < 0.02 * none and float(found.objective) < 0.2 * made
    assert found.evaluations <= 25 + 25
