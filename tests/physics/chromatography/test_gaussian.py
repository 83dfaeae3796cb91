import numpy as np

from physics.chromatography.gaussian import gaussian, tailing

TIMES = np.linspace(0.0, 400.0, 40001)
CENTERS, WIDTHS = np.array([60.0, 120.0]), np.array([0.8, 3.0])


def moments(curve):
    area = np.trapezoid(curve, TIMES, axis=-1)
    mean = np.trapezoid(curve * TIMES, TIMES, axis=-1) / area
    return area, mean, np.trapezoid(curve * (TIMES - mean[:, None]) ** 2, TIMES, axis=-1) / area


def test_gaussian_peaks_have_their_moments():
    area, mean, variance = moments(gaussian(TIMES, centers=CENTERS, widths=WIDTHS))
    np.testing.assert_allclose(area, 1.0, rtol=1e-12)
    np.testing.assert_allclose(mean, CENTERS, rtol=1e-12)
    np.testing.assert_allclose(variance, WIDTHS**2, rtol=1e-10)


def test_tailing_peaks_add_the_moments_of_the_exponential():
    decays = np.array([12.0, 1.5])
    area, mean, variance = moments(tailing(TIMES, centers=CENTERS, widths=WIDTHS, decays=decays))
    np.testing.assert_allclose(area, 1.0, rtol=1e-9)
    np.testing.assert_allclose(mean, CENTERS + decays, rtol=1e-9)
    np.testing.assert_allclose(variance, WIDTHS**2 + decays**2, rtol=1e-7)


def test_a_vanishing_tail_is_the_gaussian():
    np.testing.assert_allclose(
        tailing(TIMES, centers=CENTERS, widths=WIDTHS, decays=np.array([1e-7, 1e-7])),
        gaussian(TIMES, centers=CENTERS, widths=WIDTHS),
        atol=1e-6,
    )
