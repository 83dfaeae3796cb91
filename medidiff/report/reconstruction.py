"""The page of one reconstruction: pictures of every method, differences, spread, metrics, and how far the data support them."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from medidiff.errors import DataError
from medidiff.io.atomic import write_text
from medidiff.io.maps import Maps, read_maps
from medidiff.io.nifti import read_nifti
from medidiff.io.volume import Volume
from medidiff.report import figures
from medidiff.report.history import attempts_of, steps_of
from medidiff.report.rendering import render
from medidiff.report.slices import difference_scale, grey_scale, slices_figure, spread_scale
from medidiff.report.study import Study, number
from medidiff.report.wording import quantity

STEPS = ("simulate", "acquire", "reference", "reconstruct", "series", "compare")
QUALITY = (
    ("psnr_db", "PSNR (dB)"),
    ("ssim_axial", "SSIM axial"),
    ("ssim_coronal", "SSIM coronal"),
    ("ssim_sagittal", "SSIM sagittal"),
    ("nmse", "NMSE"),
    ("mae_hu", "mean error (HU)"),
    ("bias_hu", "bias (HU)"),
    ("tvz_ratio", "roughness along z"),
)
TRUST = (
    ("heldout", "held-out score"),
    ("chi2", "chi-square"),
    ("residual", "residual"),
    ("nullspace", "undetermined share"),
    ("error_over_spread", "error / spread"),
    ("coverage", "coverage"),
)
COST = (("network_calls", "network calls per slice"),)
NOTES = {
    "Against the reference": "PSNR and SSIM with the width of the window (CT) or the largest value of the reference (MRI); "
    "nothing is clipped. Roughness along z: change between slices over the reference's; 1 is right, above jitters, below flat.",
    "Trust": "Without the reference. Held-out: relative error of predicting views or lines that were hidden, lower is better. "
    "Chi-square: squared residual over the noise; 1 is right, far below fits the noise, above contradicts the data. Undetermined "
    "share: part of the volume that no measurement determines, so that method or prior filled it in.",
}


def is_reconstruction(study: Study) -> bool:
    """Whether a study is a reconstruction, by its records and attempts."""
    return any(step in STEPS for step, _ in study.records) or any(attempt.step in STEPS for attempt in study.attempts)


def write_reconstruction_page(study: Study, out: Path) -> Path:
    """The page of a study's reconstructions, from whatever its files hold; figures lie beside it."""
    notes: list[str] = []
    kind = _kind(study)
    volumes = _read(study, "reconstruct", notes)
    differences = _read(study, "compare", notes)
    parts = _pictures(study, kind, volumes, differences, notes)
    pictures = [figures.entry(slices_figure(shown, shades), Path(out), name, text) for name, shown, shades, text in parts]
    page = render(
        "reconstruction.html",
        study=study,
        notes=notes,
        tiles=list(_tiles(study)),
        pictures=pictures,
        statements=list(_statements(study)),
        tables=list(_tables(study)),
        facts=list((study.numbers("simulate") or study.numbers("acquire")).items()),
        steps=steps_of(study),
        attempts=attempts_of(study),
    )
    write_text(out, page)
    return Path(out)


def _kind(study: Study) -> str:
    facts = study.numbers("simulate") or study.numbers("acquire")
    return "mr" if "coils" in facts else "ct"


def _read(study: Study, step: str, notes: list[str]) -> dict[str, Volume]:
    """The volume of each method that has one, in the order in which methods came."""
    found = {}
    for method in study.methods:
        path = study.folder / step / f"{method}.nii.gz"
        if (step, method) in study.records and path.is_file():
            try:
                found[method] = read_nifti(path)
            except DataError as error:
                notes.append(str(error).replace(str(path), f"{step}/{path.name}"))
    return found


def _pictures(study: Study, kind: str, volumes: Mapping, differences: Mapping, notes: list[str]) -> Iterator[tuple]:
    if not volumes:
        return
    compared = next((method for method in volumes if method in differences), None)
    reference = {}
    if compared is not None:
        truth = volumes[compared].array - differences[compared].array
        reference = {"reference": volumes[compared].with_array(truth)}
    grey = grey_scale(kind, reference or volumes)
    yield (
        "planes",
        reference | volumes,
        grey,
        f"Every method through the middle of the volume, {grey.low:g} to {quantity(grey.high)}{' HU' if kind == 'ct' else ''}.",
    )
    if differences:
        shades = difference_scale(kind, grey)
        yield "differences", differences, shades, "Volume minus reference, on one fixed scale: red too high, blue too low."
    unit = "HU" if kind == "ct" else "magnitude"
    maps = _maps(study, volumes, notes)
    spreads = {method: found.volumes["spread"] for method, found in maps.items() if "spread" in found.volumes}
    if spreads:
        shades = spread_scale(kind, grey, label=f"sample spread ({unit})")
        text = "Standard deviation over the samples of each method; alone it is no interval: errors are often larger."
        yield "spread", spreads, shades, text
    halves = {method: found.volumes["half_width"] for method, found in maps.items() if "half_width" in found.volumes}
    if halves:
        level = next(maps[method].facts["level"] for method in halves)
        text = f"Half of the interval that shall hold the truth in {100 * level:g} % of the voxels, by volumes of known truth."
        yield "interval", halves, spread_scale(kind, grey, label=f"half width ({unit})"), text


def _maps(study: Study, volumes: Mapping[str, Volume], notes: list[str]) -> dict[str, Maps]:
    """The maps of each method that has a readable file of them."""
    found = {}
    for method in volumes:
        path = study.folder / "reconstruct" / f"{method}.h5"
        if path.is_file():
            try:
                found[method] = read_maps(path)
            except DataError as error:
                notes.append(str(error))
    return found


def _tiles(study: Study) -> Iterator[dict]:
    facts = study.numbers("simulate") or study.numbers("acquire")
    for key, name in (("views", "views"), ("acceleration", "times fewer samples"), ("coils", "coils")):
        if facts.get(key) is not None:
            yield {"name": name, "value": quantity(facts[key])}
    for key, name, choose in (("psnr_db", "highest PSNR (dB)", max), ("heldout", "lowest held-out score", min)):
        values = {method: values[key] for method in study.methods if key in (values := study.measures(method))}
        if values:
            best = choose(values, key=values.get)
            yield {"name": f"{name}, {best}", "value": quantity(values[best])}
    if study.records or study.attempts:
        yield {"name": "warnings", "value": len(study.warnings)}


def _statements(study: Study) -> Iterator[str]:
    facts = study.numbers("simulate") or study.numbers("acquire")
    if facts.get("simulated"):
        finer = "on finer pixels than the reconstruction has, so that no solver inverts its own discretisation"
        yield f"The measurement is simulated, {'on the grid of the reconstruction' if facts.get('inverse_crime') else finer}."
    auto = study.numbers("reconstruct", "auto")
    if auto.get("chosen"):
        scores = {name.removeprefix("heldout_"): auto[name] for name in auto if name.startswith("heldout_")}
        told = ", ".join(f"{name} {quantity(score)}" for name, score in scores.items()) or "there was no other candidate"
        gain = number(auto.get("prior_gain"))
        more = "" if gain is None else f" Beyond the noise, the prior predicts {quantity(gain)} times as well as total variation."
        yield f"auto chose {auto['chosen']} by the prediction of hidden measurements ({told}; lower is better).{more}"
    for method in study.methods:
        chi2 = number(study.numbers("reconstruct", method).get("chi2"))
        if chi2 is not None and not 0.8 <= chi2 <= 1.2:
            word = "fits the noise" if chi2 < 0.8 else "does not explain the data within their noise"
            yield f"{method}: chi-square {quantity(chi2)}, expected 1: it {word}."


def _tables(study: Study) -> Iterator[dict]:
    measures = {method: study.measures(method) for method in study.methods}
    for title, columns in (("Against the reference", QUALITY), ("Trust", (*TRUST, *COST))):
        known = [(key, heading) for key, heading in columns if any(key in values for values in measures.values())]
        if not known:
            continue
        headings = ["method", *(heading for _, heading in known)]
        rows = [
            {
                "name": method,
                "colour": "",
                "cells": [_cell(values, key) for key, _ in known] + _seconds(study, method, title),
            }
            for method, values in measures.items()
            if values
        ]
        headings += ["seconds"] if title == "Trust" else []
        yield {"title": title, "columns": headings, "rows": rows, "note": NOTES[title], "is_folded": False}
    told = {key for key, _ in (*QUALITY, *TRUST, *COST)}
    more = list(dict.fromkeys(key for values in measures.values() for key in values if key not in told))
    rows = [{"name": key, "colour": "", "cells": [{"value": measures[method].get(key)} for method in measures]} for key in more]
    if rows:
        columns = ["number", *measures]
        yield {"title": f"All {len(rows)} other numbers", "columns": columns, "rows": rows, "note": "", "is_folded": True}


def _cell(values: Mapping[str, float], key: str) -> dict[str, Any]:
    value = values.get(key)
    return {"value": int(value) if key == "network_calls" and value is not None else value}


def _seconds(study: Study, method: str, title: str) -> list[dict[str, Any]]:
    """How long the solver took, which is of the run and not of the result."""
    if title != "Trust":
        return []
    run = study.records.get(("reconstruct", method), {}).get("run") or {}
    seconds = number(run.get("seconds_solver")) or number(run.get("seconds"))
    return [{"value": None if seconds is None or not math.isfinite(seconds) else seconds}]
