"""Raw data of scanners and challenges by their format."""

from collections.abc import Callable
from pathlib import Path

from medidiff.errors import ConfigError, DataError
from medidiff.io.kspace.arrays import read_kspace_array
from medidiff.io.kspace.fastmri import read_fastmri, read_fastmri_reference
from medidiff.io.kspace.ismrmrd_file import read_ismrmrd
from medidiff.io.measurement import KSpace, Projections, read_measurement
from medidiff.io.projections.ct_pd_fan import read_ct_pd
from medidiff.io.projections.lodopab import read_lodopab, read_lodopab_truth
from medidiff.io.volume import Volume

Reader = Callable[[Path, int], Projections | KSpace]


def _ismrmrd(path: Path, item: int) -> KSpace:
    found = read_ismrmrd(path)
    if item >= len(found):
        raise DataError(f"{path.name}: found {len(found)} volumes, expected number {item}, from 0. Lower `item`.")
    return found[item]


READERS: dict[str, Reader] = {
    "measurement": lambda path, item: read_measurement(path),
    "array": lambda path, item: read_kspace_array(path),
    "fastmri": lambda path, item: read_fastmri(path),
    "ismrmrd": _ismrmrd,
    "lodopab": lambda path, item: read_lodopab(path, item),
    "ct-pd": lambda path, item: read_ct_pd(path),
}


REFERENCES: dict[str, Callable[[Path, int], Volume | None]] = {
    "fastmri": lambda path, item: read_fastmri_reference(path),
    "lodopab": lambda path, item: read_lodopab_truth(path, item),
}


def read_raw(path: Path, *, file_format: str = "auto", item: int = 0) -> Projections | KSpace:
    """The measurement in a file or folder.

    file_format   a name of READERS; auto: .npy and .mat are arrays, a folder is ct-pd, any other file a measurement of ours
    item          of files or folders that hold many: which, from 0

    Raises ConfigError for a format without a name here, DataError for a path that is not of it.
    """
    if not path.exists():
        raise DataError(f"{path.name}: does not exist. Correct the path in the study table.")
    name = _format_of(path) if file_format == "auto" else file_format
    if name not in READERS:
        raise ConfigError(f"format {name!r}: expected one of auto, {', '.join(READERS)}.")
    return READERS[name](path, item)


def read_reference(path: Path, *, file_format: str, item: int = 0) -> Volume:
    """The image that comes with raw data, which no solver may see: HU, or magnitude.

    Raises ConfigError for a format that has none, DataError where this file has none.
    """
    if file_format not in REFERENCES:
        raise ConfigError(f"format {file_format!r}: found no reference in it, expected one of {', '.join(REFERENCES)}.")
    found = REFERENCES[file_format](path, item)
    if found is None:
        raise DataError(f"{path.name}: found no reference image in it, expected one. Leave `truth` empty for test files.")
    return found


def _format_of(path: Path) -> str:
    if path.is_dir():
        return "ct-pd"
    return "array" if path.suffix in (".npy", ".mat") else "measurement"
