"""mzML (HUPO-PSI): chromatograms, or the total ion current of the spectra; read as a stream, document types refused."""

import base64
import binascii
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

import numpy as np

from medidiff.errors import DataError
from medidiff.io.chromatogram.trace import Chromatogram, checked

LONGEST = 1 << 26  # values in one array
SECOND, MINUTE = "UO:0000010", "UO:0000031"
UNITS = {SECOND: 1.0, MINUTE: 60.0}
TIME_ARRAY, INTENSITY_ARRAY = "MS:1000595", "MS:1000515"
TYPES = {"MS:1000521": "<f4", "MS:1000523": "<f8", "MS:1000519": "<i4", "MS:1000522": "<i8"}
ZLIB, PLAIN = "MS:1000574", "MS:1000576"
TOTAL_ION_TRACE, TOTAL_ION_CURRENT, SCAN_START, LEVEL = "MS:1000235", "MS:1000285", "MS:1000016", "MS:1000511"


@dataclass
class _Array:
    parameters: dict[str, tuple[str, str]] = field(default_factory=dict)  # accession -> value, unit accession
    pieces: list[str] = field(default_factory=list)


@dataclass
class _Trace:
    name: str
    length: int
    parameters: dict[str, tuple[str, str]] = field(default_factory=dict)
    arrays: list[_Array] = field(default_factory=list)


def read_mzml(path: Path, *, trace: str = "") -> Chromatogram:
    """One chromatogram of an mzML file.

    trace     its id; empty: the total ion current, else the only one, else the total ion current of the MS1 spectra

    The unit of time is that of the file's own unit accession, seconds or minutes. Raises DataError for a document type
    declaration, a missing unit, an unknown compression, and arrays that do not have the length that they claim.
    """
    path = Path(path)
    found = _Reader(path.name)
    found.read(path)
    chosen = _choose(path.name, found.traces, wanted=trace)
    if chosen is not None:
        return _chromatogram(path.name, chosen)
    if len(found.scans) < 2:
        raise DataError(f"{path.name}: no chromatogram and {len(found.scans)} scans with a total ion current. Export one again.")
    scans = np.array(found.scans)
    return checked(path.name, Chromatogram(scans[:, 0], scans[:, 1], "counts", "total ion current"))


def _choose(file: str, traces: list[_Trace], *, wanted: str) -> _Trace | None:
    names = [each.name for each in traces]
    if wanted:
        if wanted not in names:
            raise DataError(f"{file}: no chromatogram {wanted!r}, found {', '.join(names) or 'none'}. Correct reading.trace.")
        return traces[names.index(wanted)]
    totals = [each for each in traces if TOTAL_ION_TRACE in each.parameters]
    if len(totals) == 1 or len(traces) == 1:
        return (totals or traces)[0]
    if traces:
        raise DataError(f"{file}: {len(traces)} chromatograms ({', '.join(names[:6])}). Name one in chromatograph.reading.trace.")
    return None


def _chromatogram(file: str, trace: _Trace) -> Chromatogram:
    arrays = {kind: each for each in trace.arrays for kind in (TIME_ARRAY, INTENSITY_ARRAY) if kind in each.parameters}
    if len(arrays) < 2:
        raise DataError(f"{file}: chromatogram {trace.name!r} lacks its time or intensity array. Export it again.")
    unit = arrays[TIME_ARRAY].parameters[TIME_ARRAY][1]
    if unit not in UNITS:
        raise DataError(
            f"{file}: time array with unit {unit or 'none'!r}, expected {SECOND} (s) or {MINUTE} (min). Export it again."
        )
    times, signal = (_decode(file, trace, array=arrays[kind]) for kind in (TIME_ARRAY, INTENSITY_ARRAY))
    return checked(file, Chromatogram(times * UNITS[unit], signal, "counts", trace.name))


def _decode(file: str, trace: _Trace, *, array: _Array) -> np.ndarray:
    """The numbers of one array, never more bytes than its length allows."""
    kinds = [TYPES[accession] for accession in array.parameters if accession in TYPES]
    packed = ZLIB in array.parameters
    if len(kinds) != 1 or not (packed or PLAIN in array.parameters):
        known = ", ".join(sorted(array.parameters)) or "none"
        raise DataError(f"{file}: array of {trace.name!r} with terms {known}; expected zlib or no compression, 32 or 64 bits.")
    size = trace.length * np.dtype(kinds[0]).itemsize
    try:
        raw = base64.b64decode("".join("".join(array.pieces).split()), validate=True)
        if packed:
            unpacker = zlib.decompressobj()
            raw = unpacker.decompress(raw, size + 1)
    except (binascii.Error, zlib.error, ValueError) as error:
        raise DataError(f"{file}: an array of {trace.name!r} cannot be decoded ({error}). Copy the file again.") from error
    if len(raw) != size:
        raise DataError(
            f"{file}: an array of {trace.name!r} has {len(raw)}{'+' if len(raw) > size else ''} bytes, expected {size} for its "
            f"{trace.length} values. Copy the file again."
        )
    return np.frombuffer(raw, dtype=kinds[0]).astype(float)


class _Reader:
    """Collects chromatograms and scans while expat reads; binary data of spectra is passed over."""

    def __init__(self, file: str):
        self.file = file
        self.traces: list[_Trace] = []
        self.scans: list[tuple[float, float]] = []  # s, total ion current
        self._groups: dict[str, dict[str, tuple[str, str]]] = {}
        self._group: dict | None = None
        self._trace: _Trace | None = None
        self._array: _Array | None = None
        self._spectrum: dict | None = None
        self._in_binary = False

    def read(self, path: Path) -> None:
        parser = expat.ParserCreate()
        parser.StartDoctypeDeclHandler = self._refuse
        parser.StartElementHandler, parser.EndElementHandler = self._start, self._end
        parser.CharacterDataHandler = self._text
        parser.buffer_text = True
        try:
            with open(path, "rb") as file:
                parser.ParseFile(file)
        except expat.ExpatError as error:
            raise DataError(f"{self.file}: not well-formed XML ({error}). Copy or export the file again.") from error
        except OSError as error:
            raise DataError(f"{self.file}: cannot be read ({error.strerror}). Check the path in the study table.") from error

    def _refuse(self, *_: object) -> None:
        raise DataError(f"{self.file}: holds a document type declaration, which mzML has not. Export the file again.")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == "referenceableParamGroup":
            self._group = self._groups.setdefault(attributes.get("id", ""), {})
        elif tag == "chromatogram":
            self._trace = _Trace(attributes.get("id", ""), self._length(attributes))
            self.traces.append(self._trace)
        elif tag == "spectrum":
            self._spectrum = {}
        elif tag == "binaryDataArray" and self._trace is not None:
            self._array = _Array()
            self._trace.arrays.append(self._array)
        elif tag == "binary":
            self._in_binary = self._array is not None
        elif tag == "cvParam":
            self._parameters(
                {attributes.get("accession", ""): (attributes.get("value", ""), attributes.get("unitAccession", ""))}
            )
        elif tag == "referenceableParamGroupRef":
            self._parameters(self._groups.get(attributes.get("ref", ""), {}))

    def _end(self, tag: str) -> None:
        if tag == "referenceableParamGroup":
            self._group = None
        elif tag == "chromatogram":
            self._trace = None
        elif tag == "binaryDataArray":
            self._array = None
        elif tag == "binary":
            self._in_binary = False
        elif tag == "spectrum" and self._spectrum is not None:
            self._scan(self._spectrum)
            self._spectrum = None

    def _text(self, text: str) -> None:
        if self._in_binary and self._array is not None:
            self._array.pieces.append(text)

    def _parameters(self, found: dict[str, tuple[str, str]]) -> None:
        for place in (
            self._group,
            self._array and self._array.parameters,
            self._trace and self._trace.parameters,
            self._spectrum,
        ):
            if place is not None:
                place.update(found)
                return

    def _scan(self, spectrum: dict[str, tuple[str, str]]) -> None:
        if TOTAL_ION_CURRENT not in spectrum or SCAN_START not in spectrum or spectrum.get(LEVEL, ("1", ""))[0] not in ("", "1"):
            return
        value, unit = spectrum[SCAN_START]
        if unit not in UNITS:
            raise DataError(f"{self.file}: scan start time with unit {unit or 'none'!r}, expected {SECOND} or {MINUTE}.")
        try:
            self.scans.append((float(value) * UNITS[unit], float(spectrum[TOTAL_ION_CURRENT][0])))
        except ValueError:
            raise DataError(f"{self.file}: scan start {value!r} is no number. Export the file again.") from None

    def _length(self, attributes: dict[str, str]) -> int:
        text = attributes.get("defaultArrayLength", "")
        if not text.isdecimal() or int(text) > LONGEST:
            raise DataError(
                f"{self.file}: defaultArrayLength {text!r}, expected a number up to {LONGEST}. Export the file again."
            )
        return int(text)
