"""Companding is the mu-law of the modulus, with its inverse and its slopes."""

import math

import pytest
import torch

from physics.ultrasound.companding import compand, expand, expand_slope, expand_turn

AMPLITUDES = torch.logspace(-6, 0, 200, dtype=torch.float64)
TURNS = torch.exp(1j * torch.linspace(0, 6, 200, dtype=torch.float64))


def test_a_tenth_companded_is_the_textbook_value():
    assert float(compand(torch.tensor(0.1, dtype=torch.float64))) == pytest.approx(math.log(26.5) / math.log(256), abs=1e-12)
    assert float(compand(torch.tensor(-1.0))) == pytest.approx(-1.0)


@pytest.mark.parametrize("signal", [AMPLITUDES, -AMPLITUDES, AMPLITUDES * TURNS], ids=["real", "negative", "complex"])
def test_expand_undoes_compand(signal):
    assert float(((expand(compand(signal)) - signal).abs() / signal.abs()).max()) < 1e-12


def test_single_precision_round_trips_to_a_millionth_of_full_scale():
    signal = (AMPLITUDES * TURNS).to(torch.complex64)
    assert float((expand(compand(signal)) - signal).abs().max()) < 1e-6


def test_companding_commutes_with_a_turn_of_the_phase():
    turn = complex(math.cos(1.3), math.sin(1.3))
    assert torch.allclose(compand(AMPLITUDES * TURNS * turn), compand(AMPLITUDES * TURNS) * turn, atol=1e-14)


def test_slope_along_the_radius_is_the_finite_difference_of_expand():
    u, step = compand(AMPLITUDES), 1e-6
    difference = (expand(u + step) - expand(u - step)) / (2 * step)
    assert torch.allclose(expand_slope(AMPLITUDES), difference, rtol=1e-6)


def test_slope_across_the_radius_is_the_finite_difference_of_a_turn():
    u, step = compand(AMPLITUDES), 1e-6
    difference = (expand(u + 1j * step) - expand(u - 1j * step)).imag / (2 * step)
    assert torch.allclose(expand_turn(AMPLITUDES), difference, rtol=1e-5)
    assert float(expand_turn(torch.tensor(0.0, dtype=torch.float64))) == pytest.approx(math.log(256) / 255)


@pytest.mark.parametrize("map_", [compand, expand])
def test_silence_stays_silent_and_has_a_finite_gradient(map_):
    signal = torch.zeros(3, dtype=torch.complex64, requires_grad=True)
    value = map_(signal)
    value.real.sum().backward()
    assert not value.detach().abs().any() and bool(torch.isfinite(torch.view_as_real(signal.grad)).all())
