"""Raw data of Clarius scanners: `NAME.raw` and `NAME.yml`, as their raw-data package unpacks to."""

import re
import struct
from pathlib import Path

import numpy as np

from medidiff.errors import DataError
from medidiff.io.ultrasound.recording import LARGEST_BYTES, Parallel, Recording, checked

SOUND_SPEED = 1540.0  # m/s; with it the scanner's "imaging depth" is the end of its region of interest
_HEADER = struct.Struct("<5I")  # id, frames, lines, samples, bytes of a sample
_NUMBER = r"([-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d{1,3})?)"
_LINE = re.compile(rf"rx element: *{_NUMBER}, *tx element: *{_NUMBER}, *angle: *{_NUMBER}")
_LARGEST_TEXT = 1 << 24


def read_clarius(path: Path) -> Recording:
    """IQ, or the 8-bit envelope, of a raw file.

    Lines that repeat one beam are pulses of a Doppler ensemble, behind the scanner's wall filter: they become frames, so that
    slow time is the first axis. The distance between elements is not in the file. Raises DataError where the file is cut, or
    the text beside it is missing or says other sizes.
    """
    path = Path(path)
    text = _text_beside(path)
    with open(path, "rb") as file:
        opening = file.read(_HEADER.size)
        if len(opening) < _HEADER.size:
            raise DataError(f"{path.name}: found {len(opening)} bytes, expected the header of a raw file. Export it again.")
        _, frames, lines, samples, size = _HEADER.unpack(opening)
        _check_size(path, frames, (lines, samples, size))
        kind = "<i2" if size == 4 else "u1"
        content = np.frombuffer(file.read(), np.uint8).reshape(frames, 8 + lines * samples * size)[:, 8:]
    values = np.ascontiguousarray(content).view(kind)
    geometry = _geometry(text, path.name)
    hz = _number(text, "transmit frequency", "MHz", path.name) * 1e6
    known = {
        "sampling_hz": _number(text, "sampling rate", "MHz", path.name) * 1e6,
        "centre_hz": hz,
        "demodulation_hz": hz,
        "sound_speed": SOUND_SPEED,
        "frame_rate_hz": _number(text, "frame rate", "Hz", path.name),
        "facts": {"format": "clarius", "steered_deg": _beams(text)[0][2] if _beams(text) else 0.0},
    }
    if size == 1:
        picture = values.reshape(frames, lines, samples).transpose(0, 2, 1)
        return checked(Recording(np.ascontiguousarray(picture), "image", geometry, **known), name=path.name)
    signal = values.reshape(frames, lines, samples, 2).astype(np.float32).view(np.complex64)[..., 0]
    pulses = _pulses(text, lines)
    signal = signal.reshape(frames, lines // pulses, pulses, samples).transpose(0, 2, 3, 1).reshape(-1, samples, lines // pulses)
    known["facts"]["pulses_of_a_beam"] = pulses
    if pulses > 1:
        known["frame_rate_hz"] = None  # pulses of one beam follow at a rate that the file does not tell
    return checked(Recording(np.ascontiguousarray(signal), "iq", geometry, **known), name=path.name)


def _check_size(path: Path, frames: int, shape: tuple[int, int, int]) -> None:
    lines, samples, size = shape
    needed = _HEADER.size + frames * (8 + lines * samples * size)
    found = path.stat().st_size
    if size not in (1, 4) or not frames or not lines or not samples or needed != found or needed > LARGEST_BYTES:
        raise DataError(
            f"{path.name}: found {found} bytes and a header of {frames} frames, {lines} lines, {samples} samples of {size} "
            f"bytes, expected {needed} bytes and samples of 1 or 4. Export it again, uncompressed."
        )


def _text_beside(path: Path) -> str:
    beside = path.with_suffix(".yml")
    if not beside.is_file() or beside.stat().st_size > _LARGEST_TEXT:
        raise DataError(f"{path.name}: found no {beside.name} beside it, expected the scanner's parameters. Unpack it there.")
    return beside.read_text(encoding="utf-8", errors="replace")


def _number(text: str, key: str, unit: str, name: str) -> float:
    found = re.search(rf"^{re.escape(key)}: *{_NUMBER} *{unit}\b", text, re.MULTILINE)
    try:
        return float(found[1])
    except (TypeError, ValueError):
        raise DataError(f"{Path(name).stem}.yml: found no `{key}` in {unit}, expected a number. Export it again.") from None


def _geometry(text: str, name: str) -> Parallel:
    step = SOUND_SPEED / (2e6 * _number(text, "sampling rate", "MHz", name))
    delay = re.search(r"^delay samples: *(\d{1,9})\b", text, re.MULTILINE)
    return Parallel(step * int(delay[1] if delay else 0), step)


def _beams(text: str) -> list[tuple[float, ...]]:
    return [tuple(map(float, found)) for found in _LINE.findall(text)]


def _pulses(text: str, lines: int) -> int:
    """How many consecutive lines repeat one beam; 1 where the text does not list all lines, or beams repeat unequally."""
    beams = _beams(text)
    if len(beams) != lines:
        return 1
    changes = [i for i in range(1, lines) if beams[i] != beams[i - 1]]
    pulses = changes[0] if changes else lines
    return pulses if lines % pulses == 0 and changes == list(range(pulses, lines, pulses)) else 1
