"""Demodulation keeps signs, places, amplitudes, and all that lies in its band."""

import math

import numpy as np
import pytest
import torch

from physics.ultrasound.demodulation import demodulate, remodulate
from physics.ultrasound.envelope import envelope_of_rf

RATE, CARRIER, SPEED = 10e6, 2.5e6, 1540.0
FIRST_S = 2 * 15e-3 / SPEED
CHAIN = {"sampling_hz": RATE, "demodulation_hz": CARRIER, "first_time_s": FIRST_S}


def _pulse(r0_m, *, sigma_hz=0.3e6, samples=1024):
    """A Gaussian pulse around the carrier at a range, as RF (1, axial, 1) double precision."""
    t = FIRST_S + torch.arange(samples, dtype=torch.float64) / RATE - 2 * r0_m / SPEED
    return (torch.exp(-((2 * math.pi * sigma_hz * t) ** 2) / 2) * torch.cos(2 * math.pi * CARRIER * t))[None, :, None]


@pytest.mark.parametrize("delta_hz", [-0.6e6, 0.35e6])
def test_a_tone_above_the_carrier_turns_forward(delta_hz):
    t = FIRST_S + torch.arange(2048, dtype=torch.float64) / RATE
    iq = demodulate(torch.cos(2 * math.pi * (CARRIER + delta_hz) * t + 0.4)[:, None], **CHAIN)
    at = FIRST_S + torch.arange(512, dtype=torch.float64) * 4 / RATE
    expected = torch.exp(1j * (2 * math.pi * delta_hz * at + 0.4))[:, None]
    assert float((iq - expected)[20:-20].abs().max()) < 2e-3


def test_echoes_within_the_band_return_from_baseband_to_a_hundredth():
    rf = sum(_pulse(r, samples=1024) for r in (0.03, 0.0417, 0.071))
    back = remodulate(demodulate(rf, **CHAIN), samples=1024, **CHAIN)
    assert 10 * math.log10(float((back - rf).square().sum() / rf.square().sum())) < -40


def test_a_wrong_carrier_sign_would_show():
    rf = _pulse(0.05)
    back = remodulate(demodulate(rf, **CHAIN).conj(), samples=1024, **CHAIN)
    assert 10 * math.log10(float((back - rf).square().sum() / rf.square().sum())) > -3


@pytest.mark.parametrize("r0_m", [0.0312, 0.05005, 0.0777])
def test_a_scatterer_peaks_within_half_a_sample_of_its_range(r0_m):
    iq = demodulate(_pulse(r0_m), **CHAIN)[0, :, 0]
    step_m = 4 * SPEED / (2 * RATE)
    assert abs(0.015 + step_m * int(iq.abs().argmax()) - r0_m) <= step_m / 2


def test_the_modulus_of_iq_is_the_hilbert_envelope_of_rf():
    rf = _pulse(0.04) + 0.5 * _pulse(0.0413)
    iq, hilbert = demodulate(rf, **CHAIN).abs(), envelope_of_rf(rf)[:, ::4]
    assert float((iq - hilbert).abs().max() / hilbert.max()) < 0.01


def test_the_hilbert_envelope_is_the_one_of_scipy():
    from scipy.signal import hilbert

    for samples in (31, 32):
        rf = torch.randn(2, samples, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        assert np.allclose(envelope_of_rf(rf).numpy(), np.abs(hilbert(rf.numpy(), axis=1)))


def test_lines_of_a_batch_do_not_mix():
    rf = torch.cat([_pulse(0.03), _pulse(0.06)])
    together = demodulate(rf, **CHAIN)
    assert torch.allclose(together[1], demodulate(rf[1], **CHAIN))


def test_an_even_filter_is_refused_with_advice():
    with pytest.raises(ValueError, match="odd number of taps"):
        demodulate(_pulse(0.03), taps=64, **CHAIN)
