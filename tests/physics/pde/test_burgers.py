import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.special import ive

from physics.pde.burgers import burgers, burgers_fv
from physics.pde.burgers_exact import cole_hopf

F64 = torch.float64
NODES, WEIGHTS = np.polynomial.legendre.leggauss(4)


def centres(cells):
    return (torch.arange(cells, dtype=F64) + 0.5) / cells


def antiderivative(y):
    return -torch.cos(2 * math.pi * y) / (2 * math.pi)


def exact(x, t=0.5, viscosity=0.01):
    return cole_hopf(x, t, viscosity=viscosity, antiderivative=antiderivative)


def averages(function, cells):
    """Cell averages (1, 1, cell) by Gauss's rule."""
    x = centres(cells).unsqueeze(-1) + torch.tensor(NODES) / (2 * cells)
    return (function(x.reshape(-1)).reshape(cells, 4) @ torch.tensor(WEIGHTS / 2)).reshape(1, 1, -1)


def sine(x):
    return torch.sin(2 * math.pi * x)


def spectral_error(cells, **options):
    u = burgers(sine(centres(cells)).reshape(1, 1, -1), None, viscosity=0.01, times=[0.25, 0.5], **options)
    return float((u[0, 0, -1] - exact(centres(cells))).abs().max())


def volume_error(cells, reconstruction):
    u = burgers_fv(averages(sine, cells), None, viscosity=0.01, times=[0.5], reconstruction=reconstruction)
    return float((u[:, :, -1] - averages(exact, cells)).abs().mean())


def rates(errors):
    return [math.log2(before / after) for before, after in pairwise(errors)]


def test_the_closed_form_equals_its_fourier_series():
    x, z = centres(50), 1 / (4 * math.pi * 0.01)
    n = np.arange(1, 60)[:, None]
    decay = ive(n, z) * np.exp(-0.01 * (2 * np.pi * n) ** 2 * 0.5)
    angle = 2 * np.pi * n * x.numpy()
    series = 8 * np.pi * 0.01 * (decay * n * np.sin(angle)).sum(0) / (ive(0, z) + 2 * (decay * np.cos(angle)).sum(0))
    assert float((exact(x) - torch.tensor(series)).abs().max()) < 1e-12


def test_the_closed_form_survives_small_viscosity():
    x = centres(40)
    coarse, fine = (cole_hopf(x, 0.5, viscosity=0.0005, antiderivative=antiderivative, points=points) for points in (8001, 32001))
    assert float((coarse - fine).abs().max()) < 1e-12
    assert 0.5 < float(coarse.abs().max()) < 1


@pytest.mark.parametrize("boundary, grids", [("periodic", (64, 128, 256)), ("walls", (60, 120, 240))])
def test_the_spectral_solver_converges_to_cole_hopf_faster_than_any_order(boundary, grids):
    errors = [spectral_error(cells, boundary=boundary, substeps=200) for cells in grids]
    assert errors[0] < 3.5e-3 and errors[1] < 2e-5 and errors[2] < 3e-9
    assert rates(errors)[1] > rates(errors)[0] + 3


def test_time_steps_of_the_spectral_solver_are_of_fourth_order():
    errors = [spectral_error(256, boundary="periodic", substeps=count) for count in (50, 100, 200)]
    assert 3.6 < rates(errors)[0] < 4.1 and 3.75 < rates(errors)[1] < 4.1


def test_a_manufactured_solution_between_walls_is_followed_with_fourth_order_in_time():
    x = centres(24).reshape(1, 1, -1)

    def solution(t, x=x):
        return torch.sin(math.pi * x) * (1 + 0.5 * torch.sin(2 * t))

    def force(t):
        x0, t0 = x.clone().requires_grad_(True), torch.ones_like(x).mul(t).requires_grad_(True)
        with torch.enable_grad():
            u = solution(t0, x0)
            by_x, by_t = torch.autograd.grad(u.sum(), (x0, t0), create_graph=True)
            second = torch.autograd.grad(by_x.sum(), x0)[0]
        return (by_t + u * by_x - 0.01 * second).detach()

    start = solution(torch.zeros((), dtype=F64))
    errors = []
    for count in (10, 20, 40):
        with torch.no_grad():
            frames = burgers(start, force, viscosity=0.01, times=[0.5, 1.0], substeps=count)
        errors.append(float((frames[:, :, -1] - solution(torch.ones((), dtype=F64))).abs().max()))
    assert all(abs(rate - 4) < 0.15 for rate in rates(errors)), errors


def test_volumes_converge_with_the_order_of_their_reconstruction():
    muscl = rates([volume_error(cells, "muscl") for cells in (60, 120)])
    weno = rates([volume_error(cells, "weno") for cells in (60, 120)])
    assert 1.5 < muscl[0] < 2.2
    assert weno[0] > 3.7


def test_both_solvers_agree_on_a_forced_flow_between_walls():
    x, t = centres(64), torch.arange(4, dtype=F64) / 4
    u0 = 1.5 * torch.exp(-0.5 * ((x - 0.3) / 0.1) ** 2) - torch.exp(-0.5 * ((x - 0.7) / 0.08) ** 2)
    force = torch.sin(math.pi * x) * torch.cos(5 * t).unsqueeze(-1)
    spectral, volumes = (
        solve(u0.reshape(1, 1, -1), force.reshape(1, 1, 4, -1), viscosity=0.02, times=t + 0.25) for solve in (burgers, burgers_fv)
    )
    assert float((spectral - volumes).abs().max()) < 2e-2


def test_without_viscosity_a_shock_travels_at_the_mean_of_its_states():
    x = centres(100)
    u0 = torch.where((x > 0.1) & (x < 0.3), 1.0, 0.2).to(F64).reshape(1, 1, -1)
    for reconstruction in ("muscl", "weno"):
        end = burgers_fv(u0, None, viscosity=0.0, times=[0.2], boundary="periodic", reconstruction=reconstruction)[0, 0, -1]
        position = float(x[torch.diff(end).argmin()])
        assert abs(position - (0.3 + 0.6 * 0.2)) < 0.015
        assert abs(float(end.mean() - u0.mean())) < 1e-14
        assert float(end.max()) < 1 + 1e-3 and float(end.min()) > 0.2 - 1e-3


def test_mass_on_a_ring_changes_by_the_force_alone():
    x = centres(64)
    force = torch.randn(2, 1, 3, 64, generator=torch.Generator().manual_seed(4), dtype=F64)
    u0 = torch.stack([sine(x), torch.cos(2 * math.pi * x) + 0.5]).unsqueeze(1)
    for solve in (burgers, burgers_fv):
        frames = solve(u0, force, viscosity=torch.tensor([0.02, 0.05], dtype=F64), times=[0.1, 0.2, 0.3], boundary="periodic")
        expected = u0.mean(-1, keepdim=True) + 0.1 * force.mean(-1).cumsum(-1)
        assert float((frames.mean(-1) - expected).abs().max()) < 1e-13


def test_the_mirror_image_of_a_flow_is_the_flow_of_the_mirror_image():
    u0 = torch.exp(-30 * (centres(80) - 0.35) ** 2).reshape(1, 1, -1)
    for solve in (burgers, burgers_fv):
        straight, mirrored = (solve(start, None, viscosity=0.01, times=[0.3]) for start in (u0, -u0.flip(-1)))
        assert float((straight + mirrored.flip(-1)).abs().max()) < 1e-13


def test_trajectories_do_not_depend_on_their_batch():
    u0 = torch.stack([sine(centres(64)), 2 * sine(centres(64))]).unsqueeze(1)
    for solve, options in ((burgers, {"substeps": 20}), (burgers_fv, {})):
        both = solve(u0, None, viscosity=torch.tensor([0.02, 0.04], dtype=F64), times=[0.1, 0.2], **options)
        alone = solve(u0[:1], None, viscosity=0.02, times=[0.1, 0.2], **options)
        torch.testing.assert_close(both[:1], alone, rtol=0, atol=1e-13)


@pytest.mark.parametrize("solve", [burgers, burgers_fv])
def test_the_gradient_is_that_of_finite_differences(solve):
    generator = torch.Generator().manual_seed(5)
    u0 = (sine(centres(16)) + 0.2 * torch.sin(3 * centres(16))).reshape(1, 1, -1)  # no ties, at which a flux has no gradient
    force, aim = (torch.randn(1, 1, 3, 16, generator=generator, dtype=F64) for _ in range(2))

    def loss(u0, force, viscosity):
        return (solve(u0, force, viscosity=viscosity, times=[0.05, 0.1, 0.15]) * aim).sum()

    point = [value.clone().requires_grad_(True) for value in (u0, force, torch.tensor([0.05], dtype=F64))]
    slopes = torch.autograd.grad(loss(*point), point)
    for index, slope in enumerate(slopes):
        way = torch.randn(slope.shape, generator=generator, dtype=F64)
        moved = [[v.detach() + (sign * 1e-5 * way if i == index else 0) for i, v in enumerate(point)] for sign in (1, -1)]
        numeric = (loss(*moved[0]) - loss(*moved[1])) / 2e-5
        torch.testing.assert_close((slope * way).sum(), numeric, rtol=1e-6, atol=1e-8)


def test_a_padding_row_of_the_force_is_named():
    u0 = torch.zeros(1, 1, 12, dtype=F64)
    with pytest.raises(ValueError, match=r"force has 81 intervals, 80 frames are asked\. Drop the padding row"):
        burgers(u0, torch.zeros(1, 1, 81, 12, dtype=F64), viscosity=0.01, times=torch.arange(1, 81) / 10)
    with pytest.raises(ValueError, match=r"force has shape \(1, 1, 2, 11\); expected \(1, 1, 2, 12\)"):
        burgers(u0, torch.zeros(1, 1, 2, 11, dtype=F64), viscosity=0.01, times=[0.1, 0.2])


def test_unstable_substeps_are_refused_before_the_run_with_a_number_that_works():
    u0 = 5 * sine(centres(64)).reshape(1, 1, -1)
    with pytest.raises(ValueError, match=r"time step 0\.1 exceeds the stable .* Raise substeps to \d+\.") as caught:
        burgers(u0, None, viscosity=0.001, times=[0.1], substeps=1)
    needed = int(str(caught.value).split()[-1].strip("."))
    assert torch.isfinite(burgers(u0, None, viscosity=0.02, times=[0.1], substeps=needed)).all()


def test_a_force_that_would_need_sub_steps_without_end_is_refused():
    u0, force = torch.zeros(1, 1, 32, dtype=F64), torch.full((1, 1, 2, 32), 1e6, dtype=F64)
    with pytest.raises(ValueError, match=r"the frame at t = 0\.5 needs \d+ sub-steps, at most 20000\. Lower the force"):
        burgers(u0, force, viscosity=0.01, times=[0.5, 1.0])


def test_a_run_that_grows_beyond_the_maximum_principle_stops_with_advice():
    u0 = torch.zeros(2, 1, 32, dtype=F64)
    force = torch.zeros(2, 1, 10, 32, dtype=F64)
    force[1] = 2000 * sine(centres(32))
    with pytest.raises(ValueError, match=r"trajectory 1: max u = .* at t = .*Under-resolved: viscosity / max u is .* cells"):
        burgers(u0, force, viscosity=1e-3, times=torch.arange(1, 11) / 10, substeps=2)


def test_media_and_names_that_do_not_exist_are_refused():
    u0 = torch.zeros(1, 1, 12, dtype=F64)
    with pytest.raises(ValueError, match="take burgers_fv for inviscid flow"):
        burgers(u0, None, viscosity=0.0, times=[0.1])
    with pytest.raises(ValueError, match="boundary 'reflect' is not known; choose from walls, periodic"):
        burgers(u0, None, viscosity=0.1, times=[0.1], boundary="reflect")
    with pytest.raises(ValueError, match="reconstruction 'ppm' is not known"):
        burgers_fv(u0, None, viscosity=0.1, times=[0.1], reconstruction="ppm")
    with pytest.raises(ValueError, match=r"u0 has shape \(1, 12\)"):
        burgers(u0[0], None, viscosity=0.1, times=[0.1])
