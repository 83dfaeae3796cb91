"""JCAMP-DX chromatograms: packed or plain (X++(Y..Y)), pairs (XY..XY), and GC-MS pages summed to the total ion current."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medidiff.errors import DataError
from medidiff.io.chromatogram.asdf import decode_lines
from medidiff.io.chromatogram.trace import Chromatogram, checked, seconds_per

RECORD = re.compile(r"^##(?P<label>[^=]*)=(?P<value>.*)$")
NUMBERS = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
TRACES = ("chromatogram", "gas chromatogram", "liquid chromatogram", "hplc chromatogram", "gc", "hplc", "lc")
SCANS = ("mass spectrum", "gc/ms", "gc-ms", "gcms")


@dataclass(frozen=True)
class _Block:
    """Labelled records of a file in their order; labels in capitals without blanks, hyphens, slashes or underscores."""

    file: str
    records: list[tuple[str, str]]

    def text(self, label: str, default: str = "") -> str:
        return next((value.strip() for name, value in self.records if name == label), default)

    def number(self, label: str) -> float:
        text = self.text(label)
        try:
            return float(text)
        except ValueError:
            found = f"##{label}= {text!r}" if text else f"no ##{label}="
            raise DataError(f"{self.file}: {found}, expected a number. Export the file again.") from None


def read_jcamp(path: Path, *, time_unit: str = "") -> Chromatogram:
    """The trace of a JCAMP-DX file.

    time_unit   s or min, where the file's XUNITS or UNITS do not say it

    Raises DataError for an unknown DATA TYPE, a missing unit, and data that contradict their own check values.
    """
    path = Path(path)
    block = _read(path)
    kind = block.text("DATATYPE").lower()
    if kind in TRACES:
        times, signal = _trace(block, time_unit)
        return checked(path.name, Chromatogram(times, signal, block.text("YUNITS").lower(), kind))
    if kind in SCANS and any(name == "PAGE" for name, _ in block.records):
        times, total = _pages(block, time_unit)
        return checked(path.name, Chromatogram(times, total, "counts", "total ion current"))
    known = ", ".join(TRACES[:4])
    raise DataError(f"{path.name}: DATA TYPE {kind or 'missing'!r}, expected {known}, or a mass spectrum with pages T=.")


def _read(path: Path) -> _Block:
    try:
        text = path.read_bytes().decode("latin-1")
    except OSError as error:
        raise DataError(f"{path.name}: cannot be read ({error.strerror}). Check the path in the study table.") from error
    records: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        line = line.partition("$$")[0].rstrip()
        found = RECORD.match(line)
        if found:
            records.append((re.sub(r"[\s\-/_]", "", found["label"]).upper(), [found["value"]]))
        elif records:
            records[-1][1].append(line)
    if not records or records[0][0] != "TITLE":
        raise DataError(f"{path.name}: does not begin with ##TITLE=, expected a JCAMP-DX file. Give it its format's ending.")
    return _Block(path.name, [(label, "\n".join(lines)) for label, lines in records])


def _trace(block: _Block, time_unit: str) -> tuple[np.ndarray, np.ndarray]:
    unit = seconds_per(block.file, _known_unit(block.text("XUNITS")) or time_unit)
    packed, pairs = block.text("XYDATA"), block.text("XYPOINTS") or block.text("PEAKTABLE")
    if packed:
        return _packed(block, packed, unit=unit)
    if not pairs:
        raise DataError(f"{block.file}: neither ##XYDATA= nor ##XYPOINTS=, expected one. Export the trace again.")
    form, _, body = pairs.partition("\n")
    values = _pairs(block.file, form, body=body)
    x_factor, y_factor = (float(block.text(label, "1")) for label in ("XFACTOR", "YFACTOR"))
    return values[:, 0] * x_factor * unit, values[:, 1] * y_factor


def _packed(block: _Block, text: str, *, unit: float) -> tuple[np.ndarray, np.ndarray]:
    form, _, body = text.partition("\n")
    if form.replace(" ", "") != "(X++(Y..Y))":
        raise DataError(f"{block.file}: ##XYDATA={form.strip()}, expected (X++(Y..Y)). Export it in that form.")
    count, first, last = block.number("NPOINTS"), block.number("FIRSTX"), block.number("LASTX")
    values = decode_lines(block.file, body.splitlines())
    if len(values) != count:
        raise DataError(f"{block.file}: {len(values)} values, but ##NPOINTS={count:g}. Copy or export the file again.")
    return np.linspace(first, last, len(values)) * unit, values * float(block.text("YFACTOR", "1"))


def _pages(block: _Block, time_unit: str) -> tuple[np.ndarray, np.ndarray]:
    """Retention time and summed intensity of every page."""
    symbols = [name.strip().upper() for name in block.text("SYMBOL").split(",")]
    units = [name.strip() for name in block.text("UNITS").split(",")]
    stated = _known_unit(units[symbols.index("T")]) if "T" in symbols and len(units) == len(symbols) else ""
    unit = seconds_per(block.file, stated or time_unit)
    times, totals = [], []
    for label, value in block.records:
        if label == "PAGE":
            found = re.fullmatch(rf"\s*T\s*=\s*({NUMBERS.pattern})\s*", value)
            if not found:
                raise DataError(f"{block.file}: ##PAGE={value.strip()!r}, expected T= and a time. Export the file again.")
            times.append(float(found[1]) * unit)
        elif label in ("DATATABLE", "XYDATA", "XYPOINTS", "PEAKTABLE") and len(totals) < len(times):
            form, _, body = value.partition("\n")
            totals.append(float(_pairs(block.file, form, body=body)[:, 1].sum()))
    if len(totals) != len(times):
        raise DataError(f"{block.file}: {len(times)} pages, {len(totals)} tables, expected one of each. Export the file again.")
    return np.array(times), np.array(totals)


def _pairs(file: str, form: str, *, body: str) -> np.ndarray:
    """Values (pair, 2) of a table of form (XY..XY)."""
    if not form.replace(" ", "").startswith("(XY..XY)"):
        raise DataError(f"{file}: a table of form {form.strip()!r}, expected (XY..XY). Export it in that form.")
    numbers = np.array([float(text) for text in NUMBERS.findall(body)])
    if len(numbers) % 2:
        raise DataError(f"{file}: {len(numbers)} numbers in a table of pairs. Copy or export the file again.")
    return numbers.reshape(-1, 2)


def _known_unit(text: str) -> str:
    """The unit of time, empty where the record holds none such as `ARBITRARY UNITS`."""
    words = re.sub(r"[^A-Za-z ]", " ", text).lower().split()
    return next((word for word in words if word in ("s", "sec", "second", "seconds", "min", "minute", "minutes")), "")
