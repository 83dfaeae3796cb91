"""fastMRI (Zbontar et al. 2018; knee and brain): one HDF5 file as a measurement, and its reference image."""

from pathlib import Path

import h5py
import numpy as np

from medidiff.errors import DataError
from medidiff.io.hdf5_array import find_array, open_hdf5, read_finite
from medidiff.io.kspace.mrd_header import Encoding, read_encoding
from medidiff.io.kspace.sampling import calibration_lines, without_oversampling
from medidiff.io.measurement import KSpace
from medidiff.io.volume import Volume

REFERENCES = ("reconstruction_rss", "reconstruction_esc")
LARGEST_SAMPLES = 1 << 30  # of one file


def read_fastmri(path: Path) -> KSpace:
    """The k-space of one file, without the oversampling of its readout.

    path      knee or brain, of one coil or many, thinned or not

    Rows are the readout, columns the phase. Measured are the columns between the file's padding, in its `mask` where it has
    one, that hold anything. The files say neither position nor orientation: the middle is at 0, and axes are named as in an axial
    slice. Raises DataError for a file that is damaged or has another layout.
    """
    path = Path(path)
    with open_hdf5(path) as file:
        data = find_array(file, "kspace", file=path.name, dims=(3, 4), kinds="c")
        if data.size > LARGEST_SAMPLES:
            raise DataError(f"{path.name}: kspace: found the shape {data.shape}, expected up to 2^30 samples. Split the slices.")
        encoding = read_encoding(_header(file, path.name), name=path.name)
        mask = _stored_mask(file, data.shape[-1], path.name)
        samples = read_finite(data, "kspace", file=path.name).astype(np.complex64, copy=False)
        facts = _facts(file)
    if samples.ndim == 3:
        samples = samples[:, None]
    _check_rows(samples, encoding, path.name)
    columns = _between_padding(samples.shape[-1], encoding) & samples.any(axis=(0, 1, 2))
    columns = columns if mask is None else columns & mask
    if not columns.any():
        raise DataError(f"{path.name}: kspace: found no column that was measured, expected some. Download the file again.")
    kept = without_oversampling(samples, encoding.kept_rows) if encoding.kept_rows < samples.shape[2] else samples
    kept = np.where(columns, kept, 0)
    whole = np.tile(columns, (kept.shape[2], 1))
    return KSpace(kept, whole, _affine(encoding, kept.shape), None, calibration_lines(whole), facts)


def read_fastmri_reference(path: Path) -> Volume | None:
    """The magnitude image that the challenge compares with, on the middle of the measurement's grid; None in test files.

    Raises DataError where it is damaged or larger than the measurement.
    """
    path = Path(path)
    with open_hdf5(path) as file:
        field = next((field for field in REFERENCES if field in file), None)
        if field is None:
            return None
        image = read_finite(find_array(file, field, file=path.name, dims=(3,), kinds="f"), field, file=path.name)
        encoding = read_encoding(_header(file, path.name), name=path.name)
        columns = find_array(file, "kspace", file=path.name, dims=(3, 4), kinds="c").shape[-1]
    slices, rows, wide = image.shape
    if wide > columns or rows > encoding.encoded[0]:
        found = f"{rows} x {wide} pixels"
        raise DataError(
            f"{path.name}: {field}: found {found}, expected at most {encoding.encoded[0]} x {columns}. Download it again."
        )
    affine = _affine(encoding, (slices, 1, rows, wide))
    return Volume(np.ascontiguousarray(image.transpose(2, 1, 0), dtype=np.float32), affine)


def middle_of(volume: Volume, columns: int, rows: int) -> Volume:
    """The middle of every slice, as the challenge crops to 320 x 320; what is smaller stays."""
    wide, high, _ = volume.array.shape
    columns, rows = min(columns, wide), min(rows, high)
    first = np.array([wide // 2 - columns // 2, high // 2 - rows // 2, 0])
    affine = volume.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ first
    return Volume(volume.array[first[0] : first[0] + columns, first[1] : first[1] + rows], affine)


def _header(file: h5py.File, name: str) -> bytes:
    array = find_array(file, "ismrmrd_header", file=name, kinds="SO")
    found = array[()] if array.shape == () else array[0]
    return found if isinstance(found, bytes) else str(found).encode()


def _stored_mask(file: h5py.File, columns: int, name: str) -> np.ndarray | None:
    if "mask" not in file:
        return None
    mask = np.ravel(find_array(file, "mask", file=name, kinds="bfiu")[...])
    if len(mask) != columns or not np.isin(mask, (0, 1)).all():
        found = f"{len(mask)} values from {mask.min():g} to {mask.max():g}"
        raise DataError(f"{name}: mask: found {found}, expected {columns} of 0 and 1. Download the file again.")
    return mask.astype(bool)


def _facts(file: h5py.File) -> dict:
    contrast = file.attrs.get("acquisition", "")
    contrast = contrast.decode("ascii", "replace") if isinstance(contrast, bytes) else str(contrast)
    return {"format": "fastMRI", "acquisition": contrast[:32], "position": "unknown", "orientation": "unknown"}


def _check_rows(samples: np.ndarray, encoding: Encoding, name: str) -> None:
    if encoding.trajectory != "cartesian":
        raise DataError(f"{name}: trajectory: found {encoding.trajectory!r}, expected cartesian. Use another reader.")
    if samples.shape[2] != encoding.encoded[0]:
        expected = f"{encoding.encoded[0]} rows of the readout, as the header says"
        raise DataError(f"{name}: kspace: found {samples.shape[2]} rows, expected {expected}. Is readout the second last axis?")


def _between_padding(columns: int, encoding: Encoding) -> np.ndarray:
    """(column,) bool: where the scanner can have measured, by the limits of the header."""
    inside = np.ones(columns, dtype=bool)
    if columns == encoding.encoded[1] and encoding.last_step is not None:
        place = np.arange(columns) - encoding.first_column
        inside = (place >= 0) & (place <= encoding.last_step)
    return inside


def _affine(encoding: Encoding, shape: tuple[int, ...]) -> np.ndarray:
    slices, _, rows, columns = shape
    affine = np.diag([*encoding.voxel_mm, 1.0]) @ np.diag([-1.0, -1, 1, 1])
    affine[:3, 3] = affine[:3, :3] @ -np.array([columns // 2, rows // 2, slices // 2])
    return affine
