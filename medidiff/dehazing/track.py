"""A recording of any kind in, the same kind without haze out: RF is demodulated and back, grey levels take the image track."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from medidiff.dehazing.bmode import dehaze_pictures
from medidiff.dehazing.bmode_settings import BmodeSettings
from medidiff.dehazing.cone import fit_cone, stated, told
from medidiff.dehazing.display import pictures_of, polar_grid
from medidiff.dehazing.model import Priors
from medidiff.dehazing.result import Dehazed
from medidiff.dehazing.settings import NEED_MODEL, DehazeSettings
from medidiff.dehazing.task import dehaze
from medidiff.errors import DataError
from medidiff.io.ultrasound.recording import Pixels, Recording
from physics.ultrasound.demodulation import demodulate, remodulate
from physics.ultrasound.envelope import reference_level

NOTED_DB = -30.0  # removed echoes above this level, relative to white, are worth a look
TIMES = ("seconds_per_frame", "latency_p95_s", "frames_per_second")  # differ from run to run
_UNTOLD = (*TIMES, "frames", "warnings", "weights_sha256", "trained_htr_db")


@dataclass(frozen=True, eq=False)
class DehazedRecording:
    """What is written.

    recording   tissue, in the units, geometry and kind of the input
    extras      haze, and spread where there is one; picture_before, picture_after, picture_haze and picture_spread, grey levels
                of every frame on one scale
    numbers     of the clip, as a record holds them
    times       latency and rate, which differ from run to run
    """

    recording: Recording
    extras: Mapping[str, np.ndarray]
    numbers: Mapping[str, Any]
    times: Mapping[str, float]
    warnings: tuple[str, ...]


def dehaze_recording(
    recording: Recording, *, method: str, settings: DehazeSettings, bmode: BmodeSettings, priors: Priors, seed: int
) -> DehazedRecording:
    """The recording without its haze, by one method. Errors as `task.dehaze` and `cone.fit_cone`."""
    if recording.kind == "image":
        return _image(recording, method, settings, bmode, priors, seed)
    return _signal(recording, method, settings, bmode, priors, seed)


def baseband(recording: Recording) -> tuple[Tensor, Recording]:
    """IQ of a recording of RF or IQ, and the recording that it would be."""
    if recording.kind == "iq":
        return torch.from_numpy(recording.values), recording
    factor = _decimation(recording)
    rf = torch.from_numpy(recording.values)
    iq = torch.stack([demodulate(frame, decimation=factor, **_carrier(recording)) for frame in rf])
    scan = replace(recording.geometry, range_step_m=recording.geometry.range_step_m * factor)
    rate = recording.sampling_hz / factor
    return iq, replace(recording, values=iq.numpy(), kind="iq", geometry=scan, sampling_hz=rate)


def _signal(
    recording: Recording, method: str, settings: DehazeSettings, bmode: BmodeSettings, priors: Priors, seed: int
) -> DehazedRecording:
    y, iq = baseband(recording)
    grid = polar_grid(iq.geometry, tuple(y.shape[1:]))
    found = dehaze(y, grid, method=method, settings=settings, priors=priors, seed=seed)
    level = reference_level(y)
    reference = level if level > 0 else 1.0  # an empty clip is black whatever is white
    common = {"reference": reference, "range_db": bmode.range_db, "rows": bmode.rows}
    shown = {"before": y, "after": found.tissue, "haze": found.haze, "spread": found.spread}
    pictures = {
        f"picture_{name}": pictures_of(values.abs(), iq.geometry, **common)
        for name, values in shown.items()
        if values is not None
    }
    tissue, haze = found.tissue.numpy(), found.haze.numpy()
    if recording.kind == "rf":
        tissue = _radio(found.tissue, recording)
        haze = recording.values - tissue
    extras = {"haze": haze, **pictures} | ({} if found.spread is None else {"spread": found.spread.numpy()})
    bright = float((settings.strength * found.haze.abs() > reference * 10 ** (NOTED_DB / 20)).float().mean())
    removed = _ratio_db(y - found.tissue, y)
    numbers = {"removed_db": removed, "removed_above_30_db_share": bright, "white_amplitude": reference}
    return _gathered(replace(recording, values=tissue), extras, found, numbers)


def _image(
    recording: Recording, method: str, settings: DehazeSettings, bmode: BmodeSettings, priors: Priors, seed: int
) -> DehazedRecording:
    if not isinstance(recording.geometry, Pixels):
        raise DataError(
            f"grey levels on beams ({type(recording.geometry).__name__.lower()}), expected a scan-converted picture, RF or "
            "IQ. Give the IQ of the same recording."
        )
    top, bottom, left, right = recording.geometry.box or (0, recording.values.shape[1], 0, recording.values.shape[2])
    frames = recording.values[:, top:bottom, left:right]
    overlay = None if recording.overlay is None else recording.overlay[:, top:bottom, left:right]
    pixel_m = _pixel_m(recording.geometry)
    if method in NEED_MODEL and pixel_m is None:
        raise DataError(
            f"pixels of unknown size, of which {method} needs to know. State pixel_mm of the recording, or use method wiener."
        )
    cone = stated(bmode.cone) if bmode.cone else fit_cone(frames)
    pictures = dehaze_pictures(
        frames,
        cone,
        pixel_m=pixel_m or 1.0,
        method=method,
        settings=settings,
        bmode=bmode,
        priors=priors,
        seed=seed,
        overlay=overlay,
    )
    whole = recording.values.copy()
    whole[:, top:bottom, left:right] = pictures.after
    extras = {"picture_before": recording.values, "picture_after": whole}
    for name, part in (("haze", pictures.haze), ("spread", pictures.spread)):
        if part is not None:
            extras[f"picture_{name}"] = np.zeros_like(whole)
            extras[f"picture_{name}"][:, top:bottom, left:right] = part
    bright = float((pictures.haze > 255 * (1 + NOTED_DB / bmode.range_db)).mean())
    inside = pictures.change_db < 0
    mean = float(pictures.change_db[inside].mean()) if inside.any() else 0.0
    numbers = {"mean_change_db": mean, "removed_above_30_db_share": bright, "pixel_mm": 1000 * pixel_m if pixel_m else None}
    numbers |= {f"cone.{name}": value for name, value in told(cone).items()}
    return _gathered(replace(recording, values=whole), extras, pictures.separated, numbers)


def _gathered(recording: Recording, extras: Mapping, found: Dehazed, numbers: Mapping) -> DehazedRecording:
    diagnostics = found.diagnostics
    kept = {name: value for name, value in diagnostics.items() if name not in _UNTOLD}
    kept["empty_frames"] = len(kept["empty_frames"])
    times = {name: float(diagnostics[name]) for name in TIMES}
    facts = {**recording.facts, "dehazed_by": diagnostics["method"]}
    shape = {"frames": recording.values.shape[0], "samples": list(recording.values.shape[1:]), "domain": recording.kind}
    shape |= {"frame_rate_hz": recording.frame_rate_hz}
    return DehazedRecording(
        replace(recording, facts=facts), extras, shape | dict(numbers) | kept, times, tuple(diagnostics["warnings"])
    )


def _decimation(recording: Recording) -> int:
    """RF samples for each of IQ, so that the IQ holds a band as wide as its centre is high."""
    return max(1, int(recording.sampling_hz / recording.demodulation_hz))


def _carrier(recording: Recording) -> dict[str, float]:
    first = 2 * recording.geometry.first_range_m / recording.sound_speed
    return {"sampling_hz": recording.sampling_hz, "demodulation_hz": recording.demodulation_hz, "first_time_s": first}


def _radio(iq: Tensor, recording: Recording) -> np.ndarray:
    samples, factor = recording.values.shape[1], _decimation(recording)
    frames = [remodulate(frame, samples=samples, decimation=factor, **_carrier(recording)) for frame in iq]
    return torch.stack(frames).to(torch.float32).numpy()


def _pixel_m(geometry: Pixels) -> float | None:
    """Edge of square pixels. Raises DataError for others, which would bend a sector."""
    row, column = geometry.row_m, geometry.column_m
    if row and column and abs(row - column) > 0.02 * row:
        raise DataError(f"pixels of {1000 * row:.3g} x {1000 * column:.3g} mm, expected square ones. Resample the clip.")
    return row


def _ratio_db(part: Tensor, whole: Tensor) -> float | None:
    power = float(part.abs().square().sum() / whole.abs().square().sum().clamp(min=1e-30))
    return 10 * float(np.log10(power)) if power > 0 else None
