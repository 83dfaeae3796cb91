import numpy as np
import pytest
import torch
from scipy.linalg import eigvals

from physics.chromatography.broadening import corrected_desorption, golay_desorption, plate_height_terms
from physics.chromatography.moments import cumulants
from physics.chromatography.peaks import Peaks, golay_factor


def radial_decay(s, retention):
    """Decay rate lambda(s) of a wave e^(st - lambda x) in Poiseuille flow with a retaining wall; R = u = D = 1.

    s c - 2 (1 - r^2) lambda c = (1/r)(r c')',  -c'(1) = (k/2) s c(1); Galerkin with Legendre polynomials in r^2.
    """
    nodes, weights = np.polynomial.legendre.leggauss(24)
    y, weights = 0.5 * (nodes + 1), 0.25 * weights  # r dr = dy/2
    basis = np.polynomial.legendre.legvander(2 * y - 1, 11)
    slope = np.stack([np.polynomial.legendre.Legendre.basis(n).deriv()(2 * y - 1) * 2 if n else 0 * y for n in range(12)], axis=1)
    mass, flow = basis.T @ (weights[:, None] * basis), basis.T @ ((weights * 2 * (1 - y))[:, None] * basis)
    stiffness = slope.T @ ((weights * 4 * y)[:, None] * slope)
    wall = np.ones((12, 12))
    rates = eigvals(s * mass + stiffness + s * retention / 2 * wall, flow)
    return rates[np.argmin(np.abs(rates))]


@pytest.mark.parametrize("retention", [0.0, 1.0, 2.43, 15.8])
def test_golay_gas_term_equals_the_radial_eigenvalue_problem(retention):
    angle = 2 * np.pi * np.arange(16) / 16
    radius = 0.5 / (1 + retention)
    decay = np.array([radial_decay(radius * np.exp(1j * a), retention) for a in angle])
    second = 2 * np.mean(decay * np.exp(-2j * angle)).real / radius**2
    height = -second / (1 + retention) ** 2
    assert plate_height_terms(retention, np.inf, velocity=1.0, diffusion=1.0, radius=1.0)[1] == pytest.approx(height, rel=2e-5)


def test_plate_height_terms_of_the_five_aromatics_are_those_of_the_specification(btex):
    terms = plate_height_terms(
        btex.retention, btex.desorption, velocity=btex.velocity, diffusion=btex.diffusion, radius=btex.column.radius
    )
    axial, gas, exchange = (1e3 * term[0].numpy() for term in terms)
    np.testing.assert_allclose(axial, [0.010, 0.010, 0.012, 0.013, 0.014], atol=6e-4)
    np.testing.assert_allclose(gas, [0.676, 0.664, 0.570, 0.466, 0.328], rtol=5e-3)
    np.testing.assert_allclose(exchange, [3.21, 4.91, 3.42, 9.05, 31.97], rtol=3e-3)


def test_equivalent_desorption_rates_and_the_corrected_rate_of_o_xylene(btex):
    rates = golay_desorption(btex.retention, diffusion=btex.diffusion, radius=btex.column.radius)
    np.testing.assert_allclose(rates[0], [68, 82, 102, 224, 517], rtol=1e-2)
    corrected = corrected_desorption(btex.desorption, btex.retention, diffusion=btex.diffusion, radius=btex.column.radius)
    assert float(corrected[0, 0]) == pytest.approx(18.1, abs=0.05)
    with pytest.raises(ValueError, match="gas-phase term alone"):
        corrected_desorption(100.0, 15.8, diffusion=2e-6, radius=9e-5)


def test_radial_option_broadens_like_the_equivalent_desorption_rate(btex):
    P = 1.0
    radial = btex.column.radius**2 * btex.velocity / (btex.column.length * btex.diffusion)
    hold_up = btex.column.length / btex.velocity
    with_golay = Peaks(btex.retention, btex.desorption, hold_up, radial=radial, pressure_ratio=P)
    combined = 1 / (
        1 / btex.desorption + 1 / golay_desorption(btex.retention, diffusion=btex.diffusion, radius=btex.column.radius)
    )
    slower = Peaks(btex.retention, combined, hold_up)
    torch.testing.assert_close(cumulants(with_golay)[..., 1], cumulants(slower)[..., 1], rtol=1e-3, atol=0)
    assert golay_factor(0.0) == pytest.approx(1 / 48)
