"""Dehazed pictures in the format that a file's name asks for, and beside what they were before."""

from pathlib import Path

import numpy as np

from medidiff import __version__
from medidiff.dehazing.display import picture_geometry
from medidiff.errors import DataError
from medidiff.io.dicom.source import has_preamble, read_source
from medidiff.io.ultrasound.cine import write_gif, write_mp4
from medidiff.io.ultrasound.dicom_writer import write_dicom_clip
from medidiff.io.ultrasound.mha import frames_beside, write_mha
from medidiff.io.ultrasound.recording import Pixels, Recording

GAP = 6  # columns between two pictures


def write_clip(frames: np.ndarray, path: Path, *, recording: Recording, method: str, source: Path, rows: int) -> None:
    """Pictures (frame, row, column) as .dcm, .mha, .gif or .mp4.

    recording   what they were made of: frame rate and pixel size
    source      its file; DICOM is derived from DICOM, so that patient and study stay
    rows        of the pictures of RF and IQ, as they were made

    Raises DataError for another suffix, and where the source itself would be replaced.
    """
    path, source = Path(path), Path(source)
    if path.resolve() == source.resolve():
        raise DataError(f"{path.name}: is the recording itself, which is never overwritten. Name another file.")
    rate, suffix = recording.frame_rate_hz, path.suffix.lower()
    if suffix == ".gif":
        write_gif(frames, path, frame_rate_hz=rate)
    elif suffix == ".mp4":
        write_mp4(frames, path, frame_rate_hz=rate)
    elif suffix == ".mha":
        write_mha(frames[0] if len(frames) == 1 else frames, path)
    elif suffix == ".dcm":
        geometry = recording.geometry
        if not isinstance(geometry, Pixels):
            geometry = picture_geometry(geometry, recording.values.shape[1:], rows=rows)
        header = _header(source)
        words = {"method": method, "version": __version__}
        write_dicom_clip(frames, path, **words, geometry=geometry, frame_rate_hz=rate, source=header)
    else:
        raise DataError(f"{path.name}: found the suffix {suffix!r}, expected .hdf5, .dcm, .mha, .gif or .mp4. Rename it.")


def write_frames(frames: np.ndarray, folder: Path, *, source: Path) -> list[Path]:
    """Each frame as a MetaImage of its source's name, in the folder that DehazingEcho2025 expects; returns the paths."""
    out = Path(folder) / "images" / "dehazed-cardiac-ultrasound"
    paths = [out / one.name for one in frames_beside(source)]
    for frame, path in zip(frames, paths, strict=True):
        write_mha(frame, path)
    return paths


def side_by_side(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Frames with their left half before and their right half after."""
    gap = np.full((*before.shape[:2], GAP), 64, np.uint8)
    return np.concatenate([before, gap, after], axis=2)


def _header(source: Path):
    with open(source, "rb") as file:
        is_dicom = has_preamble(file.read(132))
    return read_source(source, name=source.name).header if is_dicom else None
