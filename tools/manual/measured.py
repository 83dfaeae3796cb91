"""Tables of what was measured, from benchmarks/results and the cards of the models: made when the manual is built, never kept."""

import fnmatch
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from tools.manual.sources import ROOT

TITLES = {
    "case": "case",
    "ours": "here",
    "theirs": "beside",
    "peer": "which is",
    "ratio": "times ahead",
    "difference": "difference",
    "interval": "95 %",
    "note": "note",
}


def benchmark_file(script: str) -> Path:
    """Where the rows of a benchmark lie."""
    return ROOT / "benchmarks" / "results" / f"{script}.json"


def benchmark_table(script: str, rows: Sequence[str], columns: Sequence[str]) -> list[str]:
    """A Markdown table of the rows of a benchmark, and a line that says when and where they were measured.

    script    name of the benchmark, such as `segmentation`
    rows      which: `NAME` or `NAME: CASE`, both with the wildcards of file names, in the order of the file
    columns   of `TITLES`; a unit is written behind the number

    Raises LookupError where nothing fits, so that a renamed row stops the build.
    """
    found = json.loads(benchmark_file(script).read_text(encoding="utf-8"))
    chosen = [row for row in found["rows"] if any(_fits(row, pattern) for pattern in rows)]
    if not chosen:
        raise LookupError(f"{script}: no row fits {', '.join(rows)}")
    machine = found["machine"]
    where = machine.get("gpu") or f"{machine['cpu']}, {machine.get('threads', machine['cores'])} thread(s)"
    return [
        _line(TITLES[column] for column in columns),
        _line("---" for _ in columns),
        *(_line(_cell(row, column) for column in columns) for row in chosen),
        "",
        f"Measured {found['made']} by `python -m benchmarks.{script}` on {where}.",
    ]


def cards_table() -> list[str]:
    """A Markdown table of the trained models of this project: what each knows and what it is not for."""
    lines = [_line(("model", "what", "hours of training", "not for")), _line(("---",) * 4)]
    for path in card_files():
        card = json.loads(path.read_text(encoding="utf-8"))
        hours = card["hours"] if isinstance(card["hours"], dict) else {"": card["hours"]}
        cells = (f"`models/{path.parent.name}`", card["title"], f"{sum(hours.values()):.2g}", " ".join(card["not_for"].split()))
        lines.append(_line(cells))
    return lines


def card_files() -> list[Path]:
    """The cards of all models, in the order of their names."""
    return sorted((ROOT / "models").glob("*/card.json"))


def _fits(row: dict, pattern: str) -> bool:
    name, _, case = pattern.partition(": ")
    return fnmatch.fnmatchcase(row["name"], name) and fnmatch.fnmatchcase(row["case"], case or "*")


def _cell(row: dict, column: str) -> str:
    if column == "interval":
        return f"{_number(row['low'])} to {_number(row['high'])}" if row.get("low") is not None else ""
    value = row.get(column)
    if value is None or isinstance(value, str):
        return (value or "").replace("|", "\\|")
    has_unit = column in ("ours", "theirs", "difference") and row.get("unit")
    return _number(value) + (f" {row['unit']}" if has_unit else "")


def _number(value: float) -> str:
    return f"{value:,.0f}".replace(",", " ") if abs(value) >= 1000 else f"{value:.3g}"


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"
