"""The page of one ultrasound recording: before and after, the haze that was removed, the difference, the spread, and figures."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from medidiff.errors import DataError
from medidiff.io.atomic import write_text
from medidiff.io.ultrasound.zea import read_extras
from medidiff.report import figures
from medidiff.report.history import attempts_of, steps_of
from medidiff.report.rendering import render
from medidiff.report.study import Study, number
from medidiff.report.wording import quantity

STEPS = ("dehaze", "cine", "score")
FIGURES = (
    ("nmse_db", "tissue NMSE (dB)"),
    ("nmse_gain_db", "change by dehazing (dB)"),
    ("nmse_haze_db", "haze NMSE (dB)"),
    ("nmse_b_db", "NMSE in blood (dB)"),
    ("contrast_db", "contrast (dB)"),
    ("contrast_error_db", "contrast error (dB)"),
    ("level_mae_db", "mean error shown (dB)"),
    ("gcnr_before", "gCNR before"),
    ("gcnr", "gCNR after"),
    ("gcnr_challenge", "gCNR, 256 bins"),
    ("cnr_challenge", "CNR"),
    ("ks_tissue", "KS tissue"),
    ("ks_chamber", "KS blood"),
    ("ks_a", "KS tissue to truth"),
    ("ks_b", "KS blood to truth"),
)
SPEED = (
    ("network_calls", "network calls per frame"),
    ("removed_db", "removed energy (dB)"),
    ("mean_change_db", "mean change (dB)"),
)
NOTE = (
    "With a truth: NMSE of the complex signal, so phases count; negative change is better; a contrast error below 0 leaves haze, "
    "above 0 loses tissue. Without: contrast between the two regions that the configuration names. gCNR has rank bins unless it "
    "says otherwise; a ventricle painted black wins gCNR and CNR, so read them beside the pictures."
)
_PANELS = {
    "picture_before": "before",
    "picture_after": "after",
    "picture_haze": "removed haze",
    "difference": "after - before (levels)",
    "picture_spread": "spread over samples",
}
_TALLEST_IN, _WIDEST_IN = 3.4, 15.0


def is_dehazing(study: Study) -> bool:
    """Whether a study is an ultrasound recording, by its records and attempts."""
    return any(step in STEPS for step, _ in study.records) or any(attempt.step in STEPS for attempt in study.attempts)


def write_dehazing_page(study: Study, out: Path) -> Path:
    """The page of a dehazed recording, from whatever its files hold; figures lie beside it, clips beside the results."""
    notes: list[str] = []
    shown = {method: panels for method in study.methods if (panels := _panels(study, method, notes))}
    pictures = [*_figures(shown, Path(out)), *_clips(study, Path(out))]
    page = render(
        "dehazing.html",
        study=study,
        notes=notes,
        tiles=list(_tiles(study)),
        pictures=pictures,
        statements=list(_statements(study)),
        tables=list(_tables(study)),
        facts=list(_facts(study).items()),
        steps=steps_of(study),
        attempts=attempts_of(study),
    )
    write_text(out, page)
    return Path(out)


def _panels(study: Study, method: str, notes: list[str]) -> dict[str, np.ndarray]:
    """Pictures of the frame in the middle of the clip, and how much each pixel changed."""
    path = study.folder / "dehaze" / f"{method}.hdf5"
    if ("dehaze", method) not in study.records or not path.is_file():
        return {}
    try:
        found = read_extras(path, [name for name in _PANELS if name != "difference"])
    except DataError as error:
        notes.append(str(error))
        return {}
    panels = {name: values[len(values) // 2] for name, values in found.items()}
    if {"picture_before", "picture_after"} <= set(panels):
        panels["difference"] = panels["picture_after"].astype(np.int16) - panels["picture_before"]
    return {name: panels[name] for name in _PANELS if name in panels}


def _figures(shown: Mapping[str, Mapping[str, np.ndarray]], out: Path) -> Iterator[dict]:
    if not shown:
        return
    text = "The frame in the middle of the clip, one method in each row, every grey picture on one scale. "
    text += "Red or blue: brighter or darker than before. The removed haze must not look like tissue."
    yield figures.entry(panels_figure(shown), out, "panels", text)


def panels_figure(shown: Mapping[str, Mapping[str, np.ndarray]]) -> Figure:
    """One row for each method, one column for each picture; grey from black to white, differences white at 0."""
    columns = [name for name in _PANELS if any(name in panels for panels in shown.values())]
    rows, width = next(iter(next(iter(shown.values())).values())).shape
    panel_in = min(_WIDEST_IN / len(columns), _TALLEST_IN * width / rows)
    size = panel_in * len(columns), panel_in * rows / width * len(shown) + 0.5
    figure = Figure(figsize=size, facecolor=figures.BACKGROUND, layout="constrained")
    axes = figure.subplots(len(shown), len(columns), squeeze=False)
    reach = max((np.abs(panels["difference"]).max() for panels in shown.values() if "difference" in panels), default=1) or 1
    for name, ax in zip(columns, axes[0]):
        ax.set_title(_PANELS[name], color=figures.INK, fontsize=10, loc="left")
    for line, (method, panels) in zip(axes, shown.items()):
        for ax, name in zip(line, columns):
            ax.set_xticks([])
            ax.set_yticks([])
            ax.set_facecolor("black")
            if name in panels:
                limits = (-reach, reach, "RdBu_r") if name == "difference" else (0, 255, "gray")
                ax.imshow(panels[name], vmin=limits[0], vmax=limits[1], cmap=limits[2], interpolation="nearest")
        line[0].set_ylabel(method, color=figures.INK, fontsize=10).set_parse_math(False)
    return figure


def _clips(study: Study, out: Path) -> Iterator[dict]:
    for method in study.methods:
        path = study.folder / "cine" / f"{method}.gif"
        if ("cine", method) in study.records and path.is_file():
            with Image.open(path) as opened:
                width, height = opened.size
            text = f"{method}: before on the left, after on the right, at the rate of the recording."
            file = os.path.relpath(path, out.parent)
            yield {"file": file, "caption": text, "alt": text, "width": width, "height": height}


def _facts(study: Study) -> dict[str, Any]:
    """What every method found in the same recording."""
    first = next((numbers for method in study.methods if (numbers := study.numbers("dehaze", method))), {})
    names = ("domain", "frames", "samples", "frame_rate_hz", "pixel_mm", "white_amplitude")
    cone = [name for name in first if name.startswith("cone.")]
    return {name: first[name] for name in (*names, *cone) if first.get(name) is not None}


def _tiles(study: Study) -> Iterator[dict]:
    facts = _facts(study)
    for key in ("domain", "frames"):
        if key in facts:
            yield {"name": key, "value": quantity(facts[key])}
    for key, name, choose in (("nmse_db", "lowest tissue NMSE (dB)", min), ("gcnr", "highest gCNR", max)):
        values = {method: measures[key] for method in study.methods if key in (measures := study.measures(method))}
        if values:
            best = choose(values, key=values.get)
            yield {"name": f"{name}, {best}", "value": quantity(values[best])}
    if study.records or study.attempts:
        yield {"name": "warnings", "value": len(study.warnings)}


def _statements(study: Study) -> Iterator[str]:
    for method in study.methods:
        measures, numbers = study.measures(method), study.numbers("dehaze", method)
        gain = measures.get("nmse_gain_db")
        if gain is not None and gain > 0:
            yield f"{method}: the signal is {quantity(gain)} dB farther from the truth than the recording was."
        share = measures.get("removed_above_30_db_share")
        if share:
            yield f"{method}: in {100 * share:.2g} % of the samples what was removed is above −30 dB; look at it for lost tissue."
        if numbers.get("residual") is not None and number(numbers["residual"]) > 1e-3:
            yield f"{method}: tissue and haze do not add up to the recording: {quantity(numbers['residual'])} is in neither."
        if numbers.get("out_of_range"):
            yield f"{method}: the haze is unlike that of the model's training."
    if any(study.numbers("dehaze", method).get("domain") == "image" for method in study.methods):
        yield "The recording is a picture: haze adds to signals, not to decibels; what was removed is an estimate."


def _tables(study: Study) -> Iterator[dict]:
    measures = {method: values for method in study.methods if (values := study.measures(method))}
    for title, pairs, note in (("Figures", FIGURES, NOTE), ("What it took", SPEED, "")):
        known = [(key, heading) for key, heading in pairs if any(key in values for values in measures.values())]
        rows = [
            {"name": method, "colour": "", "cells": [_cell(values, key) for key, _ in known] + _times(study, method, title)}
            for method, values in measures.items()
        ]
        more = ["seconds per frame", "frames per second", "95 % latency (s)"] if title == "What it took" else []
        if rows and (known or more):
            columns = ["method", *(heading for _, heading in known), *more]
            yield {"title": title, "columns": columns, "rows": rows, "note": note, "is_folded": False}


def _cell(values: Mapping[str, float], key: str) -> dict[str, Any]:
    value = values.get(key)
    return {"value": int(value) if key == "network_calls" and value is not None else value}


def _times(study: Study, method: str, title: str) -> list[dict[str, Any]]:
    """Of the run and not of the result."""
    if title != "What it took":
        return []
    run = study.records.get(("dehaze", method), {}).get("run") or {}
    return [{"value": number(run.get(key))} for key in ("seconds_per_frame", "frames_per_second", "latency_p95_s")]
