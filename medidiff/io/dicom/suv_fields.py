"""Reading single values out of the headers of one series: constant over its slices, or one per slice."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from pydicom.dataset import Dataset

from medidiff.errors import DataError
from medidiff.io.dicom.fields import value

_TRACER = frozenset(
    (
        "RadionuclideTotalDose",
        "RadionuclideHalfLife",
        "RadiopharmaceuticalStartTime",
        "RadiopharmaceuticalStartDateTime",
    )
)


class SeriesFields:
    """Access to the headers of one series; keeps the numbers as they were written, and the warnings on the way."""

    def __init__(self, headers: Sequence[Dataset], overrides: Mapping[str, float]):
        if not headers:
            raise DataError("PET series: no slices, expected at least one.")
        self._headers = headers
        self._overrides = overrides
        self.tracers = [tracer_of(header) for header in headers]
        self.written: dict[str, str | float] = {}
        self.warnings: list[str] = []

    def text(self, keyword: str) -> str:
        """The one text of all slices, "" where absent. Raises DataError where slices differ."""
        values = {_text(value(dataset, keyword)) for dataset in self._datasets(keyword)}
        if len(values) > 1:
            raise DataError(
                f"PET series: {keyword} differs between slices ({len(values)} values), expected one. "
                "These are several series under one name; split them, or re-export the series."
            )
        return values.pop()

    def texts(self, keyword: str) -> tuple[str, ...]:
        """Every value of a multi-valued text that all slices carry, in the order of the first slice."""
        values = [_list(value(dataset, keyword)) for dataset in self._datasets(keyword)]
        shared = set(values[0]).intersection(*values[1:])
        return tuple(dict.fromkeys(value for value in values[0] if value in shared))

    def each(self, keyword: str) -> np.ndarray:
        """One number per slice (n,); NaN where absent."""
        return np.array([_number(_text(value(dataset, keyword)), keyword) for dataset in self._datasets(keyword)])

    def scaled(self, keyword: str, name: str, *, small: tuple[float, float], large: tuple[float, float]) -> float:
        """The one number of all slices in SI units, or the user's under `name`; NaN where there is none.

        small, large    (limit, factor): values below the first limit, or above the second, are in another unit
        """
        if name in self._overrides:
            self.written[keyword] = "stated by the user"
            return self._overrides[name]
        value = _number(self.text(keyword), keyword)
        if math.isnan(value):
            return math.nan
        self.written[keyword] = value
        for is_other, (limit, factor) in ((value < small[0], small), (value > large[0], large)):
            if is_other and value > 0:
                self.warnings.append(f"{keyword} is {value:g}, beyond {limit:g}: taken as {value * factor:g}")
                value *= factor
                break
        return value

    def _datasets(self, keyword: str) -> Sequence[Dataset]:
        return self.tracers if keyword in _TRACER else self._headers


def tracer_of(header: Dataset) -> Dataset:
    """The one item of the radiopharmaceutical sequence, empty where there is none. Raises DataError for several."""
    items = value(header, "RadiopharmaceuticalInformationSequence") or []
    if len(items) > 1:
        raise DataError(
            f"PET series: {len(items)} radiopharmaceuticals in one series, expected one. SUV of several tracers is not defined."
        )
    return items[0] if items else Dataset()


def _text(value: object) -> str:
    return "" if value is None else str(value).strip("\0 ")


def _list(value: object) -> list[str]:
    if value is None or value == "":
        return []
    return [str(value).strip().upper()] if isinstance(value, str) else [str(one).strip().upper() for one in value]


def _number(text: str, keyword: str) -> float:
    if not text:
        return math.nan
    try:
        value = float(text)
    except ValueError:
        value = math.inf
    if not math.isfinite(value):
        raise DataError(f"PET series: {keyword} is {text[:16]!r}, expected a number. Correct the header.")
    return value
