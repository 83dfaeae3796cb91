"""Numbers of peaks against closed forms: Gaussian, exponentially modified Gaussian, and textbook definitions."""

import numpy as np
import pytest
from scipy.stats import exponnorm

from medidiff.chromatography.measures import agreement, apex, measure, peak_to_valley, resolution


def modified_gaussian(times, centre, sigma, tau):
    """Exponentially modified Gaussian of unit area."""
    return exponnorm.pdf(times, tau / sigma, loc=centre, scale=sigma)


def gaussian(times, centre, sigma):
    return np.exp(-0.5 * ((times - centre) / sigma) ** 2)


TIMES = np.arange(0.0, 400.0, 0.01)


def test_a_gaussian_has_one_plate_number_by_every_definition():
    found = measure(TIMES, 7.0 * gaussian(TIMES, 200.0, 4.0))
    plates = (200 / 4) ** 2
    assert found.retention_time == pytest.approx(200.0, abs=1e-9)
    assert found.height == pytest.approx(7.0, rel=1e-12)
    assert found.area == pytest.approx(7 * 4 * np.sqrt(2 * np.pi), rel=1e-12)
    assert found.variance == pytest.approx(16.0, rel=1e-9)
    assert found.width_half == pytest.approx(2 * 4 * np.sqrt(2 * np.log(2)), rel=1e-6)
    assert found.width_base == pytest.approx(16.0, rel=1e-4)
    assert found.asymmetry == pytest.approx(1.0, abs=1e-6)
    assert found.tailing == pytest.approx(1.0, abs=1e-6)
    for value in (found.plates_half, found.plates_tangent, found.plates_moment):
        assert value == pytest.approx(plates, rel=1e-3)
    assert found.plates_foley_dorsey == pytest.approx(plates, rel=0.02)  # their formula is empirical, within 2 %


def test_half_height_plates_deceive_on_tailing_peaks_and_foley_dorsey_does_not():
    sigma, tau, centre = 2.0, 4.0, 200.0
    found = measure(TIMES, modified_gaussian(TIMES, centre, sigma, tau))
    truth = (centre + tau) ** 2 / (sigma**2 + tau**2)
    assert truth == pytest.approx(2081, abs=1)
    assert found.plates_moment == pytest.approx(truth, rel=1e-3)
    assert found.plates_half == pytest.approx(4399, rel=0.01)
    assert found.plates_foley_dorsey == pytest.approx(2055, rel=0.01)
    assert found.asymmetry > 2


def test_the_apex_of_a_gaussian_between_samples_is_exact():
    times = np.arange(0.0, 50.0, 0.9)
    assert apex(times, gaussian(times, 20.137, 3.0)) == (pytest.approx(20.137, abs=1e-10), pytest.approx(1.0, rel=1e-10))
    around = times[:3]
    assert apex(around, np.array([-1.0, 2.0, -1.0]))[0] == pytest.approx(0.9)


def test_resolution_follows_its_definitions():
    first, second = (measure(TIMES, gaussian(TIMES, centre, 4.0)) for centre in (180.0, 196.0))
    tangents, halves = resolution(first, second)
    assert tangents == pytest.approx(1.0, rel=1e-3)
    assert halves == pytest.approx(1.18 * 16 / (2 * 2.354820045 * 4), rel=1e-4)


def test_peak_to_valley_is_the_lower_height_over_the_valley():
    assert peak_to_valley(np.array([0.0, 8, 2, 4, 0]), 1, second=3) == 2.0
    assert peak_to_valley(np.array([0.0, 8, 0, 4, 0]), 1, second=3) == np.inf


def test_agreement_of_a_perfect_model_with_white_noise():
    rng = np.random.default_rng(0)
    curve = gaussian(TIMES, 200, 20)
    signal = curve + 0.01 * rng.standard_normal(len(TIMES))
    found = agreement(signal, curve, noise=0.01, parameters=3)
    assert found.chi_squared_reduced == pytest.approx(1.0, abs=0.03)
    assert found.durbin_watson == pytest.approx(2.0, abs=0.05)
    assert found.sse == pytest.approx(len(TIMES) * 1e-4, rel=0.03)
    assert found.r_squared == pytest.approx(1 - found.sse / np.sum((signal - signal.mean()) ** 2), rel=1e-12)
    assert found.bic - found.aic == pytest.approx(3 * (np.log(len(TIMES)) - 2), rel=1e-6)
    slow = agreement(curve + 0.01 * np.sin(TIMES / 5), curve, noise=0.01, parameters=3)
    assert slow.durbin_watson < 0.01
