"""Names and numbers as people read them: `hd95_mm` becomes "HD95 (mm)", 0.71249 becomes "0.712"."""

import math
from collections.abc import Iterable
from typing import Any

UNITS = {
    "mm": "mm",
    "m": "m",
    "ml": "ml",
    "percent": "%",
    "suv": "SUV",
    "hu": "HU",
    "s": "s",
    "seconds": "s",
    "minutes": "min",
    "hours": "h",
    "mb": "MB",
    "kg": "kg",
    "g": "g",
    "bq": "Bq",
    "mbq": "MBq",
    "deg": "°",
}
SPELLING = {
    "dice": "Dice",
    "hd95": "HD95",
    "nsd": "NSD",
    "assd": "ASSD",
    "suv": "SUV",
    "suvbw": "SUVbw",
    "ct": "CT",
    "pet": "PET",
    "hu": "HU",
    "id": "ID",
}
# which numbers come first in a table; the rest follows in their own order
FIRST = ("dice", "hd95", "volume_error", "nsd", "assd", "volume", "truth", "sensitivity", "precision")


def label(name: str) -> str:
    """A key of a record as a heading, the unit at its end in parentheses."""
    *path, last = name.split(".")
    words = last.split("_")
    unit = UNITS.get(words[-1].lower()) if len(words) > 1 else None
    words = words[:-1] if unit else words
    text = " · ".join(_spell(part) for part in [*path, "_".join(words)])
    return f"{text} ({unit})" if unit else text


def quantity(value: Any) -> str:
    """A number with three significant digits, a list joined, anything else as text; nothing as a dash."""
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return str(value)
    if value in ("inf", "-inf") or (isinstance(value, float) and math.isinf(value)):
        return "∞" if str(value)[0] != "-" else "−∞"
    if isinstance(value, float):
        return _decimal(value)
    if isinstance(value, list | tuple) and value and all(isinstance(row, list | tuple) for row in value):
        return "; ".join(" ".join(map(quantity, row)) for row in value)
    if isinstance(value, list | tuple):
        return (
            " × ".join(map(quantity, value))
            if all(isinstance(v, int | float) for v in value)
            else ", ".join(map(quantity, value))
        )
    return str(value)


def ordered(names: Iterable[str]) -> list[str]:
    """Names of numbers, those that matter most first."""
    names = list(dict.fromkeys(names))
    return sorted(names, key=lambda name: (_rank(name), names.index(name)))


def is_prominent(name: str) -> bool:
    """Whether a number stands in the first table."""
    return _rank(name) < len(FIRST)


def cell(value: Any) -> str:
    """One cell of a tab-separated table; text that a spreadsheet would run as a formula is made plain text."""
    if value is None:
        return ""
    if isinstance(value, int | float):
        return f"{value:.6g}" if isinstance(value, float) else str(value)
    text = " ".join(str(value).split())
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text


def leaders(names: Iterable[str]) -> list[str]:
    """The first prominent name of each kind, such as one of two kinds of HD95."""
    firsts: dict[int, str] = {}
    for name in ordered(names):
        if is_prominent(name):
            firsts.setdefault(_rank(name), name)
    return list(firsts.values())


def _spell(words: str) -> str:
    return " ".join(SPELLING.get(word.lower(), word) for word in words.split("_"))


def _rank(name: str) -> int:
    last = name.split(".")[-1]
    return next((rank for rank, start in enumerate(FIRST) if last.startswith(start)), len(FIRST))


def _decimal(value: float) -> str:
    if value != value:
        return "–"
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        digits = max(0, 2 - math.floor(math.log10(abs(value)))) if value else 0
        return f"{value:.{min(digits, 4)}f}".replace("-", "−")
    return f"{value:.2e}".replace("-", "−")
