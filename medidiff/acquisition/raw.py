"""Raw data of scanners and challenges by their format."""

from collections.abc import Callable
from pathlib import Path

from medidiff.errors import ConfigError, DataError
from medidiff.io.kspace.array_file import read_array
from medidiff.io.measurement import KSpace, Projections, read_measurement
from medidiff.io.projections.lodopab import read_lodopab

Reader = Callable[[Path, int], Projections | KSpace]

READERS: dict[str, Reader] = {
    "measurement": lambda path, item: read_measurement(path),
    "numpy": lambda path, item: read_array(path),
    "lodopab": lambda path, item: read_lodopab(path, item),
}


def read_raw(path: Path, *, file_format: str = "auto", item: int = 0) -> Projections | KSpace:
    """The measurement in a file or folder.

    file_format   a name of READERS; auto: .npy is numpy, any other file a measurement of ours
    item          of a set that holds many: the number of the sample

    Raises ConfigError for a format without a name here, DataError for a path that is not of it.
    """
    if not path.exists():
        raise DataError(f"{path.name}: does not exist. Correct the path in the study table.")
    name = _format_of(path) if file_format == "auto" else file_format
    if name not in READERS:
        raise ConfigError(f"format {name!r}: expected one of auto, {', '.join(READERS)}.")
    return READERS[name](path, item)


def _format_of(path: Path) -> str:
    if path.is_dir():
        raise ConfigError(f"{path.name}: a folder does not tell its format; give one of {', '.join(READERS)}.")
    return "numpy" if path.suffix == ".npy" else "measurement"
