"""Typed values out of DICOM headers, or one clear error."""

import math
import warnings
from typing import Any

from pydicom.dataset import Dataset

from medidiff.errors import DataError


def value(header: Dataset, keyword: str | tuple[int, int]) -> Any:
    """The element's value, None when it is absent, empty or cannot be parsed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = header.get(keyword)
    except Exception:  # pydicom parses on access and fails in many ways on a hostile value
        return None
    return None if found is None or found == "" or (hasattr(found, "__len__") and len(found) == 0) else found


def text(header: Dataset, keyword: str) -> str:
    """The element as a stripped string, several values joined by a backslash; "" when absent."""
    found = value(header, keyword)
    if found is None:
        return ""
    return "\\".join(str(part).strip() for part in found) if _is_multiple(found) else str(found).strip()


def numbers(header: Dataset, keyword: str, count: int, *, name: str) -> tuple[float, ...]:
    """Exactly `count` finite numbers of one element; DataError names the file, what was found and what was expected."""
    found = value(header, keyword)
    parts = list(found) if _is_multiple(found) else [] if found is None else [found]
    try:
        result = tuple(float(part) for part in parts)
    except (TypeError, ValueError):
        result = ()
    if len(result) != count or not all(math.isfinite(number) for number in result):
        shown = "nothing" if found is None else repr(text(header, keyword))
        expected = "a finite number" if count == 1 else f"{count} finite numbers"
        raise DataError(f"{name}: {keyword} holds {shown}, expected {expected}. Export the series again.")
    return result


def number(header: Dataset, keyword: str, *, name: str) -> float:
    """One finite number; DataError otherwise."""
    return numbers(header, keyword, 1, name=name)[0]


def whole(header: Dataset, keyword: str, *, name: str, default: int | None = None) -> int:
    """A non-negative whole number, `default` when absent; DataError otherwise."""
    if default is not None and value(header, keyword) is None:
        return default
    found = number(header, keyword, name=name)
    if found < 0 or found != int(found):
        raise DataError(f"{name}: {keyword} is {found:g}, expected a whole number from 0. Export the series again.")
    return int(found)


def _is_multiple(found: Any) -> bool:
    return hasattr(found, "__iter__") and not isinstance(found, str | bytes)
