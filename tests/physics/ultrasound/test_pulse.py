"""Echoes of random scatterers have the statistics, widths and spectra that physics says."""

import math

import pytest
import torch
from scipy.stats import kstest

from physics.ultrasound.polar import PolarGrid
from physics.ultrasound.pulse import Pulse, spread
from physics.ultrasound.scatterers import draw_amplitudes, smooth_field, splat

GRID = PolarGrid(0.0103, 0.308e-3, 320, -0.7, 0.0103, 160)
PULSE = Pulse(centre_hz=2.5e6, demodulation_hz=2.5e6, bandwidth_hz=1.5e6, beam_rad=0.0284)


def _speckle(pulse=PULSE, *, density=1.0, count=4):
    generator = torch.Generator().manual_seed(5)
    fine = (count, GRID.ranges * 4, GRID.angles)
    return spread(draw_amplitudes(fine, density=density, generator=generator), GRID, pulse=pulse, fineness=4)


def test_speckle_of_many_scatterers_is_rayleigh():
    envelope = _speckle().abs()
    assert float(envelope.mean() / envelope.std()) == pytest.approx(math.sqrt(math.pi / (4 - math.pi)), rel=0.03)
    apart = envelope[:, ::8, ::9].flatten().numpy()
    assert kstest(apart / math.sqrt((apart**2).mean()), "weibull_min", args=(2,)).pvalue > 0.01


def test_sparse_scatterers_have_heavier_tails_and_the_same_power():
    full, sparse = _speckle().abs(), _speckle(density=0.1).abs()
    assert float(sparse.square().mean()) == pytest.approx(float(full.square().mean()), rel=0.05)
    kurtosis = [float((e**4).mean() / (e**2).mean() ** 2) for e in (full, sparse)]
    assert kurtosis[0] == pytest.approx(2.0, abs=0.1) and kurtosis[1] > 2.3


def test_white_scatterers_give_power_one_at_each_depth():
    power = _speckle(count=8).abs().square().mean(dim=(0, 2))
    assert power.reshape(10, 32).mean(dim=1).tolist() == pytest.approx([1.0] * 10, abs=0.12)


@pytest.mark.parametrize("depth", [0.03, 0.06, 0.1])
def test_attenuation_moves_the_middle_of_the_spectrum_down_with_depth(depth):
    """slope 5.76e-6 Np / (m Hz) of 0.5 dB/cm/MHz: -0.47 MHz at 10 cm."""
    row = round((depth - GRID.first_range_m) / GRID.range_step_m)
    block = _speckle(count=12)[:, row - 16 : row + 16] * torch.hann_window(32)[:, None]
    spectrum = torch.fft.fft(block, dim=1).abs().square().mean(dim=(0, 2))
    f = torch.fft.fftfreq(32, 2 * GRID.range_step_m / 1540.0)
    sigma_hz = 1.5e6 / 2.3548
    expected = -0.5 / 8.686 * 1e-4 * 2 * depth * sigma_hz**2
    assert abs(float((f * spectrum).sum() / spectrum.sum()) - expected) < 0.03 * 2.5e6
    assert float(PULSE.shift_hz(torch.tensor(depth))) == pytest.approx(expected, rel=1e-3)


def test_grains_of_speckle_are_the_point_spread_with_itself():
    speckle = _speckle(count=8)
    line = torch.stack([(speckle[..., : 160 - k].conj() * speckle[..., k:]).mean().abs() for k in range(6)])
    rho = line / line[0]
    sigma = PULSE.beam_rad / 2.3548 / GRID.angle_step_rad
    expected = torch.exp(-(torch.arange(6.0) ** 2) / (4 * sigma**2))
    assert torch.allclose(rho, expected, atol=0.03)


@pytest.mark.parametrize("has_side_lobes", [False, True])
def test_a_point_is_as_wide_across_as_the_beam(has_side_lobes):
    pulse = Pulse(2.5e6, 2.5e6, 1.5e6, beam_rad=0.05, has_side_lobes=has_side_lobes)
    point = torch.zeros(GRID.shape, dtype=torch.complex128)
    point[160, 80] = 1
    profile = spread(point, GRID, pulse=pulse)[160].abs() / spread(point, GRID, pulse=pulse)[160].abs().max()
    above = torch.nonzero(profile > 0.5).flatten()
    low, high = int(above[0]), int(above[-1])
    edge = lambda a, b: float((profile[a] - 0.5) / (profile[a] - profile[b]))
    width = high - low + edge(high, high + 1) + edge(low, low - 1)
    assert width * GRID.angle_step_rad == pytest.approx(0.05, rel=0.03)
    far = float(profile[80 + 12])  # 2.5 beams aside
    assert (far > 0.004) == has_side_lobes


def test_a_scatterer_keeps_its_place_through_four_fold_decimation():
    point = torch.zeros(GRID.ranges * 4, GRID.angles, dtype=torch.complex128)
    point[4 * 200 + 1, 80] = 1
    echo = spread(point, GRID, pulse=PULSE, fineness=4).abs()
    assert divmod(int(echo.argmax()), GRID.angles) == (200, 80)


def test_a_scatterer_on_a_sample_is_splat_there_alone_and_one_between_is_shared():
    grid = PolarGrid(0.02, 1e-3, 6, -0.1, 0.05, 5)
    amplitude = torch.tensor([2j, 1.0, 5.0], dtype=torch.complex64)
    field = splat(amplitude, torch.tensor([0.022, 0.02325, 0.5]), torch.tensor([0.0, 0.025, 0.0]), grid=grid)
    assert complex(field[2, 2]) == pytest.approx(2j, abs=1e-4)
    assert field[3:5, 2:4].real.flatten().tolist() == pytest.approx([0.375, 0.375, 0.125, 0.125], abs=1e-4)
    assert float(field.abs().sum()) == pytest.approx(3.0, abs=1e-3)


def test_a_smooth_field_is_standard_and_smooth():
    field = smooth_field((100, 80), (5, 4), generator=torch.Generator().manual_seed(1))
    assert float(field.std()) == pytest.approx(1, abs=1e-5) and float(field.mean()) == pytest.approx(0, abs=1e-5)
    assert float(field.diff(dim=0).abs().max()) < 0.3
