"""The page of one system of equations: pictures, every method beside the classical solver, and whether the operator pays."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from medidiff.errors import DataError
from medidiff.io.atomic import write_text
from medidiff.io.pde.predictions import Predictions, read_predictions
from medidiff.report import figures
from medidiff.report.history import attempts_of, steps_of
from medidiff.report.rendering import render
from medidiff.report.spacetime import control_figure, cost_figure, error_figure, method_colours, spacetime_figure
from medidiff.report.study import Study
from medidiff.report.wording import quantity

STEPS = ("trajectories", "operate", "super-resolve", "control")
QUALITY = (
    ("relative_l2", "relative L2"),
    ("relative_l2_median", "median"),
    ("relative_l2_worst", "worst"),
    ("nrmse", "nRMSE"),
    ("brmse", "boundary RMSE"),
    ("frmse_low", "fRMSE low"),
    ("frmse_mid", "mid"),
    ("frmse_high", "high"),
    ("spectral_distance", "spectrum (decades)"),
    ("shock_position_cells", "shock (cells)"),
    ("shock_width_ratio", "shock width"),
    ("variation_ratio", "variation"),
)
NOTE = (
    "Fields in units of their own root mean square. fRMSE: error of wave numbers 0-3, 4-11, 12 and above. Spectrum: distance of "
    "energies in decades. Shock: median distance of its position; width and total variation over the truth's, 1 is right. "
    "Processor time differs from run to run."
)
ENSEMBLE = (
    ("members", "members"),
    ("crps", "CRPS"),
    ("spread_skill", "spread / skill"),
    ("coverage_90", "coverage of 90 % intervals"),
    ("rank_chi2", "rank chi-square"),
)
CAPTIONS = {
    "spacetime": "Truth, the operator's single answer, and their difference (first field of the first trajectories).",
    "errors": "Error over time, median and 80 % of the trajectories; energy by wave number in the last frame.",
    "cost": "Error against processor time. An operator pays only left of and below the dashed line of the classical solver.",
    "refined": "The same on the finer grid that the operator was not trained on.",
    "control": "Steered to a target: last states, the force that the operator found, and the optimum of the adjoint method.",
}


def is_system(study: Study) -> bool:
    """Whether a study is a system of equations, by its records and attempts."""
    return any(step in STEPS for step, _ in study.records) or any(attempt.step in STEPS for attempt in study.attempts)


def system_summary(study: Study) -> dict[str, float]:
    """The few numbers by which systems of an index are compared; empty without a result."""
    numbers = study.numbers("operate")
    found = {"relative_l2": numbers.get("methods.operator.relative_l2"), "spread_skill": numbers.get("ensemble.spread_skill")}
    return {name: value for name, value in found.items() if value is not None}


def write_system_page(study: Study, out: Path) -> Path:
    """The page of a study's simulations, refinement and control, whichever there are; figures lie beside it."""
    notes: list[str] = []
    numbers = {step: _numbers(study, step) for step in STEPS}
    found = {step: _predictions(study, step, notes) for step in STEPS[1:]}
    seconds = (study.records.get(("operate", ""), {}).get("run") or {}).get("seconds_per_trajectory") or {}
    pictures = [figures.entry(figure, Path(out), kind, CAPTIONS[kind]) for kind, figure in _pictures(found, numbers, seconds)]
    page = render(
        "operators.html",
        study=study,
        notes=notes,
        tiles=list(_tiles(numbers)),
        pictures=pictures,
        statements=list(_statements(numbers, seconds)),
        tables=list(_tables(numbers, seconds)),
        facts=list(numbers["trajectories"].items()),
        steps=steps_of(study),
        attempts=attempts_of(study),
    )
    write_text(out, page)
    return Path(out)


def _numbers(study: Study, step: str) -> Mapping[str, Any]:
    result = study.records.get((step, ""), {}).get("result")
    return result.get("numbers") or {} if isinstance(result, Mapping) else {}


def _predictions(study: Study, step: str, notes: list[str]) -> Predictions | None:
    path = study.folder / step / "predictions.h5"
    if (step, "") not in study.records or not path.is_file():
        return None
    try:
        return read_predictions(path)
    except DataError as error:
        notes.append(str(error).replace(path.name, f"{step}/{path.name}"))
        return None


def _pictures(found: Mapping, numbers: Mapping, seconds: Mapping) -> Iterator[tuple[str, Figure]]:
    simulated, refined, steered = (found[step] for step in STEPS[1:])
    if simulated is not None:
        scores = numbers["operate"]["methods"]
        yield "spacetime", spacetime_figure(simulated, "operator")
        yield "errors", error_figure(simulated, list(scores))
        if set(seconds) >= set(scores):
            yield "cost", cost_figure({name: values["relative_l2"] for name, values in scores.items()}, seconds)
    if refined is not None:
        yield "refined", spacetime_figure(refined, "refined")
    if steered is not None:
        yield "control", control_figure(steered)


def _tiles(numbers: Mapping) -> Iterator[dict]:
    for name, values in (numbers["operate"].get("methods") or {}).items():
        yield {"name": f"relative L2, {name}", "value": quantity(values["relative_l2"])}
    if numbers["operate"].get("ensemble"):
        yield {"name": "spread / skill (1: calibrated)", "value": quantity(numbers["operate"]["ensemble"]["spread_skill"])}
    if numbers["control"]:
        yield {"name": "control objective", "value": quantity(numbers["control"]["objective"]["operator"])}


def _statements(numbers: Mapping, seconds: Mapping) -> Iterator[str]:
    scores = numbers["operate"].get("methods") or {}
    if "operator" in scores and set(seconds) >= set(scores):
        mine, spent = scores["operator"]["relative_l2"], seconds["operator"]
        solvers = {name: (values["relative_l2"], seconds[name]) for name, values in scores.items() if name.startswith("solver")}
        better = [name for name, (error, took) in solvers.items() if error <= mine and took <= spent]
        if better:
            yield f"The classical solver ({'; '.join(better)}) is more accurate and no slower: do not use this operator here."
        else:
            yield "No classical run on these grids was both more accurate and as fast as the operator."
        for name, (error, took) in solvers.items():
            yield f"{name}: relative L2 {quantity(error)} against {quantity(mine)}, in {quantity(took / spent)} times the time."
    refined = numbers["super-resolve"].get("methods")
    if refined:
        ratio = refined["interpolated"]["relative_l2"] / refined["refined"]["relative_l2"]
        yield (
            f"On {numbers['super-resolve']['cells']} cells the refiner's error is {quantity(refined['refined']['relative_l2'])}, "
            f"interpolation's {quantity(refined['interpolated']['relative_l2'])} ({quantity(ratio)} times as large)."
        )
    if numbers["control"]:
        objective, predicted = numbers["control"]["objective"], numbers["control"]["predicted"]
        yield (
            f"Control: the solver finds {quantity(objective['operator'])} for the operator's force, which itself predicted "
            f"{quantity(predicted)}; the adjoint method reaches {quantity(objective['adjoint optimum'])}, no force "
            f"{quantity(objective['none'])}."
        )


def _tables(numbers: Mapping, seconds: Mapping) -> Iterator[dict]:
    for step, title in (("operate", "Against the truth"), ("super-resolve", "On the finer grid")):
        scores = numbers[step].get("methods") or {}
        if not scores:
            continue
        paint, is_timed = method_colours(list(scores)), step == "operate"
        rows = [
            {
                "name": name,
                "colour": paint[name],
                "cells": [{"value": values.get(key)} for key, _ in QUALITY] + [{"value": seconds.get(name)}] * is_timed,
            }
            for name, values in scores.items()
        ]
        columns = ["method", *(heading for _, heading in QUALITY), *["time (s)"] * is_timed]
        yield {"title": title, "columns": columns, "rows": rows, "note": NOTE, "is_folded": False}
    ensemble = numbers["operate"].get("ensemble") or {}
    if ensemble:
        row = {"name": "ensemble", "colour": "", "cells": [{"value": ensemble.get(key)} for key, _ in ENSEMBLE]}
        note = "Spread over skill far below 1: too sure. CRPS in units of the fields' root mean square."
        columns = ["", *(heading for _, heading in ENSEMBLE)]
        yield {"title": "Ensemble", "columns": columns, "rows": [row], "note": note, "is_folded": False}
    objective = numbers["control"].get("objective") or {}
    if objective:
        rows = [{"name": name, "colour": "", "cells": [{"value": value}]} for name, value in objective.items()]
        weight = quantity(numbers["control"]["energy_weight"])
        note = f"∫|u(T) - target|² dx + {weight} ∫∫f² dx dt, by the solver, mean. As made: the force behind the target."
        yield {"title": "Control", "columns": ["force", "objective"], "rows": rows, "note": note, "is_folded": False}
