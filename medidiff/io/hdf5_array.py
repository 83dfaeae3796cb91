"""Arrays of HDF5 files of strangers: looked at before a byte of them is reserved, and read from that one file alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

from medidiff.errors import DataError

LARGEST_BYTES = 1 << 34  # of one array
SMALL_BYTES = 1 << 24  # up to here an array may be all fill value
LARGEST_RATIO = 100  # bytes in memory over bytes in the file, beyond which the shape is a lie


@contextmanager
def open_hdf5(path: Path, *, kind: str = "HDF5", advice: str = "Copy or download the file again.") -> Iterator[h5py.File]:
    """The file, open to read.

    kind     what the file is to be, for the message
    advice   what to do when it is not

    Raises DataError when it is no HDF5 file, or is found damaged before the block ends.
    """
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, KeyError, ValueError, TypeError, RuntimeError, MemoryError) as error:
        reason = " ".join(str(error).split())[:160]
        raise DataError(f"{path.name}: not readable as {kind} ({reason}). {advice}") from error


def find_array(group: h5py.Group, field: str, *, file: str, dims: tuple[int, ...] = (), kinds: str = "") -> h5py.Dataset:
    """The data set of that name, still in the file, after its type and size were found to be what the file can hold.

    group    of an open file
    field    name in the group
    file     name in messages
    dims     numbers of axes that are allowed; () allows any
    kinds    numpy kinds that are allowed, as in "fc"; "" allows any

    Raises DataError where it is missing, a link to elsewhere, kept in another file, of another type, empty, or larger than
    `LARGEST_BYTES` or than its bytes in the file can hold.
    """
    if not isinstance(group.get(field, getlink=True), h5py.HardLink) or not isinstance(group[field], h5py.Dataset):
        listed = ", ".join(sorted(group)[:8]) or "nothing"
        raise DataError(f"{file}: {field}: found {listed}, expected an array of this name. Is it a file of this format?")
    array = group[field]
    if array.is_virtual or array.external:
        raise DataError(f"{file}: {field}: found an array kept in other files, expected it in this one. Repack it with h5repack.")
    if kinds and array.dtype.kind not in kinds:
        raise DataError(f"{file}: {field}: found {array.dtype}, expected {_named(kinds)}. Is it a file of this format?")
    if (dims and array.ndim not in dims) or not array.size:
        expected = " or ".join(map(str, dims or ("any number of",)))
        raise DataError(f"{file}: {field}: found the shape {array.shape}, expected {expected} axes, none empty. Export it again.")
    stored = array.id.get_storage_size()
    if array.nbytes > LARGEST_BYTES or array.nbytes > max(SMALL_BYTES, LARGEST_RATIO * stored):
        raise DataError(
            f"{file}: {field}: found the shape {array.shape}, {array.nbytes / 1e6:.0f} MB, of which the file holds "
            f"{stored / 1e6:.1f} MB, expected at most {LARGEST_RATIO} times as much and {LARGEST_BYTES >> 30} GB. Copy it again."
        )
    return array


def read_finite(array: h5py.Dataset, field: str, *, file: str, part: object = ...) -> np.ndarray:
    """The values of an array, or of a part of it. Raises DataError where one is not finite."""
    values = array[part]
    wrong = int((~np.isfinite(values)).sum())
    if wrong:
        raise DataError(f"{file}: {field}: found {wrong} of {values.size} values not finite, expected numbers. Export it again.")
    return values


def _named(kinds: str) -> str:
    names = {"f": "floating-point", "c": "complex", "i": "whole", "u": "whole", "b": "yes/no", "S": "text", "O": "text"}
    return " or ".join(dict.fromkeys(names[kind] for kind in kinds)) + " values"
