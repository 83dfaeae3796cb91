"""Haze of an echocardiogram: diffuse multipath and reverberations of the chest wall, fading with depth, slower than the heart."""

import math
from dataclasses import dataclass, replace

import torch
from torch import Generator, Tensor

from physics.ultrasound.polar import PolarGrid
from physics.ultrasound.pulse import Pulse, spread
from physics.ultrasound.scatterers import draw_amplitudes, smooth_field

COMB_SPREAD = 1.3  # how much wider than diffuse haze the beam of a reverberation is
ONSET_WIDTH_M = 1.5e-3  # of the logistic step at which haze begins
PATCHES = (5, 4)  # about so many independent clouds along depth and across


@dataclass(frozen=True)
class Wall:
    """A layer whose echo bounces to and fro: copy m lies at  m spacing_m (1 + tilt angle + curvature angle^2)."""

    spacing_m: float
    thickness_m: float
    reflection: float  # amplitude of copy m is reflection^m
    tilt: float  # 1/rad
    curvature: float  # 1/rad^2
    weight: float  # root mean square of the copies relative to diffuse haze


@dataclass(frozen=True)
class HazeStyle:
    """How one patient's haze looks."""

    beam_factor: float  # wider beam than the tissue's: delays do not fit the longer path
    band_factor: float  # narrower spectrum
    sinking: float  # of the middle of the spectrum, share of the carrier
    walls: tuple[Wall, ...]
    onset_m: float
    floor: float  # amplitude far below, relative to that at the onset
    decay_m: float
    cloud_db: float  # spread of the clouds
    renewal: float  # share of new haze per frame, in amplitude
    drift_m: float  # towards the depth, per frame


def draw_haze(grid: PolarGrid, pulse: Pulse, *, style: HazeStyle, frames: int, generator: Generator) -> Tensor:
    """Haze of a clip (frame, axial, lateral) complex64, of no particular scale.

    grid        with a margin of a few beams around what will be used; edges wrap
    pulse       of the tissue; haze has a wider beam and a lower, narrower spectrum
    style       of this patient
    frames      of the clip
    generator   of the random numbers

        h_t = sqrt(1 - renewal^2) moved(h_{t-1}, drift_m) + renewal · new,   times the envelope in depth and the clouds
    """
    blurred = replace(
        pulse,
        centre_hz=pulse.centre_hz * (1 - style.sinking),
        bandwidth_hz=pulse.bandwidth_hz / style.band_factor,
        beam_rad=pulse.beam_rad * style.beam_factor,
    )
    current = _new_haze(grid, blurred, style=style, generator=generator)
    clip = [current]
    for _ in range(frames - 1):
        new = _new_haze(grid, blurred, style=style, generator=generator)
        current = math.sqrt(1 - style.renewal**2) * moved(current, grid, pulse, style.drift_m) + style.renewal * new
        clip.append(current)
    clouds_db = style.cloud_db * smooth_field(grid.shape, PATCHES, generator=generator)
    return torch.stack(clip) * (_depth_envelope(grid, style) * 10 ** (clouds_db / 20))


def moved(echoes: Tensor, grid: PolarGrid, pulse: Pulse, distance_m: float) -> Tensor:
    """Baseband echoes (*batch, axial, lateral) moved towards the depth, with the phase of their carrier; edges wrap.

    s'(r) = s(r - distance_m) exp(-i 2 pi demodulation_hz 2 distance_m / sound_speed)
    """
    turn = _turn(grid.ranges, grid, pulse, torch.tensor([distance_m], dtype=torch.float64))
    return torch.fft.ifft(torch.fft.fft(echoes, dim=-2) * turn, dim=-2)


def _turn(rows: int, grid: PolarGrid, pulse: Pulse, distance_m: Tensor) -> Tensor:
    """exp(-i 2 pi (f + demodulation_hz) 2 distance_m / c) on `rows` frequencies, (axial, lateral) complex64."""
    f = torch.fft.fftfreq(rows, 2 * grid.range_step_m / pulse.sound_speed, dtype=torch.float64)
    cycles = (2 / pulse.sound_speed * (f[:, None] + pulse.demodulation_hz) * distance_m).frac().to(torch.float32)
    return torch.polar(torch.ones_like(cycles), -2 * math.pi * cycles)


def _new_haze(grid: PolarGrid, pulse: Pulse, *, style: HazeStyle, generator: Generator) -> Tensor:
    """Fresh haze before its envelope, (axial, lateral): diffuse of variance 1, and the copies of each wall."""
    diffuse = spread(draw_amplitudes(grid.shape, generator=generator), grid, pulse=pulse)
    wide = replace(pulse, beam_rad=pulse.beam_rad * COMB_SPREAD)
    for wall in style.walls:
        copies = spread(_reverberations(grid, pulse, wall=wall, generator=generator), grid, pulse=wide)
        diffuse = diffuse + wall.weight * copies / copies.abs().square().mean().sqrt()
    return diffuse


def _reverberations(grid: PolarGrid, pulse: Pulse, *, wall: Wall, generator: Generator) -> Tensor:
    """Scatterers of a wall and of its copies, (axial, lateral):  sum over m of reflection^m, moved by m times the spacing."""
    rows = 2 * grid.ranges
    layer = torch.zeros((rows, grid.angles), dtype=torch.complex64)
    thick = max(1, round(wall.thickness_m / grid.range_step_m))
    layer[:thick] = draw_amplitudes((thick, grid.angles), generator=generator)
    angle = grid.angle_rad()
    bent_m = wall.spacing_m * (1 + wall.tilt * angle + wall.curvature * angle**2)
    step = wall.reflection * _turn(rows, grid, pulse, bent_m)
    to_grid = _turn(rows, grid, pulse, torch.tensor([-grid.first_range_m], dtype=torch.float64))
    squared = step.square()
    copies = step * (1 + step) * (1 + squared) * (1 + squared.square())
    return torch.fft.ifft(torch.fft.fft(layer, dim=0) * copies * to_grid, dim=0)[: grid.ranges]


def _depth_envelope(grid: PolarGrid, style: HazeStyle) -> Tensor:
    """Amplitude against depth, (axial, 1): a logistic onset, then an exponential decay to a floor."""
    past_m = grid.range_m() - style.onset_m
    decay = style.floor + (1 - style.floor) * torch.exp(-past_m.clamp(min=0) / style.decay_m)
    return (torch.sigmoid(past_m / ONSET_WIDTH_M) * decay)[:, None].to(torch.float32)
