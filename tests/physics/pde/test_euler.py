import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from physics.pde.euler import Gas, Tube, compressible, conserved, primitive
from physics.pde.explicit import march_frames
from physics.pde.hllc import hllc_flux
from physics.pde.riemann import exact_riemann

F64 = torch.float64
NODES, WEIGHTS = np.polynomial.legendre.leggauss(4)
SOD = torch.tensor([[1.0, 0, 1]], dtype=F64), torch.tensor([[0.125, 0, 0.1]], dtype=F64)


def centres(cells, length=1.0):
    return (torch.arange(cells, dtype=F64) + 0.5) / cells * length


def averages(function, cells, length=1.0):
    """Cell averages (..., cell) of a function of x, by Gauss's rule."""
    x = centres(cells, length).unsqueeze(-1) + torch.tensor(NODES) * length / (2 * cells)
    return function(x.reshape(-1)).unflatten(-1, (cells, 4)) @ torch.tensor(WEIGHTS / 2)


def jump(left, right, cells):
    return torch.where(centres(cells) < 0.5, left.unsqueeze(-1), right.unsqueeze(-1))


def tube_error(cells, reconstruction):
    """Mean error of Sod's density at t = 0.2 against cell averages of the exact solution."""
    end = compressible(jump(*SOD, cells), [0.2], gas=Gas(1.4), reconstruction=reconstruction)[0, 0, -1]
    xi = ((torch.arange(cells * 16, dtype=F64) + 0.5) / cells / 16 - 0.5) / 0.2
    return float((end - exact_riemann(*SOD, 1.4, xi)[0][0, 0].reshape(cells, 16).mean(-1)).abs().mean())


def rates(errors):
    return [math.log2(before / after) for before, after in pairwise(errors)]


@pytest.mark.parametrize("reconstruction, bound", [("muscl", 3.6e-3), ("weno", 3.0e-3)])
def test_the_shock_tube_of_sod_is_that_of_the_exact_solution(reconstruction, bound):
    assert tube_error(128, reconstruction) < bound


def test_a_strong_blast_and_two_parting_rarefactions_stay_positive():
    for left, right, end, bound in (
        ((1.0, 0, 1000), (1.0, 0, 0.01), 0.012, 0.2),
        ((1.0, -2, 0.4), (1.0, 2, 0.4), 0.15, 3e-2),
    ):
        sides = torch.tensor([left], dtype=F64), torch.tensor([right], dtype=F64)
        for reconstruction in ("muscl", "weno"):
            frame = compressible(jump(*sides, 64), [end], gas=Gas(1.4), reconstruction=reconstruction)[:, :, -1]
            exact, _ = exact_riemann(*sides, 1.4, (centres(64) - 0.5) / end)
            assert float((frame[0, 0] - exact[0, 0]).abs().mean()) < bound
            assert float(frame[:, [0, 2]].min()) > 0


def density_wave_error(cells, reconstruction):
    """Mean error of a density wave carried once round a ring; time steps shrink as dx^(5/3)."""
    wave = lambda x: torch.stack([1 + 0.2 * torch.sin(2 * math.pi * x), torch.ones_like(x), torch.ones_like(x)])
    start = averages(wave, cells).unsqueeze(0)
    tube = Tube(Gas(1.4), 1 / cells, "periodic", reconstruction)
    step = 0.2 / cells * (16 / cells) ** (2 / 3)
    *_, end = march_frames(
        conserved(start, 1.4),
        [0.0, 0.25],
        slope=lambda u, frame, time: tube.slope(u),
        limit=lambda u: u.new_full((1, 1, 1), step),
    )
    exact = averages(lambda x: wave(x - 0.25), cells)
    return float((end[0, 0] - exact[0]).abs().mean())


def test_a_smooth_density_wave_is_carried_with_the_order_of_the_reconstruction():
    muscl = rates([density_wave_error(cells, "muscl") for cells in (16, 32, 64)])
    weno = rates([density_wave_error(cells, "weno") for cells in (16, 32)])
    assert 1.7 < muscl[0] < 2.4 and 1.8 < muscl[1] < 2.3
    assert all(abs(rate - 5) < 0.15 for rate in weno), weno


def manufactured_error(cells, gas):
    """Error after t = 0.3 of density 2 + sin(kx - t), u = 1, pressure 2 + cos(kx - t), kept up by a source."""
    k = 2 * math.pi
    solution = lambda x, t: torch.stack([2 + torch.sin(k * x - t), torch.ones_like(x + t), 2 + torch.cos(k * x - t)], dim=0)

    def source(x, t):
        """The left side of the equations for the solution, by automatic differentiation."""
        with torch.enable_grad():
            x, t = (torch.zeros_like(x) + value for value in (x, t))
            x.requires_grad_(True), t.requires_grad_(True)
            state = solution(x, t)
            density, velocity, pressure = state
            slope = lambda value, by: torch.autograd.grad(value.sum(), by, create_graph=True)[0]
            rho_u, energy = density * velocity, pressure / (gas.gamma - 1) + 0.5 * density * velocity.square()
            heat = gas.conductivity * slope(pressure / density, x)
            fluxes = (rho_u, rho_u * velocity + pressure, velocity * (energy + pressure) - heat)
            return torch.stack([slope(u, t) + slope(f, x) for u, f in zip((density, rho_u, energy), fluxes)]).detach()

    tube = Tube(gas, 1 / cells, "periodic", "muscl")
    x = centres(cells)
    slope = lambda u, frame, time: tube.slope(u) + source(x, time.reshape(())).unsqueeze(0)
    start = conserved(solution(x, torch.zeros((), dtype=F64)).unsqueeze(0), gas.gamma)
    with torch.no_grad():
        *_, end = march_frames(start, [0.0, 0.3], slope=slope, limit=tube.limit)
    return float((primitive(end, gas.gamma)[0] - solution(x, torch.tensor(0.3, dtype=F64))).abs().mean())


def test_a_manufactured_flow_with_heat_conduction_is_followed_with_second_order():
    errors = [manufactured_error(cells, Gas(1.4, shear=0.01, bulk=0.01, conductivity=0.02)) for cells in (16, 32)]
    assert 1.7 < rates(errors)[0] < 2.5, errors


def test_mass_momentum_and_energy_of_a_ring_and_mass_and_energy_of_a_box_are_kept():
    generator = torch.Generator().manual_seed(2)
    start = torch.rand(2, 3, 48, generator=generator, dtype=F64) + torch.tensor([0.5, -0.5, 0.5], dtype=F64)[:, None]
    gas = Gas(1.4, shear=1e-3, conductivity=1e-3)
    for boundary, kept in (("periodic", [0, 1, 2]), ("reflecting", [0, 2])):
        frames = compressible(start, [0.1, 0.3], gas=gas, boundary=boundary)
        before, after = (conserved(state, 1.4).sum(-1)[:, kept] for state in (start, frames[:, :, -1]))
        torch.testing.assert_close(after, before, rtol=1e-13, atol=1e-12)


def test_the_mirror_image_of_a_flow_is_the_flow_of_the_mirror_image():
    flip = torch.tensor([1.0, -1.0, 1.0], dtype=F64)[:, None]
    start = jump(torch.tensor([[1.0, 0.3, 1]], dtype=F64), SOD[1], 64)
    for boundary in ("outflow", "reflecting"):
        straight, mirrored = (
            compressible(u, [0.15], gas=Gas(), boundary=boundary)[:, :, -1] for u in (start, (start * flip).flip(-1))
        )
        assert float((straight - (mirrored * flip).flip(-1)).abs().max()) < 1e-13


def test_a_resting_contact_does_not_change_at_all():
    start = jump(torch.tensor([[1.0, 0, 0.7]], dtype=F64), torch.tensor([[0.3, 0, 0.7]], dtype=F64), 32)
    slope = Tube(Gas(1.4), 1 / 32).slope(conserved(start, 1.4))
    assert float(slope.abs().max()) == 0


def test_sound_decays_at_the_rate_of_its_viscosity():
    """Standing wave, wave number 2 pi, kinematic viscosity mu (4/3 eta/rho): amplitude e^(-mu k^2 t/2)."""
    gas, k = Gas(1.4, shear=0.75 * 0.002), 2 * math.pi
    period = 1 / math.sqrt(1.4)
    found = []
    for cells in (24, 48):
        x = centres(cells)
        start = torch.stack([1 + 1e-5 * torch.cos(k * x), 0 * x, 1 + 1.4e-5 * torch.cos(k * x)]).unsqueeze(0)
        frames = compressible(start, [period], gas=gas, boundary="periodic", reconstruction="weno")
        amplitude = (frames[0, 2, -1] - 1) @ torch.cos(k * x) * 2 / cells
        found.append(-math.log(float(amplitude) / 1.4e-5) / period)
    exact = 0.002 * k**2 / 2
    assert abs(found[1] / exact - 1) < 0.03
    assert math.log2(abs(found[0] - exact) / abs(found[1] - exact)) > 1.5


def test_viscosity_of_pdebench_is_that_of_a_unit_density_times_the_density():
    x = centres(32)
    start = torch.stack([torch.full_like(x, 2.0), torch.sin(2 * math.pi * x), torch.ones_like(x)]).unsqueeze(0)
    as_published, physical = (
        Tube(Gas(1.4, shear=shear, viscosity=kind), 1 / 32, "periodic").slope(conserved(start, 1.4))
        for shear, kind in ((0.01, "pdebench"), (0.02, "physical"))
    )
    torch.testing.assert_close(as_published, physical, rtol=1e-12, atol=1e-12)


def test_the_flux_of_equal_states_is_the_flux_of_the_equations():
    state = torch.tensor([[0.7, -0.4, 1.3]], dtype=F64).unsqueeze(-1)
    energy = 1.3 / 0.4 + 0.5 * 0.7 * 0.16
    expected = [0.7 * -0.4, 0.7 * 0.16 + 1.3, -0.4 * (energy + 1.3)]
    torch.testing.assert_close(hllc_flux(state, state, 1.4)[0, :, 0], torch.tensor(expected, dtype=F64), rtol=1e-14, atol=0)


def test_trajectories_do_not_depend_on_their_batch_and_gradients_are_right():
    calm, wild = torch.tensor([[1.0, 0, 1]], dtype=F64), torch.tensor([[4.0, 1, 30]], dtype=F64)
    start = torch.cat([jump(calm, SOD[1], 24), jump(wild, SOD[1], 24)])
    both, alone = (compressible(u, [0.05, 0.1], gas=Gas(1.4)) for u in (start, start[:1]))
    torch.testing.assert_close(both[:1], alone, rtol=0, atol=1e-14)
    generator = torch.Generator().manual_seed(7)
    smooth = 1 + 0.1 * torch.rand(1, 3, 12, generator=generator, dtype=F64)
    aim, way = (torch.randn(shape, generator=generator, dtype=F64) for shape in ((1, 3, 1, 12), smooth.shape))
    loss = lambda u: (compressible(u, [0.02], gas=Gas(1.4, shear=0.01), boundary="periodic", reconstruction="weno") * aim).sum()
    point = smooth.clone().requires_grad_(True)
    slope = torch.autograd.grad(loss(point), point)[0]
    numeric = (loss(smooth + 1e-6 * way) - loss(smooth - 1e-6 * way)) / 2e-6
    torch.testing.assert_close((slope * way).sum(), numeric, rtol=1e-5, atol=1e-8)


def test_states_and_names_that_do_not_exist_are_refused():
    start = jump(*SOD, 16)
    with pytest.raises(ValueError, match=r"boundary 'open'.*choose from outflow, periodic, reflecting"):
        compressible(start, [0.1], gas=Gas(), boundary="open")
    with pytest.raises(ValueError, match="trajectory 0: density or pressure is not positive at t = 0, cell 8"):
        compressible(
            start * torch.tensor([1.0, 1, -1], dtype=F64)[:, None] + torch.where(centres(16) < 0.5, 2.0, 0.0), [0.1], gas=Gas()
        )
    with pytest.raises(ValueError, match=r"expected real \(batch, 3, x\)"):
        compressible(start[:, :2], [0.1], gas=Gas())
