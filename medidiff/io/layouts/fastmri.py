"""Folders of fastMRI, knee and brain: one file for each volume below `multicoil_train` and so on."""

import re
from pathlib import Path

import h5py

from medidiff.errors import DataError
from medidiff.io.hdf5_array import open_hdf5
from medidiff.io.kspace.fastmri import REFERENCES
from medidiff.io.layouts.challenge import ChallengeStudy, unique_names

_PART = re.compile(r"(?:multi|single)coil_(train|val|test|challenge)")


def list_fastmri(folder: Path) -> list[ChallengeStudy]:
    """Every volume below the folder, by its path; the split is that of the nearest folder that names one.

    Other HDF5 files are passed over. Raises DataError where no volume is there.
    """
    folder = Path(folder)
    found = [path for path in sorted(folder.rglob("*.h5")) if _is_volume(path)]
    if not found:
        raise DataError(f"{folder.name}: found no HDF5 file with kspace and ismrmrd_header, expected some. Unpack a part here.")
    names = unique_names(path.stem for path in found)
    return [
        ChallengeStudy(name, "mr", path, "fastmri", split=_split(path), reference=path if _has_reference(path) else None)
        for name, path in zip(names, found)
    ]


def _is_volume(path: Path) -> bool:
    if path.name.startswith(".") or not h5py.is_hdf5(path):
        return False
    with open_hdf5(path) as file:
        return {"kspace", "ismrmrd_header"} <= set(file)


def _has_reference(path: Path) -> bool:
    with open_hdf5(path) as file:
        return any(field in file for field in REFERENCES)


def _split(path: Path) -> str:
    parts = [match[1] for parent in path.parents if (match := _PART.match(parent.name))]
    return {"challenge": "test"}.get(parts[0], parts[0]) if parts else ""
