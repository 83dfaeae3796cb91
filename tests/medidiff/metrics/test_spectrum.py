import math

import numpy as np
import pytest

from medidiff.metrics.spectrum import energy_spectrum, spectral_distance


def test_a_sine_has_a_quarter_of_its_square_at_its_wave_number():
    x = np.arange(32) / 32
    found = energy_spectrum(3 * np.sin(2 * math.pi * 5 * x)[None, None, None])
    assert found.shape == (1, 17)
    assert found[0, 5] == pytest.approx(9 / 4)
    assert np.delete(found[0], 5).max() < 1e-25


def test_energies_sum_to_half_the_mean_square():
    u = np.random.default_rng(2).normal(size=(3, 2, 4, 16))
    assert np.allclose(energy_spectrum(u).sum(1), 0.5 * np.square(u).mean(-1).mean(0).sum(0))


def test_a_plane_wave_of_two_dimensions_lands_in_its_shell():
    x, y = np.meshgrid(np.arange(16) / 16, np.arange(16) / 16, indexing="ij")
    found = energy_spectrum(np.cos(2 * math.pi * (3 * x + 4 * y))[None, None, None])
    assert found[0, 5] == pytest.approx(1 / 4)


def test_half_the_amplitude_is_six_tenths_of_a_decade_away():
    u = np.random.default_rng(3).normal(size=(2, 1, 3, 32))
    assert spectral_distance(u, u) == 0
    assert spectral_distance(u / 2, u) == pytest.approx(2 * math.log10(2))
