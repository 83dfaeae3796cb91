"""Delay and sum finds scatterers where they are, as sharp as the aperture allows, and agrees with PyMUST."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from physics.ultrasound.beamforming import Channels, DelayAndSum
from physics.ultrasound.polar import PolarGrid
from physics.ultrasound.transmission import DivergingWave, FocusedWave, PlaneWave

SPEED, CARRIER, PITCH = 1540.0, 2.5e6, 0.3e-3
ELEMENTS = tuple((e - 31.5) * PITCH for e in range(64))
RECORDING = Channels(ELEMENTS, samples=900, sampling_hz=10e6, demodulation_hz=CARRIER, first_time_s=4e-6)
WAVES = {"plane": PlaneWave(0.15), "diverging": DivergingWave(2e-3, -9.6e-3), "focused": FocusedWave(0.01, 0.08)}


def _echo(wave, r_m, angle_rad, *, sigma_hz=0.25e6):
    """Channels (1, element, sample) of one scatterer, from its geometry alone."""
    x, z = r_m * math.sin(angle_rad), r_m * math.cos(angle_rad)
    place = torch.tensor(ELEMENTS, dtype=torch.float64)
    sent = float(wave.distance_m(torch.tensor(x), torch.tensor(z)))
    tau = (sent + torch.sqrt((x - place) ** 2 + z**2)) / SPEED
    t = RECORDING.first_time_s + torch.arange(RECORDING.samples, dtype=torch.float64) / RECORDING.sampling_hz
    pulse = torch.exp(-((2 * math.pi * sigma_hz * (t - tau[:, None])) ** 2) / 2)
    return (pulse * torch.exp(-2j * math.pi * CARRIER * tau[:, None]))[None]


@pytest.mark.parametrize("name", WAVES)
def test_a_scatterer_appears_at_its_place_with_amplitude_one_and_the_phase_of_a_scan_line(name):
    r_m, angle_rad = 0.045, 0.2
    grid = PolarGrid(0.04, 0.25e-3, 41, angle_rad - 0.06, 0.004, 31)
    scan = DelayAndSum(grid, RECORDING, (WAVES[name],)).forward(_echo(WAVES[name], r_m, angle_rad))
    row, column = divmod(int(scan.abs().argmax()), 31)
    assert (row, column) == (20, 15)
    phase = torch.exp(torch.tensor(-2j * math.pi * CARRIER * 2 * r_m / SPEED, dtype=torch.complex128))
    assert abs(complex(scan[20, 15] - phase)) < 2e-3


@pytest.mark.parametrize(("apodization", "width"), [("box", 1.207), ("hann", 2.0)])
def test_the_beam_is_as_wide_as_the_aperture_makes_it(apodization, width):
    """Receive only: sinc falls to half over 1.207 wavelengths per aperture, the transform of a Hann window over 2."""
    grid = PolarGrid(0.05, 0.25e-3, 1, -0.08, 0.0004, 401)
    recording = replace(RECORDING, samples=1100)
    wave = DivergingWave(0.0, -0.2)
    x = torch.tensor(ELEMENTS, dtype=torch.float64)
    tau = (float(wave.distance_m(torch.tensor(0.0), torch.tensor(0.05))) + torch.sqrt(x**2 + 0.05**2)) / SPEED
    t = 4e-6 + torch.arange(1100, dtype=torch.float64) / 10e6
    narrow = torch.exp(-((2 * math.pi * 0.05e6 * (t - tau[:, None])) ** 2) / 2)
    lines = (narrow * torch.exp(-2j * math.pi * CARRIER * tau[:, None]))[None]
    beam = DelayAndSum(grid, recording, (wave,), apodization=apodization).forward(lines).abs()[0]
    above = (beam > beam.max() / 2).sum() * 0.0004
    aperture = 64 * PITCH if apodization == "box" else 65 * PITCH
    assert float(above) == pytest.approx(width * SPEED / CARRIER / aperture, rel=0.03)


def test_a_small_f_number_hears_all_elements_and_a_large_one_those_above():
    grid = PolarGrid(0.04, 0.25e-3, 3, -0.01, 0.01, 3)
    lines = torch.ones(1, 64, RECORDING.samples, dtype=torch.complex128)
    lines[:, :31] = lines[:, 33:] = 0
    few = DelayAndSum(grid, RECORDING, (PlaneWave(),), apodization="box", f_number=60.0).forward(lines)
    many = DelayAndSum(grid, RECORDING, (PlaneWave(),), apodization="box", f_number=1.0).forward(lines)
    assert float(few[1, 1].abs()) == pytest.approx(1.0, abs=1e-3) and float(many[1, 1].abs()) == pytest.approx(2 / 64, abs=1e-3)


def test_several_transmissions_add_up():
    grid = PolarGrid(0.04, 0.25e-3, 9, 0.15, 0.01, 9)
    waves = tuple(WAVES.values())
    lines = torch.cat([_echo(wave, 0.041, 0.19) for wave in waves])
    together = DelayAndSum(grid, RECORDING, waves).forward(lines)
    apart = sum(DelayAndSum(grid, RECORDING, (wave,)).forward(lines[[i]]) for i, wave in enumerate(waves))
    assert torch.allclose(together, apart)


@pytest.mark.parametrize("name", WAVES)
def test_a_wave_passes_the_origin_at_time_zero(name):
    zero = torch.zeros((), dtype=torch.float64)
    assert float(WAVES[name].distance_m(zero, zero)) == pytest.approx(0.0, abs=1e-15)


@pytest.mark.parametrize(("wave", "depth_m", "message"), [(DivergingWave, 0.01, "behind"), (FocusedWave, -0.01, "before")])
def test_a_source_on_the_wrong_side_is_refused(wave, depth_m, message):
    with pytest.raises(ValueError, match=message):
        wave(0.0, depth_m)


def test_the_scan_of_simulated_channels_is_that_of_pymust():
    pymust = pytest.importorskip(
        "pymust", reason="PyMUST: install the package pymust for an independent simulator and beamformer"
    )
    param = pymust.getparam("P4-2v")
    param.fs, param.c = 4 * param.fc, SPEED
    source_z = -8e-3
    delays = pymust.txdelay(0.0, source_z, param)
    x_s, z_s = np.array([-8e-3, 3e-3, 10e-3]), np.array([0.03, 0.045, 0.06])
    rf, _ = pymust.simus(x_s, z_s, np.ones(3), delays, param)
    iq = pymust.rf2iq(rf, param.fs, param.fc)
    elements = (np.arange(param.Nelements) - (param.Nelements - 1) / 2) * param.pitch
    grid = PolarGrid(0.02, 0.3e-3, 160, -0.5, 0.015, 67)
    x, z = (position.numpy() for position in grid.points_m())
    matrix = pymust.dasmtx(1j * np.array(iq.shape), x, z, delays, param)
    theirs = (matrix @ iq.flatten(order="F")).reshape(x.shape, order="F")
    late_s = (np.hypot(elements, source_z).min() - abs(source_z)) / SPEED
    recording = Channels(tuple(elements), iq.shape[0], param.fs, param.fc, first_time_s=late_s)
    beams = DelayAndSum(grid, recording, (DivergingWave(0.0, source_z),), apodization="box", interpolation="linear")
    ours = beams.forward(torch.from_numpy(np.ascontiguousarray(iq.T))[None].to(torch.complex128)).numpy()
    theirs = theirs * np.exp(-2j * np.pi * param.fc * 2 * np.hypot(x, z) / SPEED)
    correlation = abs(np.vdot(ours, theirs)) / np.linalg.norm(ours) / np.linalg.norm(theirs)
    assert correlation > 0.99
