import numpy as np
import pytest

from physics.chromatography.column import (
    Capillary,
    hold_up_factor,
    james_martin,
    position_of,
    relative_pressure,
    transit_coordinate,
)


def test_james_martin_factor_is_length_over_hold_up_time_and_outlet_velocity(btex):
    P = btex.column.pressure_ratio
    outlet_velocity = btex.column.inlet_velocity / P
    assert james_martin(P) == pytest.approx(btex.column.length / (btex.column.hold_up_time * outlet_velocity), rel=1e-14)
    assert james_martin(P) == pytest.approx(0.36055861, abs=1e-8)


def test_poiseuille_and_the_quoted_velocity_agree_within_one_percent(btex):
    assert btex.column.inlet_velocity == pytest.approx(0.413, abs=5e-4)
    assert btex.hold_up == pytest.approx(34.18, abs=0.01)
    assert btex.column.length / btex.velocity == pytest.approx(48.78, abs=0.01)


@pytest.mark.parametrize("P", [0.1, 0.2526, 0.9, 1 - 1e-6, 1 - 1e-12, 1.0])
def test_transit_coordinate_is_the_integral_of_relative_pressure_and_has_an_inverse(P):
    nodes, weights = np.polynomial.legendre.leggauss(200)
    for x in (0.0, 0.3, 7.0, 20.0):
        integral = 0.5 * x * np.sum(weights * relative_pressure(0.5 * x * (nodes + 1), length=20.0, pressure_ratio=P))
        assert transit_coordinate(x, length=20.0, pressure_ratio=P) == pytest.approx(integral, rel=1e-13, abs=1e-15)
        assert position_of(transit_coordinate(x, length=20.0, pressure_ratio=P), length=20.0, pressure_ratio=P) == pytest.approx(
            x, rel=1e-11, abs=1e-13
        )
    assert transit_coordinate(20.0, length=20.0, pressure_ratio=P) == pytest.approx(20.0 * hold_up_factor(P), rel=1e-13)


def test_gauge_pressures_are_refused_with_advice():
    with pytest.raises(ValueError, match="Both must be absolute"):
        Capillary(20.0, 9e-5, 1e-6, inlet_pressure=0.9e5, outlet_pressure=1.013e5, viscosity=2.3e-5)
    with pytest.raises(ValueError, match=r"Capillary\.radius is 0"):
        Capillary(20.0, 0.0, 1e-6, inlet_pressure=4e5, outlet_pressure=1.013e5, viscosity=2.3e-5)
