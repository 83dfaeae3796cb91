"""A generated echocardiogram of known truth: tissue, haze and noise apart, in baseband IQ on a polar grid."""

import math
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from scipy.ndimage import binary_erosion
from torch import Generator, Tensor

from medidiff.phantoms.echo_anatomy import FRAME_RATE_HZ, MYOCARDIUM, VENTRICLE, Heart, draw_heart
from medidiff.phantoms.echo_family import FAMILIES, Family, draw_style
from physics.ultrasound.haze import draw_haze
from physics.ultrasound.polar import PolarGrid
from physics.ultrasound.pulse import Pulse, spread
from physics.ultrasound.scatterers import draw_amplitudes, smooth_field, splat

FIRST_RANGE_M = 15e-3
SAMPLING_HZ = 2.5e6  # of the complex samples: 10 MHz of RF, every fourth kept
LEAST_DEPTH_M = 256 * 1540.0 / (2 * SAMPLING_HZ)  # below it a frame of fewer samples has longer pulses instead of less depth
BEAM_LINES = 2.74  # width of the beam in lines of a frame of 128; fewer lines mean a smaller aperture
FINENESS = 4  # scatterers per complex sample, along the depth
MARGIN = (16, 16)  # samples and lines around the frame, so that nothing wraps into it
TEXTURE_DB, TEXTURE_CELLS = 2.0, (9, 8)
TARGET_LENGTH_M, TARGET_THICKNESS_M = (6e-3, 10e-3), 1.5e-3
TARGET_ROOM = 8  # samples between the middle of a target and the border of the blood
EVERY_FRAME = slice(None)
STREAMS = {"anatomy": 0, "tissue": 1, "haze": 2, "noise": 3, "target": 4}  # each part has random numbers of its own


@dataclass(frozen=True)
class Frequencies:
    """What the complex samples mean, Hz:  RF(r) = Re{ s(r) exp(+i 2 pi demodulation_hz 2 r / sound_speed) }."""

    centre_hz: float
    demodulation_hz: float
    sampling_hz: float
    sound_speed: float  # m/s
    frame_rate_hz: float


@dataclass(frozen=True, eq=False)
class Echo:
    """A clip with its truth. Tissue has root mean square 1 over the myocardium; what a scanner sees is  y = x + h + n.

    x, h, n      (frame, axial, lateral) complex64   tissue, haze, electronic noise
    labels       (frame, axial, lateral) uint8       0 other, 1 myocardium, 2 blood of the left ventricle, 3 other blood, 4 bright
    htr_db       haze in the ventricle's blood to tissue in the myocardium, root mean squares
    parameters   all that was drawn, as JSON can hold it
    """

    x: Tensor
    h: Tensor
    n: Tensor
    labels: Tensor
    grid: PolarGrid
    frequencies: Frequencies
    htr_db: float
    parameters: dict[str, Any]

    @property
    def y(self) -> Tensor:
        """The measurement, x + h + n."""
        return self.x + self.h + self.n


def draw_echo(
    seed: int, *, family: str = "g1", htr_db: float | None = None, frames: int = 1, shape: tuple[int, int] = (256, 128)
) -> Echo:
    """A random patient's clip, the same for the same arguments.

    seed      0 to 9999 are for training, 10000 to 10099 for validation, from 20000 on for tests
    family    "g1"; "g2": another scanner, sparse scatterers, side lobes, two curved walls; "g3": g1 under another haze, of two
              curved walls and with a grain that is nearly that of tissue
    htr_db    haze to tissue; None draws it from -22 to -6 dB
    frames    at 40 per second
    shape     (axial, lateral); fewer than 256 samples or 128 lines keep depth and sector, with longer pulses and a wider beam

    One frame has scatterers on the samples of the grid; a clip has scatterers that move with the heart. ValueError for an
    unknown family, no frame, or a frame too small for a heart.
    """
    _check(seed, family, frames, shape)
    kind = FAMILIES[family]
    grid, pulse = _geometry(kind, shape)
    rng = np.random.default_rng(np.random.SeedSequence([seed, STREAMS["anatomy"]]))
    heart, style = draw_heart(rng), draw_style(kind, rng)
    drawn_db = float(rng.uniform(*kind.htr_db))
    wide = grid.grown(*MARGIN)
    draw = _draw_still if frames == 1 else partial(_draw_beating, frames=frames)
    x, labels = map(_cut, draw(heart, wide, pulse, density=kind.density, generator=_stream(seed, "tissue")))
    h = _cut(draw_haze(wide, pulse, style=style, frames=frames, generator=_stream(seed, "haze")))
    target_db = drawn_db if htr_db is None else htr_db
    x = x / _rms(x[labels == MYOCARDIUM])
    h = h * (10 ** (target_db / 20) / _rms(h[labels == VENTRICLE]))
    n = _draw_noise(x.shape, kind, _stream(seed, "noise"))
    frequencies = Frequencies(
        pulse.centre_hz, pulse.demodulation_hz, pulse.sound_speed / (2 * grid.range_step_m), pulse.sound_speed, FRAME_RATE_HZ
    )
    parameters = {"seed": seed, "family": family, "frames": frames, "shape": list(shape)}
    parameters |= {"pulse": asdict(pulse), "heart": asdict(heart), "haze": asdict(style), "scanner": asdict(kind)}
    return Echo(x, h, n, labels, grid, frequencies, target_db, parameters)


def _check(seed: int, family: str, frames: int, shape: tuple[int, int]) -> None:
    if family not in FAMILIES:
        raise ValueError(f"family: found {family!r}, expected one of {', '.join(FAMILIES)}.")
    if seed < 0 or frames < 1 or min(shape) < 16:
        raise ValueError(
            f"found seed {seed}, {frames} frames of {shape}; expected a seed from 0, at least 1 frame, and at least 16 samples "
            f"and lines, in which a heart can be told apart."
        )


def _geometry(family: Family, shape: tuple[int, int]) -> tuple[PolarGrid, Pulse]:
    """The grid of a frame and the pulse that suits its steps."""
    speed = Pulse.sound_speed
    step_m = max(speed / (2 * SAMPLING_HZ), LEAST_DEPTH_M / shape[0])
    angle_step = family.sector_rad / (shape[1] - 1)
    grid = PolarGrid(FIRST_RANGE_M, step_m, shape[0], -family.sector_rad / 2, angle_step, shape[1])
    longer = step_m * 2 * SAMPLING_HZ / speed
    pulse = Pulse(
        centre_hz=family.centre_hz,
        demodulation_hz=family.centre_hz,
        bandwidth_hz=family.relative_bandwidth * family.centre_hz / longer,
        beam_rad=max(0.886 * speed / family.centre_hz / family.aperture_m, BEAM_LINES * angle_step),
        attenuation_db_cm_mhz=family.attenuation_db_cm_mhz,
        has_side_lobes=family.has_side_lobes,
    )
    return grid, pulse


def _draw_still(heart: Heart, grid: PolarGrid, pulse: Pulse, *, density: float, generator: Generator) -> tuple[Tensor, Tensor]:
    """Echoes of the tissue at end diastole, and labels, on a grid with margins: (1, axial, lateral) each."""
    fine = grid.finer(FINENESS)
    level_db, labels = heart.tissue(*_single(*fine.points_m()))
    scatterers = _scatterers(fine, level_db, density=density, generator=generator)
    return spread(scatterers[None], grid, pulse=pulse, fineness=FINENESS), labels[None, ::FINENESS]


def _draw_beating(
    heart: Heart, grid: PolarGrid, pulse: Pulse, *, density: float, frames: int, generator: Generator
) -> tuple[Tensor, Tensor]:
    """Echoes of a clip whose scatterers move with the heart, and labels: (frame, axial, lateral) each."""
    fine = grid.finer(FINENESS)
    r = fine.range_m()[:, None] + fine.range_step_m * (torch.rand(fine.shape, generator=generator) - 0.5)
    angle = fine.angle_rad() + fine.angle_step_rad * (torch.rand(fine.shape, generator=generator) - 0.5)
    x_m, z_m = r * torch.sin(angle), r * torch.cos(angle)
    level_db, _ = heart.tissue(*_single(x_m, z_m))
    amplitudes = _scatterers(fine, level_db, density=density, generator=generator)
    echoes, labels = [], []
    for frame in range(frames):
        here_x, here_z = heart.moved(x_m, z_m, frame)
        range_m, angle_rad = torch.hypot(here_x, here_z), torch.atan2(here_x, here_z)
        phase = 4 * math.pi * pulse.demodulation_hz / pulse.sound_speed * range_m
        carried = amplitudes * torch.polar(torch.ones_like(phase), -phase).to(torch.complex64)
        scatterers = splat(carried.flatten(), range_m.flatten(), angle_rad.flatten(), grid=fine)
        echoes.append(spread(scatterers, grid, pulse=pulse, fineness=FINENESS))
        labels.append(heart.tissue(*heart.material(*_single(*grid.points_m()), frame))[1])
    return torch.stack(echoes), torch.stack(labels)


def _scatterers(grid: PolarGrid, level_db: Tensor, *, density: float, generator: Generator) -> Tensor:
    """Complex amplitudes of one scatterer per sample of a fine grid, with the echogenicity and a smooth texture."""
    texture_db = TEXTURE_DB * smooth_field(grid.shape, TEXTURE_CELLS, generator=generator)
    amplitudes = draw_amplitudes(grid.shape, density=density, generator=generator)
    return amplitudes * torch.exp((level_db + texture_db) * (math.log(10) / 20))


def _single(*positions: Tensor) -> tuple[Tensor, ...]:
    """Positions in single precision, which tells a heart's parts apart to a tenth of a micrometre."""
    return tuple(position.to(torch.float32) for position in positions)


def _draw_noise(shape: tuple[int, ...], family: Family, generator: Generator) -> Tensor:
    """Noise of the electronics: white, growing with depth as gain was compensated."""
    depth = torch.linspace(-0.5, 0.5, shape[1])[:, None]
    level = 10 ** ((family.noise_db + family.noise_growth_db * depth) / 20)
    return level * torch.randn(shape, dtype=torch.complex64, generator=generator)


def _stream(seed: int, part: str) -> Generator:
    """Random numbers of one part of one patient."""
    words = np.random.SeedSequence([seed, STREAMS[part]]).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(words[0] >> np.uint64(1)))


def _cut(field: Tensor) -> Tensor:
    """The frame without its margins."""
    rows, columns = MARGIN
    return field[..., rows:-rows, columns:-columns]


def _rms(values: Tensor) -> Tensor:
    return values.abs().square().mean().sqrt()


def insert_target(echo: Echo, *, seed: int, level_db: float = -25.0, frames: slice = EVERY_FRAME) -> tuple[Echo, Tensor]:
    """The clip with a small weak structure in the blood of the left ventricle, and that structure alone.

    echo       a clip; its labels stay as they are, as nobody knows of the target
    seed       of place, direction, size (6 to 10 mm by 1.5 mm) and speckle
    level_db   root mean square within the target, relative to myocardium
    frames     in which it is there
    returns    the clip, its tissue with the target; the target (frame, axial, lateral) complex64

    A method that paints ventricles black loses it. ValueError where the ventricle has no place for it in all these frames.
    """
    blood = (echo.labels[frames] == VENTRICLE).all(dim=0)
    grid, pulse = echo.grid, Pulse(**echo.parameters["pulse"])
    fine = grid.finer(FINENESS)
    rng = np.random.default_rng(np.random.SeedSequence([seed, STREAMS["target"]]))
    where = _segment(fine, blood.repeat_interleave(FINENESS, dim=0), rng)
    scatterers = draw_amplitudes(fine.shape, generator=_stream(seed, "target")) * where
    target = spread(scatterers, grid, pulse=pulse, fineness=FINENESS)
    target = target * (10 ** (level_db / 20) / _rms(target[where[::FINENESS]]))
    present = torch.zeros(len(echo.x), 1, 1)
    present[frames] = 1
    inserted = present * target
    return replace(echo, x=echo.x + inserted), inserted


def _segment(grid: PolarGrid, blood: Tensor, rng: np.random.Generator) -> Tensor:
    """Where a thin short structure lies in the blood, (axial, lateral) bool."""
    x_m, z_m = grid.points_m()
    room = torch.from_numpy(binary_erosion(blood.numpy(), iterations=TARGET_ROOM))
    places = room.flatten().nonzero().flatten()
    if not len(places):
        raise ValueError("the left ventricle has no place for a target in these frames. Take another seed, or fewer frames.")
    place = places[rng.integers(len(places))]
    length, angle = rng.uniform(*TARGET_LENGTH_M), rng.uniform(0, math.pi)
    du, dv = x_m - x_m.flatten()[place], z_m - z_m.flatten()[place]
    along, across = du * math.cos(angle) + dv * math.sin(angle), dv * math.cos(angle) - du * math.sin(angle)
    return blood & (along.abs() < length / 2) & (across.abs() < TARGET_THICKNESS_M / 2)
