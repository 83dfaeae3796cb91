import pytest
import torch

from physics.pde.euler import conserved, primitive
from physics.pde.riemann import exact_riemann

F64 = torch.float64
CASES = {  # left, right (density, velocity, pressure); star pressure, velocity, densities (Toro 2009, table 4.2, more digits)
    "Sod": ((1, 0, 1), (0.125, 0, 0.1), (0.303130178051, 0.927452620049, 0.426319428178, 0.265573711705)),
    "Lax": ((0.445, 0.698, 3.528), (0.5, 0, 0.571), (2.46609792, 1.52872303, 0.34456847, 1.30408453)),
    "123": ((1, -2, 0.4), (1, 2, 0.4), (0.00189387, 0.0, 0.02185211820681, 0.02185211820681)),
    "blast": ((1, 0, 1000), (1, 0, 0.01), (460.89378749, 19.59745139, 0.57506230, 5.99924070)),
}


def states(name):
    return (torch.tensor([side], dtype=F64) for side in CASES[name][:2])


@pytest.mark.parametrize("name", CASES)
def test_star_states_are_those_of_the_literature(name):
    _, star = exact_riemann(*states(name), 1.4, torch.zeros(1, dtype=F64))
    found = torch.stack([star.pressure, star.velocity, star.density_left, star.density_right]).squeeze(-1)
    torch.testing.assert_close(found, torch.tensor(CASES[name][2], dtype=F64), rtol=3e-6 if name == "123" else 2e-8, atol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_the_profile_conserves_mass_momentum_and_energy(name):
    left, right = states(name)
    reach, count = (60.0 if name == "blast" else 6.0), 400_000
    xi = (torch.arange(count, dtype=F64) + 0.5) / count * 2 * reach - reach
    profile, _ = exact_riemann(left, right, 1.4, xi)
    total = conserved(profile, 1.4).mean(dim=-1) * 2 * reach
    ends = [conserved(side.unsqueeze(-1), 1.4).squeeze(-1) for side in (left, right)]
    flux = [
        torch.stack([u[:, 1], u[:, 1] * p[:, 1] + p[:, 2], p[:, 1] * (u[:, 2] + p[:, 2])], 1) for u, p in zip(ends, (left, right))
    ]
    expected = reach * (ends[0] + ends[1]) + flux[0] - flux[1]
    assert float((total - expected).abs().max() / expected.abs().max()) < 2e-5


def test_waves_of_sod_travel_at_their_speeds():
    xi = torch.tensor(
        [-1.183215957 - 1e-6, -1.183215957 + 1e-3, -0.070272813, 0.927452620 - 1e-6, 0.92746, 1.7521557, 1.7521558], dtype=F64
    )
    density = exact_riemann(*states("Sod"), 1.4, xi)[0][0, 0]
    expected = [1.0, 0.9992, 0.42631943, 0.42631943, 0.26557371, 0.26557371, 0.125]
    torch.testing.assert_close(density, torch.tensor(expected, dtype=F64), rtol=1e-4, atol=0)


def test_the_mirror_image_of_a_problem_has_the_mirror_image_as_solution():
    left, right = states("Lax")
    xi = torch.linspace(-3, 3, 101, dtype=F64)
    flip = torch.tensor([1.0, -1.0, 1.0], dtype=F64)
    profile, _ = exact_riemann(left, right, 1.4, xi)
    mirrored, _ = exact_riemann(right * flip, left * flip, 1.4, -xi)
    torch.testing.assert_close(mirrored, profile * flip[:, None], rtol=1e-12, atol=1e-12)


def test_many_problems_are_solved_at_once_with_jump_conditions_kept():
    generator = torch.Generator().manual_seed(3)
    left, right = (torch.rand(500, 3, generator=generator, dtype=F64) * torch.tensor([5.0, 1.0, 50.0]) + 0.1 for _ in range(2))
    _, star = exact_riemann(left, right, 5 / 3, torch.zeros(1, dtype=F64))
    is_shock = star.pressure > right[:, 2]
    assert 50 < int(is_shock.sum()) < 450
    ahead, jump = right[is_shock], (star.pressure - right[:, 2])[is_shock]
    mass = jump / (star.velocity[is_shock] - ahead[:, 1])
    volume = 1 / ahead[:, 0] - 1 / star.density_right[is_shock]
    torch.testing.assert_close(mass.square(), jump / volume, rtol=1e-9, atol=0)  # Rayleigh line


def test_primitive_and_conserved_states_convert_into_each_other():
    state = torch.rand(2, 3, 7, generator=torch.Generator().manual_seed(1), dtype=F64) + 0.2
    torch.testing.assert_close(primitive(conserved(state, 1.3), 1.3), state, rtol=1e-13, atol=1e-13)


def test_states_that_separate_into_vacuum_or_are_no_gas_are_refused():
    left, right = torch.tensor([[1.0, -6, 0.4]], dtype=F64), torch.tensor([[1.0, 6, 0.4]], dtype=F64)
    with pytest.raises(ValueError, match="exact_riemann: the states separate into vacuum"):
        exact_riemann(left, right, 1.4, torch.zeros(1, dtype=F64))
    with pytest.raises(ValueError, match="must be positive"):
        exact_riemann(left, -right, 1.4, torch.zeros(1, dtype=F64))
