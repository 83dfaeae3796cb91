"""One ultrasound recording: frames of RF, IQ or grey levels, and where and when their samples were taken."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from medidiff.errors import DataError

LARGEST_BYTES = 1 << 33  # of one recording in memory
_TYPES = {"iq": "complex64", "rf": "float32", "image": "uint8"}


@dataclass(frozen=True)
class Sector:
    """Samples along beams that leave one point, at equal steps of angle; 0 is the normal of the probe, m and rad."""

    first_range_m: float
    range_step_m: float
    first_angle_rad: float
    angle_step_rad: float


@dataclass(frozen=True)
class Parallel:
    """Samples along parallel beams; the distance between beams is None where a file does not tell it."""

    first_range_m: float
    range_step_m: float
    line_step_m: float | None = None


@dataclass(frozen=True)
class Pixels:
    """A scan-converted picture.

    row_m, column_m   edge lengths of a pixel, m; None where unknown
    box               (top, bottom, left, right) of the ultrasound region, ends excluded; None: the whole picture
    """

    row_m: float | None = None
    column_m: float | None = None
    box: tuple[int, int, int, int] | None = None


@dataclass(frozen=True, eq=False)
class Recording:
    """Frames of one recording, in the units of the file.

    values            (frame, axial, lateral)   complex64 IQ, float32 RF; uint8 grey levels, of Pixels (frame, row, column)
    kind              iq, rf or image           grey levels are log-compressed: haze is not additive in them
    geometry          where the samples lie
    sampling_hz       of the samples as stored; of IQ the complex rate
    centre_hz         of the transmitted pulse
    demodulation_hz   of IQ, and the one to use for RF
    sound_speed       m/s
    frame_rate_hz     None where unknown
    facts             what else the file says, as JSON can hold it
    overlay           (frame, row, column) of pictures: coloured pixels, which are no tissue; None where there are none
    """

    values: np.ndarray
    kind: Literal["iq", "rf", "image"]
    geometry: Sector | Parallel | Pixels
    sampling_hz: float | None = None
    centre_hz: float | None = None
    demodulation_hz: float | None = None
    sound_speed: float | None = None
    frame_rate_hz: float | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    overlay: np.ndarray | None = None


def checked(recording: Recording, *, name: str) -> Recording:
    """The recording, when it is one that can be worked on.

    Raises DataError that names the file for no frame, another type than its kind has, a wrong geometry, samples that are not
    finite (with the first such frame), and RF or IQ without the frequencies and the speed of sound that give it a meaning.
    """
    values, kind = recording.values, recording.kind
    if values.ndim != 3 or not values.size or values.dtype != _TYPES[kind]:
        found = f"{values.dtype} of shape {values.shape}"
        raise DataError(f"{name}: found {found}, expected {_TYPES[kind]} (frame, axial, lateral). Export it again.")
    if isinstance(recording.geometry, Pixels) != (kind == "image") and not isinstance(recording.geometry, Sector | Parallel):
        raise DataError(f"{name}: found a picture that claims to be {kind}, expected grey levels. Correct its description.")
    if kind != "image":
        _check_finite(values, name)
        _check_frequencies(recording, name)
    _check_steps(recording.geometry, name)
    return recording


def _check_finite(values: np.ndarray, name: str) -> None:
    for index, frame in enumerate(values):  # frame by frame, so that no copy of the clip is made
        wrong = frame.size - int(np.isfinite(frame).sum())
        if wrong:
            raise DataError(f"{name}: frame {index}: found {wrong} of {frame.size} samples not finite, expected numbers.")


def _check_frequencies(recording: Recording, name: str) -> None:
    needed = ("sampling_hz", "demodulation_hz", "sound_speed")
    missing = [key for key in needed if not _is_positive(getattr(recording, key))]
    if missing:
        raise DataError(
            f"{name}: {', '.join(missing)}: found nothing, expected a number above 0, without which samples have no place. "
            "State it in the description, or in the study's settings."
        )


def _check_steps(geometry: Sector | Parallel | Pixels, name: str) -> None:
    if isinstance(geometry, Pixels):
        steps = {"row_m": geometry.row_m, "column_m": geometry.column_m}
    else:
        optional = geometry.angle_step_rad if isinstance(geometry, Sector) else geometry.line_step_m
        steps = {"range_step_m": geometry.range_step_m, "step between beams": optional}
        starts = [geometry.first_range_m, geometry.first_angle_rad if isinstance(geometry, Sector) else 0.0]
        if geometry.range_step_m is None or not np.isfinite(starts).all():
            raise DataError(f"{name}: found no place of the first sample, expected first_range_m and range_step_m.")
    wrong = [key for key, step in steps.items() if step is not None and not _is_positive(step)]
    if wrong:
        raise DataError(f"{name}: {', '.join(wrong)}: found {steps[wrong[0]]}, expected a number above 0. Correct it.")


def _is_positive(value: float | None) -> bool:
    return value is not None and np.isfinite(value) and value > 0
