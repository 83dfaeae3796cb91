import mpmath
import numpy as np
import pytest

from physics.pde.tracer import decaying_steady_state, lindstrom, ogata_banks


def test_ogata_banks_equals_thirty_digit_arithmetic_and_never_overflows():
    with mpmath.workdps(30):
        for x, t, u, d in ((0.5, 1.0, 0.4, 0.05), (0.0, 3.0, 0.1, 0.2), (2.0, 1.5, 1.0, 0.01), (30.0, 29.0, 1.0, 1e-3)):
            x, t, u, d = (mpmath.mpf(value) for value in (x, t, u, d))
            width = 2 * mpmath.sqrt(d * t)
            exact = (mpmath.erfc((x - u * t) / width) + mpmath.exp(u * x / d) * mpmath.erfc((x + u * t) / width)) / 2
            assert ogata_banks(float(x), float(t), velocity=float(u), diffusion=float(d)) == pytest.approx(
                float(exact), rel=1e-12
            )
    assert np.all(np.isfinite(ogata_banks(np.linspace(0, 1e3, 50), 500.0, velocity=1.0, diffusion=1e-6)))


@pytest.mark.parametrize("closed_form", [ogata_banks, lindstrom])
def test_closed_forms_solve_the_transport_equation(closed_form):
    x, t, u, d, e = 0.7, 1.3, 0.5, 0.08, 1e-3
    c = lambda x, t: closed_form(x, t, velocity=u, diffusion=d)
    time = (c(x, t + e) - c(x, t - e)) / (2 * e)
    space = (c(x + e, t) - c(x - e, t)) / (2 * e)
    second = (c(x + e, t) - 2 * c(x, t) + c(x - e, t)) / e**2
    assert time + u * space - d * second == pytest.approx(0, abs=1e-5)
    with pytest.raises(ValueError, match=f"{closed_form.__name__}: diffusion 0"):
        closed_form(1.0, 1.0, velocity=1.0, diffusion=0.0)


def test_inlets_are_met_a_held_value_and_a_held_flux():
    u, d, t, e = 0.5, 0.08, 1.3, 1e-5
    assert ogata_banks(0.0, t, velocity=u, diffusion=d) == pytest.approx(1.0, abs=1e-14)
    slope = (
        -3 * lindstrom(0.0, t, velocity=u, diffusion=d)
        + 4 * lindstrom(e, t, velocity=u, diffusion=d)
        - lindstrom(2 * e, t, velocity=u, diffusion=d)
    ) / (2 * e)
    assert u * lindstrom(0.0, t, velocity=u, diffusion=d) - d * slope == pytest.approx(u, rel=1e-7)


def test_decaying_steady_state_tends_to_plug_flow_without_diffusion():
    assert decaying_steady_state(2.0, velocity=0.5, diffusion=1e-9, rate=0.3) == pytest.approx(np.exp(-0.3 * 2.0 / 0.5), rel=1e-6)
