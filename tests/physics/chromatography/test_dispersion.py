import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from physics.chromatography.column import hold_up_factor
from physics.chromatography.dispersion import _by_quadrature, log_dispersed_column, log_dispersed_slopes
from physics.chromatography.transfer import retardation


def column(exponent, dispersion, pressure_ratio):
    """G of one column at some exponents."""
    numbers = (torch.tensor([value], dtype=torch.float64) for value in (dispersion, pressure_ratio))
    return torch.exp(log_dispersed_column(exponent, *numbers))


def boundary_value_solution(phi, length, velocity, diffusion, pressure_ratio):
    """Outlet over inlet flux concentration from the Riccati form of (u c)' - (D c')' + Phi c = 0.

    y = flux/c obeys y' = -Phi - y (u - y)/D, y(L) = u(L); integrated from the outlet, where it is stable; ln G = -∫ Phi/y.
    """
    spread = (1 - pressure_ratio**2) / length

    def rate(distance, state):
        phat = np.sqrt(pressure_ratio**2 + spread * distance)
        u, d = velocity / phat, diffusion / phat
        y = complex(*state[:2])
        slopes = phi + y * (u - y) / d, phi / y
        return [part for slope in slopes for part in (slope.real, slope.imag)]

    start = [velocity / pressure_ratio, 0, 0, 0]
    solution = solve_ivp(rate, (0, length), start, method="Radau", rtol=1e-12, atol=1e-14)
    return np.exp(-complex(*solution.y[2:, -1]))


@pytest.mark.parametrize(("factor", "tolerance"), [(1, 5e-12), (100, 3e-8), (1e4, 3e-4)])
def test_compressible_column_equals_the_boundary_value_problem(btex, factor, tolerance):
    P, L, u0, D0 = btex.column.pressure_ratio, btex.column.length, btex.velocity, 2.9e-6 * factor
    s = torch.tensor([0.01 + 0.05j], dtype=torch.complex128)
    phi = retardation(s, retention=torch.tensor(2.43, dtype=torch.float64), desorption=torch.tensor(5.3, dtype=torch.float64))
    exponent = hold_up_factor(P) * L / u0 * phi
    ours = column(exponent, D0 / (u0 * L), P).numpy()
    theirs = np.array([boundary_value_solution(value, L, u0, D0, P) for value in phi.numpy()])
    assert np.abs(ours / theirs - 1).max() < tolerance


@pytest.mark.parametrize("peclet", [0.5, 5.0, 300.0])
def test_constant_velocity_column_is_the_exact_closed_closed_solution(peclet):
    X = torch.tensor([0.3 + 1.0j, 2.0 - 3.0j, 1e-6 + 0j], dtype=torch.complex128)
    a = torch.sqrt(1 + 4 * X / peclet)
    exact = 4 * a * torch.exp(peclet * (1 - a) / 2) / ((1 + a) ** 2 - (1 - a) ** 2 * torch.exp(-a * peclet))
    ours = column(X, 1 / peclet, 1.0)
    torch.testing.assert_close(ours, exact, rtol=1e-12, atol=0)


def test_vanishing_dispersion_leaves_the_ideal_column():
    X = torch.tensor([3.0 + 100.0j], dtype=torch.complex128)
    ours = column(X, 0.0, 0.25)
    torch.testing.assert_close(ours, torch.exp(-X), rtol=1e-12, atol=0)


@pytest.mark.parametrize("pressure_ratio", [0.2526, 0.9, 1.0])
def test_series_of_weak_dispersion_equals_the_quadrature_with_both_derivatives(pressure_ratio):
    grid = torch.linspace(0.1, 30.0, 50, dtype=torch.float64)
    X = torch.complex(grid, -3 * grid).reshape(1, 1, -1)
    e = torch.tensor([3.5e-7, 1e-4, 4e-4], dtype=torch.float64).reshape(1, 3, 1)
    P = torch.full((1, 1, 1), pressure_ratio, dtype=torch.float64)
    value, by_exponent, by_dispersion = _by_quadrature(X, e, P)
    torch.testing.assert_close(log_dispersed_column(X, e, P), value, rtol=1e-13, atol=0)
    series = log_dispersed_slopes(X, e, P)
    torch.testing.assert_close(series[0], value, rtol=1e-13, atol=0)
    torch.testing.assert_close(series[1], by_exponent, rtol=1e-12, atol=0)
    torch.testing.assert_close(series[2], by_dispersion, rtol=1e-9, atol=0)
