"""Vendor folders (Agilent .D, Waters .raw) through rainbow-api, an optional package."""

from pathlib import Path
from types import ModuleType

import numpy as np

from medidiff.errors import ConfigError, DataError
from medidiff.io.chromatogram.trace import Chromatogram, checked

MINUTE = 60.0  # rainbow gives minutes for every vendor


def read_vendor(path: Path, *, trace: str = "") -> Chromatogram:
    """One trace of a vendor's folder or file.

    trace     `FILE` or `FILE:LABEL`, a data file of the folder and one of its channels; empty: the only one there is

    Raises ConfigError where rainbow-api is not installed, DataError where it cannot read the folder or several traces fit.
    """
    path = Path(path)
    try:
        folder = _rainbow().read(str(path))
    except Exception as error:  # rainbow raises bare exceptions of many kinds on files that it does not know
        if isinstance(error, ConfigError):
            raise
        raise DataError(
            f"{path.name}: rainbow-api cannot read it ({type(error).__name__}). Export ANDI (.cdf), mzML or CSV instead."
        ) from error
    file, channel = _choose(path.name, list(getattr(folder, "datafiles", [])), trace=trace)
    times = np.asarray(file.xlabels, dtype=float) * MINUTE
    values = np.asarray(file.data, dtype=float).reshape(len(times), -1)[:, channel]
    return checked(path.name, Chromatogram(times, values, str(file.metadata.get("unit", "")), str(file.detector or "")))


def _choose(name: str, files: list, *, trace: str) -> tuple[object, int]:
    wanted, _, label = trace.partition(":")
    found = [file for file in files if not wanted or file.name == wanted]
    pairs = [(file, i) for file in found for i, text in enumerate(file.ylabels) if not label or str(text) == label]
    if len(pairs) != 1:
        known = ", ".join(f"{file.name}:{text}" for file in files for text in list(file.ylabels)[:3]) or "none"
        raise DataError(
            f"{name}: {len(pairs)} traces fit {trace or 'no name'!r}, expected one of {known}. Name it in reading.trace."
        )
    return pairs[0]


def _rainbow() -> ModuleType:
    try:
        import rainbow
    except ImportError as error:
        raise ConfigError(
            "vendor files need rainbow-api, which is not installed: `pip install rainbow-api`, or export ANDI, mzML or CSV."
        ) from error
    return rainbow
