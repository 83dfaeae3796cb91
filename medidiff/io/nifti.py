"""NIfTI files, checked before a byte is allocated and after the last one is read."""

import gzip
import math
import zlib
from pathlib import Path
from typing import BinaryIO, Literal

import nibabel
import numpy as np
from nibabel.spatialimages import HeaderDataError

from medidiff.errors import DataError, NumericsError
from medidiff.io.atomic import atomic_path
from medidiff.io.volume import Grid, Volume

Header = nibabel.Nifti1Header | nibabel.Nifti2Header

_HEADER_KINDS = {348: nibabel.Nifti1Header, 540: nibabel.Nifti2Header}  # bytes of the header: NIfTI-1, NIfTI-2
_MAGIC = {348: b"n+1\0", 540: b"n+2\0"}  # header and voxels in one file
_LARGEST_HEADER = 544  # header and the four bytes that announce extensions
_MM_PER_UNIT = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}  # xyzt_units: unknown is taken as mm, metre, mm, micrometre
_SMALLEST_MM, _LARGEST_MM = 0.01, 200.0  # edges of a voxel; beyond them a unit is wrong by a thousand
_DEFLATE_LIMIT = 1032  # deflate never expands further
_BOMB_RATIO, _BOMB_BYTES = 1000, 2**28
_CHUNK = 2**20


def read_nifti(path: str | Path, *, prefer: Literal["", "sform", "qform"] = "", max_bytes: int = 2**31) -> Volume:
    """The volume of a single-file NIfTI-1 or NIfTI-2 (.nii, .nii.gz) in stored voxel order.

    path        file
    prefer      which affine to take when sform and qform are both set and differ; "" refuses such a file
    max_bytes   largest voxel array that is allocated, bytes
    returns     array[i, j, k]: integers stay integers, all else float32 after scl_slope and scl_inter; affine in mm

    The affine is the sform when its code is set, else the qform; a header with neither does not tell left from right and
    is refused. Raises DataError for a header that is damaged, claims more voxels than the file can hold or leaves bytes
    over, a gzip stream that is cut, altered or a bomb, an affine that is zero, singular or not finite, more than one
    volume, and NaN or infinite voxels. An altered voxel of an uncompressed .nii cannot be seen: the format has no checksum.
    """
    path = Path(path)
    try:
        with open(path, "rb") as raw:
            size = raw.seek(0, 2)
            raw.seek(0)
            is_compressed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            stream = gzip.GzipFile(fileobj=raw, mode="rb") if is_compressed else raw
            header = _parse_header(stream.read(_LARGEST_HEADER), path)
            shape, dtype = _checked_layout(header, path)
            affine = _choose_affine(header, path, prefer)
            _check_room(header, path, file_bytes=size, is_compressed=is_compressed, max_bytes=max_bytes)
            stored = _read_voxels(stream, header, path)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: the gzip stream is cut or altered ({error}). Copy the file again from its source.") from error
    except OSError as error:
        raise DataError(f"{path}: could not be read ({error.strerror or error}).") from error
    array = _scaled(stored.view(dtype).reshape(shape, order="F"), header, path)
    _check_finite(array, path, DataError)
    return Volume(array, affine)


def write_nifti(volume: Volume, path: str | Path) -> None:
    """Write a volume as NIfTI-1, all or nothing, the same bytes for the same content.

    volume    bool and uint8 become uint8 (masks); other values int16 where that is exact, else float32
    path      name that ends in .nii.gz or .nii

    Both sform and qform are set with code 1 (scanner), unit mm, and no text. On a grid that is sheared by less than 0.001,
    as rounded positions in DICOM make it, the qform is the nearest rotation, which ITK then reads. A mask on a grid sheared by
    more is refused, since ITK cannot read it; an image there has the sform alone. The temporary file's header is read back and
    compared before it takes the final name. Raises DataError for such a mask, integers beyond float32 or another suffix,
    NumericsError for NaN or infinite voxels.
    """
    path = Path(path)
    if not path.name.endswith((".nii", ".nii.gz")):
        raise DataError(f"{path}: expected a name that ends in .nii.gz or .nii.")
    array = _storable(volume.array, path)
    image = nibabel.Nifti1Image(array, volume.affine, dtype=array.dtype)
    image.header.set_xyzt_units("mm")
    image.set_sform(volume.affine, code=1)
    if shear(volume.affine) < 1e-3:
        image.set_qform(volume.affine, code=1)
    elif array.dtype == np.uint8:
        raise DataError(
            f"{path}: the grid is sheared by {shear(volume.affine):.4f} (gantry tilt?), and ITK-based programs refuse such a"
            " mask. Resample it onto an orthonormal grid first (medidiff.io.resample.iso_grid)."
        )
    else:
        image.set_qform(None, code=0)
    with atomic_path(path) as temporary:
        with open(temporary, "wb") as raw:
            if path.suffix == ".gz":
                # level 1 is quick, and keeps even an empty mask far below the expansion that readers take for a bomb
                with gzip.GzipFile(filename="", mode="wb", compresslevel=1, fileobj=raw, mtime=0) as stream:
                    image.to_stream(stream)
            else:
                image.to_stream(raw)
        _check_written(temporary, path, volume.grid)


def shear(affine: np.ndarray) -> float:
    """Largest difference between the direction cosines of an affine and the nearest rotation; 0 for a right-angled grid."""
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    left, _, right = np.linalg.svd(directions)
    return float(np.abs(directions - left @ right).max())


def _parse_header(block: bytes, path: Path) -> Header:
    sizes = {int.from_bytes(block[:4], order) for order in ("little", "big")} & set(_HEADER_KINDS)
    if not sizes or len(block) < (size := sizes.pop()):
        raise DataError(
            f"{path}: not a NIfTI file: expected a header of 348 or 540 bytes, its first bytes say {block[:4].hex()}."
        )
    header = _HEADER_KINDS[size](block[:size], check=False)
    magic = header["magic"].tobytes()
    if magic != _MAGIC[size]:
        raise DataError(
            f"{path}: magic is {magic!r}, expected {_MAGIC[size]!r} (header and voxels in one file)."
            " Convert an .hdr/.img pair or ANALYZE file to .nii.gz first."
        )
    return header


def _checked_layout(header: Header, path: Path) -> tuple[tuple[int, int, int], np.dtype]:
    axes = int(header["dim"][0])
    dims = [int(n) for n in header["dim"][1 : axes + 1]] if 1 <= axes <= 7 else []
    if len(dims) < 3 or min(dims) < 1:
        raise DataError(f"{path}: dim is {header['dim'].tolist()}, expected three axes of at least one voxel.")
    if math.prod(dims[3:]) > 1:
        raise DataError(f"{path}: holds {math.prod(dims[3:])} volumes (dim {dims}), expected one. Split it first.")
    try:
        dtype = header.get_data_dtype()
    except KeyError as error:
        raise DataError(f"{path}: datatype code {int(header['datatype'])} is unknown.") from error
    if dtype.kind not in "iuf" or dtype.itemsize > 8:
        raise DataError(f"{path}: voxels are {dtype}, expected integers or float32/float64.")
    if int(header["bitpix"]) != 8 * dtype.itemsize:
        raise DataError(f"{path}: bitpix is {int(header['bitpix'])}, but {dtype} has {8 * dtype.itemsize} bits: damaged header.")
    return tuple(dims[:3]), dtype


def _voxel_bytes(header: Header) -> int:
    axes = int(header["dim"][0])
    return math.prod(int(n) for n in header["dim"][1 : axes + 1]) * header.get_data_dtype().itemsize


def _check_room(header: Header, path: Path, *, file_bytes: int, is_compressed: bool, max_bytes: int) -> None:
    voxel_bytes, offset = _voxel_bytes(header), float(header["vox_offset"])
    smallest = int(header["sizeof_hdr"]) + 4
    if not (math.isfinite(offset) and offset >= smallest and offset == int(offset)):
        raise DataError(f"{path}: vox_offset is {offset:g}, expected a whole number of at least {smallest}.")
    claim = f"{path}: the header claims {voxel_bytes / 1e6:.4g} MB of voxels from byte {int(offset)} on"
    if voxel_bytes > max_bytes:
        raise DataError(f"{claim}, more than the limit of {max_bytes / 1e6:.4g} MB. Crop or resample it, or raise max_bytes.")
    total = int(offset) + voxel_bytes
    if not is_compressed and total != file_bytes:
        raise DataError(f"{claim}, {total} bytes in all, but the file has {file_bytes}: cut, or a damaged header.")
    if is_compressed and total > _DEFLATE_LIMIT * file_bytes:
        raise DataError(f"{claim}, more than {file_bytes} compressed bytes can hold: cut, or a damaged header.")
    if is_compressed and total > max(_BOMB_BYTES, _BOMB_RATIO * file_bytes):
        raise DataError(f"{claim}, {total // file_bytes} times the file: refused as a bomb. If you trust it, gunzip it first.")


def _read_voxels(stream: BinaryIO, header: Header, path: Path) -> np.ndarray:
    stream.seek(int(header["vox_offset"]))
    stored = np.empty(_voxel_bytes(header), np.uint8)
    view, done = memoryview(stored), 0
    while done < len(view):
        chunk = stream.read(min(_CHUNK, len(view) - done))
        if not chunk:
            raise DataError(f"{path}: {done} of {len(view)} voxel bytes are there: cut, or a damaged header.")
        view[done : done + len(chunk)] = chunk
        done += len(chunk)
    if stream.read(1):  # reading past the end also makes gzip compare its checksum
        raise DataError(f"{path}: bytes follow the last voxel that the header claims: damaged header.")
    return stored


def _choose_affine(header: Header, path: Path, prefer: str) -> np.ndarray:
    codes = {name: int(header[f"{name}_code"]) for name in ("sform", "qform")}
    if not all(0 <= code <= 5 for code in codes.values()):
        raise DataError(f"{path}: sform_code and qform_code are {codes}, expected 0 to 5: damaged header.")
    if not any(codes.values()):
        raise DataError(
            f"{path}: neither sform nor qform is set, so left and right are unknown."
            " Write the scanner's affine into it (nibabel: set_sform), or convert the DICOM series again."
        )
    unit = _MM_PER_UNIT.get(int(header["xyzt_units"]) & 7)
    if unit is None:
        raise DataError(f"{path}: xyzt_units is {int(header['xyzt_units'])}, expected metre, mm or micrometre.")
    name = prefer if codes.get(prefer) else ("sform" if codes["sform"] else "qform")
    affine = _checked_affine(header, path, name)
    other = {"sform": "qform", "qform": "sform"}[name]
    if not prefer and codes[other]:
        _check_agreement(affine, _checked_affine(header, path, other), path)
    affine = np.diag([unit, unit, unit, 1.0]) @ affine
    edges_mm = np.linalg.norm(affine[:3, :3], axis=0)
    if not (edges_mm.min() > _SMALLEST_MM and edges_mm.max() < _LARGEST_MM):
        raise DataError(
            f"{path}: voxels of {edges_mm[0]:g} x {edges_mm[1]:g} x {edges_mm[2]:g} mm, expected {_SMALLEST_MM:g} to"
            f" {_LARGEST_MM:g}. Is the unit (xyzt_units {int(header['xyzt_units'])}) right?"
        )
    return affine


def _checked_affine(header: Header, path: Path, name: str) -> np.ndarray:
    try:
        affine = header.get_sform() if name == "sform" else _qform(header)
    except (HeaderDataError, ValueError) as error:
        raise DataError(f"{path}: the qform cannot be used ({error}).") from error
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) <= 1e-6 * np.prod(lengths) or lengths.min() == 0:
        raise DataError(f"{path}: the {name} is not an affine of space (zero, singular or not finite):\n{_shown(affine)}")
    return affine.astype(np.float64)


def _qform(header: Header) -> np.ndarray:
    header = header.copy()
    if header["pixdim"][0] == 0:
        header["pixdim"][0] = 1  # the standard reads 0 as 1
    return header.get_qform()


def _check_agreement(sform: np.ndarray, qform: np.ndarray, path: Path) -> None:
    # per column: a float32 quaternion near 180 degrees leaves an angle of up to 7e-4 rad
    lengths = np.linalg.norm(sform[:3, :3], axis=0)
    apart = np.abs(sform - qform)[:3] / np.append(lengths, lengths.min())
    if apart.max() > 1e-3:
        raise DataError(
            f"{path}: sform and qform differ by more than 0.001 voxel:\nsform\n{_shown(sform)}\nqform\n{_shown(qform)}\n"
            'Say which one is right: prefer="sform" or prefer="qform".'
        )


def _shown(affine: np.ndarray) -> str:
    return np.array2string(affine[:3], precision=4, suppress_small=True)


def _scaled(stored: np.ndarray, header: Header, path: Path) -> np.ndarray:
    slope, inter = float(header["scl_slope"]), float(header["scl_inter"])
    if slope == 0 or math.isnan(slope) or (slope == 1 and inter == 0):
        native = stored.dtype.newbyteorder("=") if stored.dtype.kind in "iu" else np.float32
        with np.errstate(over="ignore"):  # becomes infinite, which is refused
            return stored.astype(native, copy=False)
    if not (math.isfinite(slope) and math.isfinite(inter)):
        raise DataError(f"{path}: scl_slope is {slope:g} and scl_inter {inter:g}, expected finite numbers.")
    array = np.empty(stored.shape, np.float32, order="F")
    with np.errstate(over="ignore"):
        for k in range(stored.shape[2]):  # float64 for one slice at a time
            array[:, :, k] = stored[:, :, k] * np.float64(slope) + inter
    return array


def _check_finite(array: np.ndarray, path: Path, error: type[Exception]) -> None:
    if array.dtype.kind == "f" and (bad := ~np.isfinite(array)).any():
        first = tuple(int(n) for n in np.argwhere(bad)[0])
        raise error(f"{path}: {int(bad.sum())} voxels are NaN or infinite, the first at index {first}; expected finite values.")


def _storable(array: np.ndarray, path: Path) -> np.ndarray:
    _check_finite(array, path, NumericsError)
    if array.dtype in (np.bool_, np.uint8):
        return array.astype(np.uint8, copy=False)
    low, high = (float(array.min()), float(array.max())) if array.size else (0.0, 0.0)
    if low >= -(2**15) and high < 2**15 and np.array_equal(rounded := array.astype(np.int16), array):
        return rounded
    single = array.astype(np.float32)
    if array.dtype.kind in "iu" and not np.array_equal(single.astype(np.float64), array):
        raise DataError(f"{path}: whole numbers from {low:g} to {high:g} do not fit float32 exactly; renumber them from 0.")
    return single


def _check_written(temporary: Path, path: Path, grid: Grid) -> None:
    back = nibabel.load(temporary)
    if not Grid(back.shape, back.affine).agrees_with(grid):
        raise NumericsError(f"{path}: the affine changed by more than 0.001 mm in writing, the file was not kept.")
