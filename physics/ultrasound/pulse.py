"""What a point scatterer becomes in baseband: a pulse whose spectrum sinks with depth, as wide as the beam."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from physics.ultrasound.polar import PolarGrid

FULL_WIDTH = math.sqrt(8 * math.log(2))  # full width at half maximum of a Gaussian, standard deviations
SKIRT, SKIRT_WIDTH = 0.01, 8.0  # amplitude of the skirt of side lobes (-40 dB) and its width, main lobes
TAPER = 0.9  # share of the band of the samples that passes untouched
BANDS = 6  # depths at which the spectrum is computed; between them it fades over


@dataclass(frozen=True)
class Pulse:
    """A transmitted pulse and its beam, of baseband samples  RF(r) = Re{ s(r) exp(+i 2 pi demodulation_hz 2 r / sound_speed) }.

    centre_hz                 middle of the spectrum at depth 0
    demodulation_hz           frequency that became 0
    bandwidth_hz              full width at half maximum of the amplitude spectrum
    beam_rad                  full width at half maximum of the two-way amplitude across beams
    attenuation_db_cm_mhz     of tissue, one way; its loss of amplitude is taken as compensated, its shift of the spectrum is not
    has_side_lobes            sinc^2 beam with a skirt at -40 dB instead of a Gaussian one
    sound_speed               m/s
    """

    centre_hz: float
    demodulation_hz: float
    bandwidth_hz: float
    beam_rad: float
    attenuation_db_cm_mhz: float = 0.5
    has_side_lobes: bool = False
    sound_speed: float = 1540.0

    @property
    def sigma_hz(self) -> float:
        """Standard deviation of the amplitude spectrum; the pulse in time has 1 / (2 pi sigma_hz)."""
        return self.bandwidth_hz / FULL_WIDTH

    def shift_hz(self, range_m: Tensor) -> Tensor:
        """By how much attenuation moved the middle of the spectrum of echoes from `range_m`, Hz, not positive.

            shift = -slope · 2 range_m · sigma_hz^2,   slope = attenuation_db_cm_mhz / 8.686 · 1e-4  Np / (m Hz)

        A Gaussian spectrum times exp(-slope · f · 2 range_m) is a Gaussian moved by this (Szabo 2014, section 4).
        """
        slope = self.attenuation_db_cm_mhz / (20 * math.log10(math.e)) * 1e-4
        return -2 * slope * self.sigma_hz**2 * range_m

    def axial_response(self, grid: PolarGrid, range_m: Tensor) -> Tensor:
        """Amplitude spectra (depth, axial) of echoes from `range_m`, on the frequencies of `grid` in FFT order; mean square 1."""
        f = torch.fft.fftfreq(grid.ranges, 2 * grid.range_step_m / self.sound_speed, dtype=torch.float64)
        centre = self.centre_hz - self.demodulation_hz + self.shift_hz(range_m.to(torch.float64))
        response = torch.exp(-((f - centre[:, None]) ** 2) / (2 * self.sigma_hz**2))
        edge = (f.abs() / f.abs().max() - TAPER).clamp(min=0) / (1 - TAPER)
        response = response * torch.cos(edge * math.pi / 2) ** 2
        return response / response.square().mean(dim=1, keepdim=True).sqrt()

    def lateral_response(self, grid: PolarGrid) -> Tensor:
        """Amplitude spectrum (lateral,) of the beam, on the frequencies of `grid` in FFT order; mean square 1."""
        k = torch.fft.fftfreq(grid.angles, grid.angle_step_rad, dtype=torch.float64)
        sigma = self.beam_rad / FULL_WIDTH
        if self.has_side_lobes:
            reach = 0.886 / self.beam_rad  # aperture over wavelength: sinc^2 of it falls to one half at beam_rad / 2
            main = (1 - k.abs() / reach).clamp(min=0) / reach
            wide = SKIRT_WIDTH * sigma
            response = main + SKIRT * wide * math.sqrt(2 * math.pi) * torch.exp(-((2 * math.pi * k * wide) ** 2) / 2)
        else:
            response = torch.exp(-((2 * math.pi * k * sigma) ** 2) / 2)
        return response / response.square().mean().sqrt()


def spread(scatterers: Tensor, grid: PolarGrid, *, pulse: Pulse, fineness: int = 1) -> Tensor:
    """Baseband echoes of scatterers.

    scatterers   (*batch, fineness·axial, lateral) complex, with the phase exp(-i 2 pi demodulation_hz 2 r / c) of their range
    grid         of the result; the scatterers lie on `grid.finer(fineness)`
    pulse        spectrum and beam
    returns      (*batch, axial, lateral); white scatterers of variance 1 give variance 1 at each depth

        s(r, angle) = sum over scatterers j of  a_j p_axial(r - r_j; r) p_lateral(angle - angle_j)

    The pulse is exact at six depths and fades over linearly between them. Edges wrap: give the grid a margin of a few pulses.
    """
    spectrum = _low_band(torch.fft.fft2(scatterers), grid.ranges, fineness)
    r = grid.range_m()
    depths = torch.linspace(float(r[0]), float(r[-1]), BANDS, dtype=torch.float64)
    weights = (1 - (r - depths[:, None]).abs() / (depths[1] - depths[0])).clamp(min=0)
    axial, lateral = pulse.axial_response(grid, depths), pulse.lateral_response(grid)
    echoes = torch.zeros_like(spectrum)
    for weight, response in zip(weights, axial):
        transfer = (response[:, None] * lateral).to(spectrum.real.dtype)
        echoes += weight[:, None].to(spectrum.real.dtype) * torch.fft.ifft2(spectrum * transfer)
    return echoes


def _low_band(spectrum: Tensor, rows: int, fineness: int) -> Tensor:
    """The `rows` lowest frequencies along the axial axis, scaled so that a white spectrum keeps its variance."""
    if fineness == 1:
        return spectrum
    half = rows // 2
    low = torch.cat([spectrum[..., : rows - half, :], spectrum[..., spectrum.shape[-2] - half :, :]], dim=-2)
    return low / math.sqrt(fineness)
