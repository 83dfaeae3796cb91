"""The page of one chromatogram: curves and residuals, parameters with intervals, and in words what it does not determine."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from medidiff.errors import DataError
from medidiff.io.atomic import write_text
from medidiff.io.chromatogram.storage import Curves, read_curves
from medidiff.report import figures
from medidiff.report.curves import colours, details_figure, fit_figure, programme_figure
from medidiff.report.history import attempts_of, steps_of
from medidiff.report.rendering import render
from medidiff.report.study import Study
from medidiff.report.wording import quantity

STEPS = ("chromatograph", "elute")
RATES = (("retention", "k"), ("desorption_per_s", "kd (1/s)"), ("area", "area"))
SHAPE = (
    ("retention_time_s", "tR (s)"),
    ("plates_moment", "plates"),
    ("resolution_to_next", "Rs to the next"),
    ("asymmetry", "asymmetry"),
    ("signal_to_noise", "S/N"),
)
FURTHER_INTERVALS = {"profile": "profile likelihood", "bootstrap": "block bootstrap"}
FURTHER = (
    ("transfer_units", "transfer units"),
    ("equilibrium", "K"),
    ("response", "response"),
    ("desorption_without_golay_per_s", "kd without Golay's term (1/s)"),
    ("width_half_s", "width at half height (s)"),
    ("width_base_s", "width at the base (s)"),
    ("tailing", "tailing"),
    ("plates_half", "plates (half height)"),
    ("plates_tangent", "plates (tangents)"),
    ("plates_foley_dorsey", "plates (Foley-Dorsey)"),
    ("resolution_half_to_next", "Rs to the next (half height)"),
    ("peak_to_valley_to_next", "peak to valley"),
)
TABLES = ("analytes", "shared", "comparison", "statements", "bootstrap", "solutes", "corrected", "predicted", "corrections")


def is_chromatogram(study: Study) -> bool:
    """Whether a study is a chromatogram, by its records and attempts."""
    return any(step in STEPS for step, _ in study.records) or any(attempt.step in STEPS for attempt in study.attempts)


def summary_of(study: Study) -> dict[str, float]:
    """The few numbers by which chromatograms of an index are compared; empty without a result."""
    fit, programme = study.numbers("chromatograph"), study.numbers("elute")
    found = {
        "peaks": sum(name.startswith("analytes.") and name.endswith(".retention") for name in fit) or None,
        "r_squared": fit.get("r_squared"),
        "residual_over_noise": fit["residual_deviation"] / fit["noise"] if fit.get("noise") else None,
        "condition": fit.get("condition"),
        "predicted_rms_s": programme.get("predicted.rms_s"),
        "corrected_rms_s": programme.get("corrected.rms_s"),
    }
    return {name: value for name, value in found.items() if value is not None}


def write_chromatogram_page(study: Study, out: Path) -> Path:
    """The page of a study's fit or of its programmed elution, whichever there is; figures lie beside it."""
    notes: list[str] = []
    step = next((name for name in STEPS if (name, "") in study.records), "")
    result = study.records[step, ""].get("result") if step else {}
    numbers = result.get("numbers") or {} if isinstance(result, Mapping) else {}
    curves = _curves(study, step, notes=notes)
    draw = _programme_pictures if step == "elute" else _fit_pictures
    page = render(
        "chromatogram.html",
        study=study,
        notes=notes,
        tiles=list(_programme_tiles(numbers) if step == "elute" else _fit_tiles(numbers)),
        pictures=[figures.entry(figure, Path(out), kind, text) for kind, figure, text in draw(curves, numbers)]
        if curves and numbers
        else [],
        statements=_programme_statements(numbers) if step == "elute" else list(numbers.get("statements") or ()),
        tables=list(_programme_tables(numbers) if step == "elute" else _fit_tables(numbers)),
        facts=[(name, value) for name, value in numbers.items() if name not in TABLES and value is not None],
        steps=steps_of(study),
        attempts=attempts_of(study),
    )
    write_text(out, page)
    return Path(out)


def _curves(study: Study, step: str, *, notes: list[str]) -> Curves | None:
    path = study.folder / step / "curves.h5"
    if not step or not path.is_file():
        return None
    try:
        return read_curves(path)
    except DataError as error:
        notes.append(str(error))
        return None


def _fit_pictures(curves: Curves, numbers: Mapping[str, Any]) -> Iterator[tuple[str, Figure, str]]:
    text = "Measured signal, fitted curve and the peak of every analyte; below, the residual in standard deviations of the noise."
    yield "fit", fit_figure(curves, noise=numbers["noise"]), text
    widths = {name: values["width_half_s"] for name, values in numbers["analytes"].items()}
    yield "peaks", details_figure(curves, widths), "Every peak from near: samples, fitted curve (red), and each analyte alone."


def _programme_pictures(curves: Curves, numbers: Mapping[str, Any]) -> Iterator[tuple[str, Figure, str]]:
    text = (
        "Predicted peaks, at the height of the measured ones where there is a trace; below, predicted minus measured retention "
        "time of every solute."
    )
    yield "programme", programme_figure(curves, numbers["solutes"]), text


def _fit_tiles(numbers: Mapping[str, Any]) -> Iterator[dict]:
    if not numbers:
        return
    yield {"name": "peaks fitted", "value": len(numbers["analytes"])}
    yield {"name": "R² over the whole window", "value": f"{numbers['r_squared']:.4f}"}
    yield {"name": "residual / noise", "value": quantity(numbers["residual_deviation"] / numbers["noise"])}
    yield {"name": "Durbin-Watson (2: white)", "value": quantity(numbers["durbin_watson"])}
    yield {"name": "condition number", "value": quantity(numbers["condition"])}
    yield {"name": "hold-up time", "value": f"{quantity(numbers['hold_up_s'])} s"}


def _programme_tiles(numbers: Mapping[str, Any]) -> Iterator[dict]:
    for key, name in (("predicted", "published constants alone"), ("corrected", "with two corrections")):
        if numbers.get(key):
            yield {"name": f"RMS error, {name}", "value": f"{quantity(numbers[key]['rms_s'])} s"}
            yield {"name": f"median error, {name}", "value": f"{quantity(numbers[key]['median_percent'])} %"}
    if "width_ratio" in numbers.get("predicted", {}):
        yield {"name": "predicted / measured width", "value": quantity(numbers["predicted"]["width_ratio"])}


def _programme_statements(numbers: Mapping[str, Any]) -> list[str]:
    if not numbers:
        return []
    fitted = numbers["corrections"]
    return [
        f"Measured: {numbers['measured_from']}. Column, retention parameters and times: {numbers['citation']}.",
        f"The corrections, fitted on {fitted['fitted_on']} alone and never on this one, are a temperature offset of "
        f"{quantity(fitted['temperature_offset_k'])} K and {quantity(fitted['hold_up_scale'])} times Poiseuille's hold-up time.",
        "The corrections absorb what is uncertain in phase ratio, length, diameter and pressure together: retention times alone "
        "do not tell these apart, so neither number is a physical constant.",
    ]


def _fit_tables(numbers: Mapping[str, Any]) -> Iterator[dict]:
    analytes = numbers.get("analytes") or {}
    if not analytes:
        return
    paint = colours(list(analytes))

    def table(title: str, columns: Sequence[tuple[str, str]], *, note: str = "", is_folded: bool = False) -> dict:
        known = [pair for pair in columns if any(values.get(pair[0]) is not None for values in analytes.values())]
        rows = [
            {"name": name, "colour": paint[name], "cells": [_cell(values, key) for key, _ in known]}
            for name, values in analytes.items()
        ]
        headings = ["analyte", *(heading for _, heading in known)]
        return {"title": title, "columns": headings, "rows": rows, "note": note, "is_folded": is_folded}

    note = "Below each value its 95 % interval from the covariance, hold-up time and start of the injection as fixed."
    also = [f"by {word}" for method, word in FURTHER_INTERVALS.items() if any(_has(v, method) for v in analytes.values())]
    if also:
        note += f" Below that, those {' and '.join(also)}."
    yield table("Parameters", (*RATES, *SHAPE), note=note)
    if numbers.get("shared"):
        rows = [{"name": name, "colour": "", "cells": [_cell(values, "value_s")]} for name, values in numbers["shared"].items()]
        yield {
            "title": "Instrument",
            "columns": ["quantity", "value (s)"],
            "rows": rows,
            "note": "With 95 % intervals.",
            "is_folded": False,
        }
    if numbers.get("comparison"):
        yield _comparison_table(numbers["comparison"])
    if numbers.get("bootstrap"):
        yield _bootstrap_table(numbers["bootstrap"])
    yield table("Further numbers of every peak", FURTHER, is_folded=True)


def _has(values: Mapping[str, Any], method: str) -> bool:
    """Whether an analyte has an interval by this method too."""
    return any(f"{key}_{method}_low" in values for key, _ in RATES)


def _cell(values: Mapping[str, Any], key: str) -> dict:
    """A value, with the ends of its intervals where it has any, as many decimals as tell the covariance's apart."""
    value, low, high = (values.get(name) for name in (key, f"{key}_low", f"{key}_high"))
    numbers = all(isinstance(each, float) for each in (value, low, high))
    if numbers and high > low:
        decimals = max(0, min(6, 1 - math.floor(math.log10(high - low))))
        further = []
        for method in FURTHER_INTERVALS:
            ends = [values.get(f"{key}_{method}_{end}") for end in ("low", "high")]
            if None not in ends:
                further.append({"method": method, "ends": [_decimals(end, decimals) for end in ends]})
        value, low, high = (_decimals(each, decimals) for each in (value, low, high))
        return {"value": value, "low": low, "high": high, "further": further}
    return {"value": _seconds(value) if key.endswith("time_s") else value}


def _decimals(value: float | str, count: int) -> str:
    """A number with so many decimals; an open end, which a record holds as inf, as the infinity it is."""
    value = float(value)
    return (f"{value:.{count}f}" if math.isfinite(value) else f"{value:+.0f}".replace("inf", "∞")).replace("-", "−")


def _seconds(value: float | None) -> str | None:
    """A time to a hundredth of a second: its digits are what retention is measured to."""
    return None if value is None else f"{value:.2f}".replace("-", "−")


def _comparison_table(comparison: Mapping[str, Mapping[str, float]]) -> dict:
    solvers = list(dict.fromkeys(solver for errors in comparison.values() for solver in errors))
    rows = [
        {"name": name, "colour": "", "cells": [{"value": errors.get(solver)} for solver in solvers]}
        for name, errors in comparison.items()
    ]
    note = (
        "Largest distance from the Fourier inversion over the peak's height. Times are in the log: they differ from run to run."
    )
    columns = ["analyte", *(solver.replace("_", " ") for solver in solvers)]
    return {
        "title": "Laplace against full numerical solutions",
        "columns": columns,
        "rows": rows,
        "note": note,
        "is_folded": False,
    }


def _bootstrap_table(bootstrap: Mapping[str, Any]) -> dict:
    ratios = bootstrap["deviation_over_covariance"]
    rows = [{"name": name, "colour": "", "cells": [{"value": value}]} for name, value in ratios.items()]
    note = (
        f"{bootstrap['converged']} of {bootstrap['refits']} refits with blocks of {bootstrap['block']} samples of the residual. "
        "Far above 1 the noise is correlated, and the intervals above are too narrow by that factor."
    )
    columns = ["parameter", "deviation / covariance's"]
    return {"title": "Block bootstrap", "columns": columns, "rows": rows, "note": note, "is_folded": True}


def _programme_tables(numbers: Mapping[str, Any]) -> Iterator[dict]:
    rows = []
    for name, row in (numbers.get("solutes") or {}).items():
        measured = row["measured_s"]
        misses = [None if measured is None else row[key] - measured for key in ("predicted_s", "corrected_s")]
        values = [*map(_seconds, (measured, row["predicted_s"], misses[0], row["corrected_s"], misses[1]))]
        values += [row.get("published_width_s"), row["predicted_width_s"], row["retention_at_elution"]]
        rows.append({"name": name, "colour": "", "cells": [{"value": value} for value in values]})
    columns = ["solute", "measured (s)", "predicted (s)", "error (s)", "corrected (s)", "error (s)", "measured σ (s)"]
    if rows:
        yield {
            "title": "Retention",
            "columns": [*columns, "predicted σ (s)", "k at elution"],
            "rows": rows,
            "note": "",
            "is_folded": False,
        }
