import numpy as np
import pytest

from physics.chromatography.gas import CARRIERS, Formula, diffusion_constant


@pytest.mark.parametrize(
    ("name", "temperature", "viscosity"),
    [("helium", 300.0, 19.9e-6), ("hydrogen", 300.0, 8.95e-6), ("nitrogen", 300.0, 17.9e-6), ("nitrogen", 400.0, 22.2e-6)],
)
def test_viscosities_are_those_of_the_handbook(name, temperature, viscosity):
    assert CARRIERS[name].viscosity(temperature) == pytest.approx(viscosity, rel=0.02)


def test_hexane_diffuses_in_nitrogen_as_measured():
    constant = diffusion_constant(CARRIERS["nitrogen"], [Formula(6, 14)])[0]
    assert constant * 288.6**1.75 / 101325 == pytest.approx(0.0757e-4, rel=0.03)


def test_heavier_molecules_diffuse_more_slowly_and_nonsense_is_refused():
    alkanes = diffusion_constant(CARRIERS["hydrogen"], [Formula(n, 2 * n + 2) for n in range(9, 31)])
    assert np.all(np.diff(alkanes) < 0)
    with pytest.raises(ValueError, match="no positive diffusion volume"):
        diffusion_constant(CARRIERS["helium"], [Formula(1, 0, rings=1)])
