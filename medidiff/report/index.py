"""The index of all studies: failed ones first, the methods compared, and every number as a table."""

import os
import statistics
from collections.abc import Iterable
from pathlib import Path

from medidiff.io.atomic import write_text
from medidiff.report.chromatogram import summary_of
from medidiff.report.dehazing import FIGURES, is_dehazing
from medidiff.report.operators import system_summary
from medidiff.report.reconstruction import QUALITY, TRUST, is_reconstruction
from medidiff.report.rendering import render_with_script
from medidiff.report.study import STATES, Journals, Study, find_journals, read_study
from medidiff.report.wording import cell, label, leaders, ordered

SORTED_BY = "dice"  # the lowest first
LEFT, RIGHT, ROW = 124, 624, 30  # of the chart, pixels
PAGE = 500  # studies on one page; a browser opens it at once
TROUBLED = 50  # studies whose error stands above everything; all of them stand first in the table


def write_index(
    results: Path, logs: Path, studies: Iterable, out: Path, *, title: str = "medidiff", table: Path | None = None
) -> Path:
    """The index page; beside it, one line for each study and method as tab-separated text.

    results   folder of `{study}/convert`, `{study}/segment`, `{study}/evaluate`
    logs      folder of `{step}/{study}[_{method}].jsonl`
    studies   names, or lines of the study table (whose rejected ones are listed with their reason)
    out       the page; pages of studies are looked for beside it
    title     headline
    table     the tab-separated text; default `summary.tsv` beside the page

    Beyond PAGE studies further pages, `index.2.html` and so on, go on with the list; the table holds all.
    """
    out = Path(out)
    table = Path(table or out.with_name("summary.tsv"))
    journals = find_journals(logs)
    known = sorted((_read(results, journals, study) for study in studies), key=_order)
    measures = _measures(known)
    write_text(table, _table(known, measures))
    parts = [known[start : start + PAGE] for start in range(0, len(known), PAGE)] or [[]]
    files = [out, *(out.with_name(f"{out.stem}.{number}{out.suffix}") for number in range(2, len(parts) + 1))]
    whole = {"title": title, "files": [path.name for path in files], "table": os.path.relpath(table, out.parent)}
    whole |= {"total": len(known), "counts": [(state, sum(study.state == state for study in known)) for state in STATES]}
    methods = _methods(known)
    for number, (path, part) in enumerate(zip(files, parts), start=1):
        cohort = _cohort(known, methods, measures, out) if number == 1 else NO_COHORT
        rows = _studies(part, methods, measures, out)
        write_text(path, render_with_script("index.html", "sort.js", number=number, **whole, **cohort, **rows))
    for old in set(out.parent.glob(f"{out.stem}.[0-9]*{out.suffix}")) - set(files):
        old.unlink()  # of an earlier run with more studies
    return out


NO_COHORT = {"troubled": [], "more_troubled": 0, "summary": [], "summary_columns": [], "chart": None}


def _cohort(known: list[Study], methods: list[str], measures: dict, out: Path) -> dict:
    """What is said of all studies together, on the first page: errors, methods compared."""
    troubled = [study for study in known if study.error]
    summary, columns = _summary(methods, measures)
    return {
        "troubled": [{"study": s.name, "state": s.state, "error": s.error, "page": _page(s, out)} for s in troubled[:TROUBLED]],
        "more_troubled": len(troubled[TROUBLED:]),
        "summary": summary,
        "summary_columns": columns,
        "chart": _chart(methods, measures),
    }


def _studies(part: list[Study], methods: list[str], measures: dict, out: Path) -> dict:
    """The tables that list studies, for those of one page."""
    traces = {study.name: measures[study.name, ""] for study in part if (study.name, "") in measures}
    return {
        "columns": _columns(methods),
        "rows": [_row(study, methods, measures, out) for study in part],
        "worst": label(SORTED_BY),
        "traces": traces,
        "trace_columns": list(dict.fromkeys(name for numbers in traces.values() for name in numbers)),
        "is_by_dice": bool(methods),
        **_reconstructions([study for study in part if is_reconstruction(study)], measures),
        **_recordings([study for study in part if is_dehazing(study)], measures),
    }


def _methods(known: list[Study]) -> list[str]:
    """Those of segmentation; scans and recordings have tables of their own."""
    others = [study for study in known if not is_reconstruction(study) and not is_dehazing(study)]
    return sorted({method for study in others for method in study.methods})


def _measures(known: list[Study]) -> dict[tuple[str, str], dict]:
    """The numbers by study and method; of a chromatogram or a system the method is empty."""
    measures = {(study.name, method): study.measures(method) for study in known for method in study.methods}
    return measures | {(s.name, ""): numbers for s in known if (numbers := summary_of(s) or system_summary(s))}


def _read(results: Path, journals: Journals, study: object) -> Study:
    if isinstance(study, str):
        return read_study(results, journals, study)
    reason = (study.reason or "rejected in the study table") if study.status == "reject" else ""
    return read_study(results, journals, study.study, rejected=reason)


def _order(study: Study) -> tuple:
    return STATES.index(study.state), _worst(study), study.name


def _worst(study: Study) -> float:
    values = [study.measures(method).get(SORTED_BY) for method in study.methods]
    return min((value for value in values if value is not None), default=float("inf"))


def _columns(methods: list[str]) -> list[dict]:
    numbers = [f"{label(SORTED_BY)} {method}" for method in methods] + ["warnings", "attempts", "time (s)", "memory (MB)"]
    return [{"title": "study", "is_number": False}, {"title": "state", "is_number": False}] + [
        {"title": title, "is_number": True} for title in numbers
    ]


def _row(study: Study, methods: list[str], measures: dict, out: Path) -> dict:
    seconds = [a.facts["seconds"] for a in study.attempts if isinstance(a.facts.get("seconds"), int | float)]
    memory = [a.facts["peak_rss_mb"] for a in study.attempts if isinstance(a.facts.get("peak_rss_mb"), int | float)]
    counts = [len(study.warnings), len(study.attempts), sum(seconds) if seconds else None, max(memory, default=None)]
    return {
        "study": study.name,
        "page": _page(study, out),
        "state": study.state,
        "order": STATES.index(study.state),
        "cells": [measures.get((study.name, method), {}).get(SORTED_BY) for method in methods] + counts,
    }


def _page(study: Study, out: Path) -> str:
    page = out.with_name(f"{study.name}.html")
    return page.name if page.is_file() else ""


def _summary(methods: list[str], measures: dict) -> tuple[list[dict], list[str]]:
    """Per method: number of studies, mean and median of every prominent number."""
    names = leaders(name for values in measures.values() for name in values)[:5]
    rows = []
    for method in methods:
        mine = [values for (_, other), values in measures.items() if other == method and values]
        columns = {name: [values[name] for values in mine if name in values] for name in names}
        if mine:
            mean = {name: statistics.fmean(values) if values else None for name, values in columns.items()}
            median = {name: statistics.median(values) if values else None for name, values in columns.items()}
            rows.append({"method": method, "count": len(mine), "mean": mean, "median": median})
    return rows, names


def _reconstructions(studies: list[Study], measures: dict) -> dict:
    """The table of reconstructions: one row for each study and method."""
    rows = [(study.name, method, measures[study.name, method]) for study in studies for method in study.methods]
    known = [pair for pair in (*QUALITY[:5], *TRUST) if any(pair[0] in values for _, _, values in rows)]
    return {"scans": [row for row in rows if row[2]], "scan_columns": known}


def _recordings(studies: list[Study], measures: dict) -> dict:
    """The table of ultrasound: one row for each study and method."""
    rows = [(study.name, method, measures[study.name, method]) for study in studies for method in study.methods]
    known = [pair for pair in FIGURES if any(pair[0] in values for _, _, values in rows)]
    return {"hazy": [row for row in rows if row[2]], "hazy_columns": known}


def _chart(methods: list[str], measures: dict) -> dict | None:
    """One row for each method, one dot for each study; of more than PAGE studies a line at each value that occurs."""
    rows = []
    for method in methods:
        dice = {study: v[SORTED_BY] for (study, other), v in measures.items() if other == method and SORTED_BY in v}
        if dice:
            y, is_crowd = 18 + ROW * len(rows), len(dice) > PAGE
            dots = [{"x": _x(value), "study": study, "value": value} for study, value in sorted(dice.items())]
            lines = "".join(f"M{x} {y - 6}v12" for x in sorted({round(dot["x"]) for dot in dots})) if is_crowd else ""
            mean = _x(statistics.fmean(dice.values()))
            rows.append({"method": method, "y": y, "dots": [] if is_crowd else dots, "lines": lines, "mean": mean})
    ticks = [(_x(tenth / 10), f"{tenth / 10:.1f}") for tenth in range(0, 11, 2)]
    return {"rows": rows, "ticks": ticks, "height": ROW * len(rows) + 26} if rows else None


def _x(value: float) -> float:
    return round(LEFT + (RIGHT - LEFT) * value, 1)


def _table(studies: list[Study], measures: dict) -> str:
    names = ordered(name for values in measures.values() for name in values)
    lines = [["study", "state", "method", *names, "error"]]
    for study in studies:
        for method in study.methods or [""]:
            values = measures.get((study.name, method), {})
            lines.append([study.name, study.state, method, *(values.get(name) for name in names), study.error])
    return "".join("\t".join(map(cell, line)) + "\n" for line in lines)
