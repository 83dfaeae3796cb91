"""The image track: grey levels back to an envelope on polar beams, dehazed there, and the change put onto the pixels.

Haze adds to the signal, not to its logarithm. A picture has lost the phase and whatever the scanner did to it; what is left is
an envelope, if the grey map is one of decibels. So this track is a substitute for RF or IQ, and says so in its warnings.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from medidiff.dehazing.bmode_settings import BmodeSettings
from medidiff.dehazing.cone import Cone
from medidiff.dehazing.model import Priors
from medidiff.dehazing.phase import speckle_phase
from medidiff.dehazing.result import Dehazed
from medidiff.dehazing.settings import NEED_MODEL, DehazeSettings
from medidiff.dehazing.task import dehaze
from physics.ultrasound.polar import PolarGrid
from physics.ultrasound.scan_conversion import CartesianGrid, ScanConversion, SectorSampling

WITHOUT_PHASE = (
    "Grey levels have no phase, and their decibels are assumed: what is removed is an estimate on the envelope, not a separation "
    "of signals. A recording of RF or IQ gives a better result."
)
LARGEST_CUT_DB = 60.0  # of one pixel


@dataclass(frozen=True, eq=False)
class Pictures:
    """Dehazed pictures.

    after       (frame, row, column) uint8; pixels outside the sector and coloured ones are as they were
    haze        (frame, row, column) uint8, grey levels of what was removed, on the same scale
    change_db   (frame, row, column) float32, 0 or below: what was taken from each pixel
    spread      (frame, row, column) uint8, grey levels of the tissue's spread over samples; None where the method draws none
    separated   on polar beams, in units of white = 1
    """

    after: np.ndarray
    haze: np.ndarray
    change_db: np.ndarray
    spread: np.ndarray | None
    separated: Dehazed


def decompressed(levels: Tensor, *, range_db: float) -> Tensor:
    """Envelope of grey levels 0 to 255, white 1; black is 0, since it may be anything below.

    a = 10^( range_db (g / 255 - 1) / 20 )
    """
    g = levels.to(torch.float32)
    return 10 ** (range_db * (g / 255 - 1) / 20) * (g > 0)


def compressed(envelope: Tensor, *, range_db: float) -> Tensor:
    """Grey levels 0 to 255, not rounded, of an envelope; the inverse of `decompressed` from level 1 on."""
    decibels = 20 * torch.log10(envelope.clamp(min=1e-12))
    return (255 * (1 + decibels / range_db)).clamp(0, 255)


def dehaze_pictures(
    frames: np.ndarray,
    cone: Cone,
    *,
    pixel_m: float,
    method: str,
    settings: DehazeSettings,
    bmode: BmodeSettings,
    priors: Priors,
    seed: int,
    overlay: np.ndarray | None = None,
) -> Pictures:
    """Every frame without its haze, by one method of the room.

    frames    (frame, row, column) uint8, the ultrasound region
    cone      the sector in it
    pixel_m   edge of its square pixels; where it is unknown any length, since only models ask for it
    overlay   (frame, row, column) bool: pixels to leave alone

    Only the change goes back to the picture, in decibels and interpolated, so a method that changes nothing returns every pixel
    as it was. Errors as `task.dehaze`.
    """
    grid, pictures = _grids(cone, frames.shape[1:], pixel_m, bmode.angles, _steps(method, priors))
    sampling, back = SectorSampling(pictures, grid), ScanConversion(grid, pictures)
    envelope = torch.stack([sampling.forward(decompressed(torch.from_numpy(one), range_db=bmode.range_db)) for one in frames])
    separate = partial(dehaze, grid=grid, method=method, settings=settings, priors=priors, seed=seed)
    found = _averaged(envelope, separate, bmode.phases, seed) if method in NEED_MODEL else separate(envelope.to(torch.complex64))
    inside = back.inside.numpy()
    after, haze, changes, spreads = [], [], [], []
    for k, frame in enumerate(frames):
        change = _decibels(found.tissue[k].abs(), envelope[k]).clamp(-LARGEST_CUT_DB, 0)
        change_db = back.forward(change).numpy() * inside
        if overlay is not None:
            change_db = np.where(overlay[k], 0, change_db)
        after.append(_changed(frame, change_db, bmode.range_db))
        removed = decompressed(torch.from_numpy(frame), range_db=bmode.range_db).numpy() * (1 - 10 ** (change_db / 20))
        haze.append(_levels(torch.from_numpy(removed), bmode.range_db))
        changes.append(change_db.astype(np.float32))
        if found.spread is not None:
            spreads.append(_levels(back.forward(found.spread[k]), bmode.range_db))
    spread = np.stack(spreads) if spreads else None
    told = found.diagnostics | {"warnings": [*found.diagnostics["warnings"], WITHOUT_PHASE]}
    return Pictures(np.stack(after), np.stack(haze), np.stack(changes), spread, replace(found, diagnostics=told))


def _averaged(envelope: Tensor, separate: Callable[[Tensor], Dehazed], phases: int, seed: int) -> Dehazed:
    """Mean tissue amplitude over phases that the envelope could have had, and the spread over them.

    Models know IQ alone. Every frame has the same phases, so that a clip does not flicker.
    """
    shape = tuple(envelope.shape[1:])
    parts = [separate(envelope * speckle_phase(shape, seed=seed + k)) for k in range(phases)]
    amplitudes = torch.stack([part.tissue.abs() for part in parts])
    tissue = amplitudes.mean(0)
    told = dict(parts[0].diagnostics)
    for name in ("network_calls", "seconds_per_frame", "latency_p95_s"):
        told[name] = sum(part.diagnostics[name] for part in parts)
    told["frames_per_second"] = 1 / told["seconds_per_frame"]
    spread = amplitudes.std(0) if phases > 1 else None
    haze = (envelope - tissue).to(torch.complex64)
    return Dehazed(tissue.to(torch.complex64), haze, torch.zeros_like(haze), spread, told)


def _steps(method: str, priors: Priors) -> tuple[float, float] | None:
    """Steps of range and angle of the model's training, so that a picture is resampled to what the model knows."""
    if method not in NEED_MODEL:
        return None
    card = priors.need(NEED_MODEL[method], method).card
    return card.range_step_m, card.angle_step_rad


def _grids(
    cone: Cone, shape: tuple[int, int], pixel_m: float, angles: int, steps: tuple[float, float] | None
) -> tuple[PolarGrid, CartesianGrid]:
    """Polar beams about the apex, and the picture's pixels as seen from there."""
    width = cone.right_rad - cone.left_rad
    range_step, angle_step = steps or (pixel_m, width / (angles - 1))
    ranges = max(2, int((cone.far - cone.near) * pixel_m / range_step) + 1)
    grid = PolarGrid(cone.near * pixel_m, range_step, ranges, cone.left_rad, angle_step, max(2, int(width / angle_step) + 1))
    rows, columns = shape
    return grid, CartesianGrid(rows, columns, pixel_m, -cone.apex_column * pixel_m, -cone.apex_row * pixel_m)


def _decibels(values: Tensor, reference: Tensor) -> Tensor:
    """20 log10(values / reference), 0 where there is nothing to compare with."""
    ratio = values.clamp(min=1e-12) / reference.clamp(min=1e-12)
    return torch.where(reference > 0, 20 * torch.log10(ratio), torch.zeros_like(ratio))


def _levels(envelope: Tensor, range_db: float) -> np.ndarray:
    return compressed(envelope, range_db=range_db).round().to(torch.uint8).numpy()


def _changed(frame: np.ndarray, change_db: np.ndarray, range_db: float) -> np.ndarray:
    levels = frame + 255 * change_db / range_db
    return np.where(change_db < 0, np.clip(np.round(levels), 0, 255), frame).astype(np.uint8)
