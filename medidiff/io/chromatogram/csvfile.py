"""Chromatograms and peak tables as text with columns: the unit of time comes from the header or the settings, never a guess."""

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medidiff.errors import DataError
from medidiff.io.chromatogram.trace import SECONDS, Chromatogram, TablePeak, checked, seconds_per

UNIT_IN_NAME = re.compile(r"^(?P<name>.*?)\s*(?:\[(?P<square>[^\]]+)\]|\((?P<round>[^)]+)\)|_(?P<suffix>[A-Za-z]+))$")
TIME_NAMES = ("time", "t", "rt", "t_r", "retention time", "retention_time")


@dataclass(frozen=True)
class Table:
    """The cells of a text file below its header."""

    file: str
    header: list[str]
    rows: list[list[str]]
    has_decimal_comma: bool

    def column(self, name: str) -> np.ndarray:
        """The numbers of one column (row,). Raises DataError that names the line of a cell that is none."""
        index = self.index(name)
        values = np.empty(len(self.rows))
        for number, row in enumerate(self.rows):
            text = row[index].strip() if index < len(row) else ""
            try:
                values[number] = float(text.replace(",", ".") if self.has_decimal_comma else text)
            except ValueError:
                raise DataError(
                    f"{self.file}: {text!r} in column {name!r}, data line {number + 1}; expected a number. Repair that line."
                ) from None
        return values

    def index(self, name: str) -> int:
        """Position of a column. Raises DataError that lists those there are."""
        if name not in self.header:
            raise DataError(
                f"{self.file}: no column {name!r}, found {', '.join(self.header)}. "
                "Name one of them in chromatograph.reading (time_column, signal_column)."
            )
        return self.header.index(name)

    def time_column(self, wanted: str) -> str:
        """The named column, or the only one whose name says that it is time."""
        if wanted:
            return self.header[self.index(wanted)]
        found = [name for name in self.header if split_unit(name)[0].strip().lower() in TIME_NAMES]
        if len(found) != 1:
            raise DataError(
                f"{self.file}: {len(found)} columns look like time among {', '.join(self.header)}, expected one. "
                "Name it in chromatograph.reading.time_column."
            )
        return found[0]

    def seconds(self, column: str, unit: str) -> np.ndarray:
        """A column of times in s; its unit is that of the header, else the given one, and both must agree."""
        stated = split_unit(column)[1]
        stated = stated if stated.lower() in SECONDS else ""
        if stated and unit and SECONDS[stated.lower()] != seconds_per(self.file, unit):
            raise DataError(
                f"{self.file}: the header says {column!r}, the settings say {unit!r}. Correct chromatograph.reading.time_unit."
            )
        return self.column(column) * seconds_per(self.file, stated or unit)


def read_csv(
    path: Path, *, time_column: str = "", time_unit: str = "", signal_column: str = "", signal_unit: str = ""
) -> Chromatogram:
    """The trace of two columns of a text file with a header.

    time_column     empty: the one named time, t or RT, with or without a unit
    time_unit       s or min; empty: the header must say it (`time_s`, `time [min]`, `RT (min)`)
    signal_column   empty: the only other column
    """
    table = read_table(path)
    time = table.time_column(time_column)
    others = [name for name in table.header if name != time]
    if not signal_column and len(others) != 1:
        raise DataError(
            f"{table.file}: {len(others)} columns beside {time!r} ({', '.join(others)}), expected one signal. "
            "Name it in chromatograph.reading.signal_column."
        )
    signal = signal_column or others[0]
    name, unit = split_unit(signal)
    times, values = table.seconds(time, time_unit), table.column(signal)
    return checked(table.file, Chromatogram(times, values, unit=signal_unit or unit, detector=name))


def is_peak_table(path: Path) -> bool:
    """Whether a file is text whose header has a column `name`."""
    path = Path(path)
    if path.is_dir() or path.suffix.lower() not in (".csv", ".txt", ".tsv"):
        return False
    with open(path, encoding="latin-1") as file:
        header = next((line for line in file if line.strip() and not line.startswith("#")), "")
    return any(cell.strip(' \t\r\n"\ufeff').lower() == "name" for cell in header.replace(";", ",").replace("\t", ",").split(","))


def read_peak_table(path: Path, *, time_column: str = "", time_unit: str = "") -> list[TablePeak]:
    """Names and retention times of a text file with a column `name` and one of times, in the order of the file."""
    table = read_table(path)
    names = [name for name in table.header if name.strip().lower() == "name"]
    if not names:
        raise DataError(f"{table.file}: no column `name`, found {', '.join(table.header)}. Add the name of each peak.")
    time = table.time_column(time_column)
    index = table.index(names[0])
    seconds = table.seconds(time, time_unit)
    found = [TablePeak(float(s), float("nan"), row[index].strip()) for s, row in zip(seconds, table.rows)]
    repeated = sorted({peak.name for peak in found if [other.name for other in found].count(peak.name) > 1})
    if repeated:
        raise DataError(f"{table.file}: {', '.join(repeated)} more than once, expected each name once. Rename or remove them.")
    return found


def write_csv(chromatogram: Chromatogram) -> str:
    """The trace as text with the units in its header; numbers read back are the same ones."""
    unit = f" [{chromatogram.unit}]" if chromatogram.unit else ""
    lines = [f"time [s],signal{unit}"]
    lines += [f"{t!r},{y!r}" for t, y in zip(chromatogram.times.tolist(), chromatogram.signal.tolist())]
    return "\n".join(lines) + "\n"


def read_table(path: Path) -> Table:
    """The cells of a text file; lines that begin with # are comments; commas, semicolons or tabs part the columns."""
    path = Path(path)
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path.name}: cannot be read ({error.strerror}). Check the path in the study table.") from error
    if b"\0" in raw[:4096]:
        raise DataError(f"{path.name}: holds binary data, expected text with columns. Give the file its format's ending.")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if len(lines) < 2:
        raise DataError(f"{path.name}: {len(lines)} lines, expected a header and data. Export the trace again.")
    delimiter = max("\t;,", key=lambda mark: lines[0].count(mark))
    try:
        rows = list(csv.reader(io.StringIO("\n".join(lines)), delimiter=delimiter))
    except csv.Error as error:
        raise DataError(f"{path.name}: cannot be parted into columns ({error}). Export the trace again.") from error
    return Table(path.name, [name.strip() for name in rows[0]], rows[1:], delimiter != ",")


def split_unit(name: str) -> tuple[str, str]:
    """(name, unit) of a column such as `time_s`, `time [min]` or `RT (min)`; the unit is empty where there is none."""
    found = UNIT_IN_NAME.match(name.strip())
    if not found:
        return name, ""
    unit = next(part for part in (found["square"], found["round"], found["suffix"]) if part)
    is_suffix = found["suffix"] is not None
    return (name, "") if is_suffix and unit.lower() not in SECONDS else (found["name"], unit.strip())
