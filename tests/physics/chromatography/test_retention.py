import numpy as np
import pytest

from physics.chromatography.retention import Retention, fit_retention, thermodynamic_coefficients


@pytest.fixture
def aromatics():
    return Retention(np.array([384.22, 350.0]), np.array([33.836, 31.0]), np.array([9.8542, 60.0]), phase_ratio=0.8)


def test_retention_factor_is_the_phase_ratio_at_the_characteristic_temperature(aromatics):
    np.testing.assert_allclose(np.diag(aromatics.factor(aromatics.characteristic[None])), 0.8, rtol=1e-14)
    slope = (np.log(aromatics.factor(384.23)[0]) - np.log(aromatics.factor(384.21)[0])) / 0.02
    assert slope == pytest.approx(-1 / 33.836, rel=1e-6)


def test_coefficients_give_the_same_retention(aromatics):
    a, b, c = thermodynamic_coefficients(aromatics)
    for temperature in (310.0, 420.0, 600.0):
        np.testing.assert_allclose(
            np.exp(a + b / temperature + c * np.log(temperature)), aromatics.factor(temperature), rtol=1e-10
        )


def test_fit_recovers_the_parameters_of_o_xylene_from_its_isotherms():
    truth = Retention(np.array([384.22]), np.array([33.836]), np.array([9.8542]))
    temperature = np.linspace(323.15, 523.15, 17)
    found = fit_retention(temperature, np.log(truth.factor(temperature[None])[0]))
    np.testing.assert_allclose(found, (384.22, 33.836, 9.8542), rtol=1e-6)


def test_celsius_and_too_few_isotherms_are_refused_with_advice():
    with pytest.raises(ValueError, match=r"add 273\.15"):
        Retention(np.array([111.07]), np.array([33.8]), np.array([9.8]))
    with pytest.raises(ValueError, match="expected three arrays of one length"):
        Retention(np.array([384.0, 400.0]), np.array([33.8]), np.array([9.8]))
    with pytest.raises(ValueError, match="2 distinct temperatures"):
        fit_retention(np.array([300.0, 300.0, 400.0]), np.zeros(3))
