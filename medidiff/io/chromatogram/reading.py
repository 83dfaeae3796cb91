"""Any chromatogram file: the reader follows from what the file is, not only from its name."""

from collections.abc import Iterable
from pathlib import Path

from medidiff.errors import DataError
from medidiff.io.chromatogram.andi import read_andi
from medidiff.io.chromatogram.csvfile import read_csv
from medidiff.io.chromatogram.jcamp import read_jcamp
from medidiff.io.chromatogram.mzml import read_mzml
from medidiff.io.chromatogram.trace import Chromatogram
from medidiff.io.chromatogram.vendor import read_vendor

TEXT = (".csv", ".txt", ".tsv")
VENDOR = (".d", ".raw", ".ch", ".uv", ".ms")
PORTABLE = (".cdf", ".nc", ".mzml", ".jdx", ".dx", ".jcm")


def chromatograms_below(paths: Iterable[Path]) -> list[Path]:
    """The files themselves, and for every folder that is no vendor's all chromatograms directly in it, by their suffix.

    Sorted by name. Raises DataError for a folder without any.
    """
    found = []
    for path in map(Path, paths):
        if not path.is_dir() or path.suffix.lower() in VENDOR:
            found.append(path)
            continue
        inside = [each for each in path.iterdir() if each.suffix.lower() in (*TEXT, *PORTABLE, *VENDOR)]
        if not inside:
            raise DataError(f"{path.name}: no chromatogram in this folder. Is this the folder that holds the files?")
        found += [each for each in inside if not each.name.startswith(".")]
    return sorted(found, key=lambda path: (path.name, str(path)))


def read_chromatogram(
    path: Path,
    *,
    time_column: str = "",
    time_unit: str = "",
    signal_column: str = "",
    signal_unit: str = "",
    trace: str = "",
) -> Chromatogram:
    """The trace of an ANDI, mzML, JCAMP-DX or text file, or of a vendor's folder; times in s.

    path                         file, or a vendor's folder
    time_column, signal_column   of a text file; empty: the only ones that fit
    time_unit                    s or min where the file itself does not say it
    signal_unit                  of a text file; empty: arbitrary
    trace                        id of an mzML chromatogram, or FILE:LABEL of a vendor's folder
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path.name}: does not exist. Check the path in the study table.")
    if path.is_dir() or path.suffix.lower() in VENDOR:
        return read_vendor(path, trace=trace)
    with open(path, "rb") as file:
        start = file.read(512)
    if start[:3] == b"CDF" or start[:4] == b"\x89HDF":
        return read_andi(path)
    if start.lstrip(b"\xef\xbb\xbf \r\n").startswith(b"<"):
        return read_mzml(path, trace=trace)
    if start.lstrip().startswith(b"##"):
        return read_jcamp(path, time_unit=time_unit)
    if path.suffix.lower() in TEXT:
        columns = {"time_column": time_column, "signal_column": signal_column}
        return read_csv(path, **columns, time_unit=time_unit, signal_unit=signal_unit)
    known = ".cdf, .mzML, .jdx, " + ", ".join((*TEXT, *VENDOR))
    raise DataError(f"{path.name}: no known chromatogram format, expected {known}. Export it as one of them.")
