import math

import pytest
import torch

from physics.pde.control import BurgersControl, minimise

F64 = torch.float64
CELLS, FRAMES = 24, 6


@pytest.fixture
def problem():
    """Two states of which a known force makes the targets."""
    x = (torch.arange(CELLS, dtype=F64) + 0.5) / CELLS
    u0 = torch.stack([torch.sin(math.pi * x), -0.5 * torch.sin(2 * math.pi * x)]).unsqueeze(1)
    times = torch.arange(1, FRAMES + 1, dtype=F64) / FRAMES
    force = (torch.sin(math.pi * x) * torch.cos(4 * times).unsqueeze(-1)).expand(2, 1, -1, -1)
    unaimed = BurgersControl(u0, u0, times, viscosity=0.05, weight=1e-3, substeps=4)
    return BurgersControl(u0, unaimed.run(force)[:, :, -1], times, viscosity=0.05, weight=1e-3, substeps=4), force


def test_the_gradient_of_the_objective_is_that_of_central_differences(problem):
    task, force = problem
    point = (0.3 * force).clone().requires_grad_(True)
    slope = torch.autograd.grad(task.objective(point).sum(), point)[0]
    way = torch.randn(force.shape, generator=torch.Generator().manual_seed(0), dtype=F64)
    numeric = sum(sign * task.objective(0.3 * force + sign * 1e-4 * way).sum() for sign in (1, -1)) / 2e-4
    torch.testing.assert_close((slope * way).sum(), numeric, rtol=1e-7, atol=0)


def test_the_optimum_is_stationary_and_below_zero_force_and_the_force_that_made_the_target(problem):
    task, force = problem
    found = task.optimise(iterations=60)
    zero, made = task.objective(torch.zeros_like(force)), task.objective(force)
    torch.testing.assert_close(made, torch.full((2,), 1e-3, dtype=F64) * force[0].square().mean(), rtol=1e-9, atol=0)
    assert bool((found.objective < 0.5 * made).all()) and bool((found.objective < 0.1 * zero).all())
    torch.testing.assert_close(task.objective(found.control), found.objective, rtol=1e-9, atol=0)
    point = found.control.clone().requires_grad_(True)
    start = torch.zeros_like(point).requires_grad_(True)
    slopes = [torch.autograd.grad(task.objective(f).sum(), f)[0].norm() for f in (point, start)]
    assert float(slopes[0]) < 1e-3 * float(slopes[1])


def test_a_heavier_weight_buys_a_smaller_force(problem):
    task, _ = problem
    heavy = BurgersControl(task.u0, task.target, task.times, task.viscosity, 1.0, task.substeps)
    cheap, dear = (one.optimise(iterations=10).control.square().mean() for one in (task, heavy))
    assert float(dear) < 0.2 * float(cheap)


def test_feedback_closes_in_on_a_target_and_reports_the_force_it_used(problem):
    task, _ = problem
    force = task.feedback(2.0, 0.5)
    assert force.shape == (2, 1, FRAMES, CELLS)
    miss = lambda f: (task.run(f)[:, :, -1] - task.target).square().mean()
    assert float(miss(force)) < 0.3 * float(miss(torch.zeros_like(force)))
    torch.testing.assert_close(force[:, :, 0], (2.0 + 0.5 / FRAMES) * (task.target - task.u0), rtol=1e-12, atol=0)


def test_minimise_solves_every_quadratic_of_a_batch_exactly():
    generator = torch.Generator().manual_seed(1)
    curvature = 0.5 + torch.rand(3, 5, generator=generator, dtype=F64)
    aim = torch.randn(3, 5, generator=generator, dtype=F64)
    found = minimise(lambda c: (curvature * (c - aim).square()).sum(1), torch.zeros_like(aim), size=3.0)
    assert float((found.control - aim).abs().max()) < 1e-7
    assert found.evaluations < 60


def test_a_search_that_could_go_on_for_ever_ends_with_its_iterations():
    steep = lambda c: (1 + (c[:, :-1] - 1).square() + 100 * (c[:, 1:] - c[:, :-1].square()).square()).sum(1)  # Rosenbrock
    few, more = (minimise(steep, torch.full((1, 6), -1.0, dtype=F64), iterations=count) for count in (4, 12))
    assert few.evaluations <= 5 + 25 and more.evaluations <= 15 + 25  # the last search may look 25 times
    assert float(more.objective) < float(few.objective)
