import mpmath
import numpy as np
import pytest
import torch
from scipy.special import ive

from physics.chromatography.kernel import goldstein_j, impulse_response, pulse_response


def exact_pulse(elapsed, units, desorption, injection):
    """∫ kd sqrt(N/tau) e^(-N - tau) I1(2 sqrt(N tau)) over the injection window, 40 digits."""
    with mpmath.workdps(40):
        kd, units, end = mpmath.mpf(desorption), mpmath.mpf(units), mpmath.mpf(elapsed)

        def density(u):
            tau = kd * u
            return kd * mpmath.sqrt(units / tau) * mpmath.exp(-units - tau) * mpmath.besseli(1, 2 * mpmath.sqrt(units * tau))

        return float(mpmath.quad(density, [end - injection, end], method="gauss-legendre", maxdegree=4))


@pytest.mark.parametrize("analyte", [0, 4])
def test_kernel_equals_forty_digit_arithmetic_for_o_xylene_and_benzene(btex, analyte):
    k, kd, hold_up = float(btex.retention[0, analyte]), float(btex.desorption[0, analyte]), btex.hold_up
    spread = np.sqrt(2 * k * hold_up / kd + btex.injection**2 / 12)
    elapsed = k * hold_up + btex.injection / 2 + spread * np.array([-4.0, -2.0, 0.0, 3.0, 6.0])
    units = torch.tensor([k * kd * hold_up], dtype=torch.float64)
    times = torch.tensor(elapsed + hold_up)
    one_k, one_kd, one_hold_up = (torch.tensor([v], dtype=torch.float64) for v in (k, kd, hold_up))
    ours = pulse_response(times, retention=one_k, desorption=one_kd, hold_up=one_hold_up, injection=btex.injection)[0].numpy()
    exact = [exact_pulse(float(t) - hold_up, float(units), kd, btex.injection) for t in times]
    np.testing.assert_allclose(ours, exact, rtol=2e-13)


def test_j_function_satisfies_its_symmetry_relation():
    x, y = np.meshgrid([0.0, 0.1, 1.0, 30.0, 440.0, 7723.0], [0.0, 0.2, 2.0, 35.0, 460.0, 7600.0])
    bessel = ive(0, 2 * np.sqrt(x * y)) * np.exp(-((np.sqrt(x) - np.sqrt(y)) ** 2))
    np.testing.assert_allclose(goldstein_j(x, y) + goldstein_j(y, x), 1 + bessel, atol=3e-14)


def test_pulse_response_is_a_difference_of_two_j_functions(btex):
    times = torch.linspace(20.0, 800.0, 500, dtype=torch.float64)
    hold_up = torch.full((5,), btex.hold_up, dtype=torch.float64)
    ours = pulse_response(
        times, retention=btex.retention[0], desorption=btex.desorption[0], hold_up=hold_up, injection=btex.injection
    ).numpy()
    units = (btex.retention[0] * btex.desorption[0] * hold_up).numpy()[:, None]
    tau = btex.desorption[0].numpy()[:, None] * (times.numpy() - btex.hold_up)
    shifted = tau - btex.desorption[0].numpy()[:, None] * btex.injection
    theirs = np.where(tau > 0, goldstein_j(units, tau), 0.0) - np.where(shifted > 0, goldstein_j(units, shifted), 0.0)
    np.testing.assert_allclose(ours, theirs, atol=1e-13)


@pytest.mark.parametrize("units", [0.5, 5.0, 440.0, 7723.0])
def test_impulse_response_and_the_unretained_share_sum_to_one(units):
    nodes, weights = np.polynomial.legendre.leggauss(400)
    top = units + 12 * np.sqrt(2 * units) + 60
    root = 0.5 * np.sqrt(top) * (nodes + 1)
    tau = torch.tensor(root**2)
    density = impulse_response(
        tau, units=torch.tensor(units, dtype=torch.float64), desorption=torch.tensor(1.0, dtype=torch.float64)
    ).numpy()
    mass = np.sum(weights * 0.5 * np.sqrt(top) * 2 * root * density)
    assert mass + np.exp(-units) == pytest.approx(1.0, abs=1e-12)


def test_impulse_response_is_differentiable_on_both_sides_of_the_hold_up_time():
    units = torch.tensor(50.0, dtype=torch.float64, requires_grad=True)
    elapsed = torch.tensor([-1.0, 0.0, 5.0], dtype=torch.float64)
    impulse_response(elapsed, units=units, desorption=torch.tensor(10.0, dtype=torch.float64)).sum().backward()
    assert torch.isfinite(units.grad)


def test_a_sharp_injection_is_refused_by_the_pulse_response():
    one = torch.ones(1, dtype=torch.float64)
    with pytest.raises(ValueError, match="injection lasts 0 s"):
        pulse_response(torch.arange(3.0), retention=one, desorption=one, hold_up=one, injection=0)
