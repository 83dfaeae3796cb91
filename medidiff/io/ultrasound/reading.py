"""Any ultrasound recording by its content: which reader it needs."""

from dataclasses import replace
from pathlib import Path

from medidiff.errors import DataError
from medidiff.io.hdf5_array import open_hdf5
from medidiff.io.ultrasound.clarius import read_clarius
from medidiff.io.ultrasound.dicom import read_dicom_clip
from medidiff.io.ultrasound.mha import read_mha, read_mha_clip
from medidiff.io.ultrasound.plain import description_of, read_plain
from medidiff.io.ultrasound.recording import Parallel, Pixels, Recording, checked
from medidiff.io.ultrasound.settings import RecordingFacts
from medidiff.io.ultrasound.uff import is_uff, read_uff
from medidiff.io.ultrasound.zea import is_zea, read_zea

_EXPECTED = "zea or UFF in HDF5, HDF5 or .npy with a description, Clarius .raw, .mha or DICOM"


def read_recording(path: Path, facts: RecordingFacts | None = None) -> tuple[Recording, tuple[str, ...]]:
    """The recording and warnings about it.

    path    zea or UFF (HDF5), HDF5 or .npy with a .yaml beside it, Clarius .raw with its .yml, .mha, or DICOM
    facts   what the user states: it is used where a file is silent or wrong

    Raises DataError for other files, and whatever is wrong with the one given.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path.name}: found no file, expected {_EXPECTED}. Correct the path.")
    found, said = _read(path, facts)
    if facts is not None:
        found = _with_facts(found, facts)
    return checked(found, name=path.name), said


def _read(path: Path, facts: RecordingFacts | None) -> tuple[Recording, tuple[str, ...]]:
    suffix = path.suffix.lower()
    if suffix == ".raw":
        return read_clarius(path), ()
    if suffix == ".mha":
        return (read_mha_clip if facts is not None and facts.clip else read_mha)(path), ()
    if suffix == ".npy":
        return read_plain(path), ()
    if suffix in (".h5", ".hdf5", ".uff"):
        return _read_hdf5(path, facts), ()
    with open(path, "rb") as file:
        opening = file.read(132)
    if opening[128:132] == b"DICM" or suffix == ".dcm":
        clip = read_dicom_clip(path)
        return clip.recording, clip.warnings
    if opening[:8] == b"\x89HDF\r\n\x1a\n":
        return _read_hdf5(path, facts), ()
    raise DataError(f"{path.name}: found a file of unknown kind, expected {_EXPECTED}.")


def _read_hdf5(path: Path, facts: RecordingFacts | None) -> Recording:
    if description_of(path) is not None:
        return read_plain(path)
    with open_hdf5(path) as file:
        layouts = is_uff(file), is_zea(file)
        listed = ", ".join(sorted(file)[:8]) or "nothing"
    if layouts[0]:
        return read_uff(path, sound_speed=(facts.sound_speed or None) if facts else None)
    if layouts[1]:
        return read_zea(path)
    raise DataError(f"{path.name}: found {listed}, expected zea or UFF, or {path.stem}.yaml beside it that describes the array.")


def _with_facts(found: Recording, facts: RecordingFacts) -> Recording:
    geometry = found.geometry
    if isinstance(geometry, Pixels) and facts.pixel_mm:
        geometry = replace(geometry, row_m=facts.pixel_mm / 1000, column_m=facts.pixel_mm / 1000)
    if isinstance(geometry, Parallel) and facts.line_mm:
        geometry = replace(geometry, line_step_m=facts.line_mm / 1000)
    return replace(found, geometry=geometry, frame_rate_hz=facts.frame_rate_hz or found.frame_rate_hz)
