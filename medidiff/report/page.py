"""The page of one study: what went in, what was done, pictures, numbers, warnings, how to repeat, what went wrong."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from medidiff.io.atomic import write_text
from medidiff.io.volume import Volume
from medidiff.report import figures
from medidiff.report.chromatogram import is_chromatogram, write_chromatogram_page
from medidiff.report.dehazing import is_dehazing, write_dehazing_page
from medidiff.report.doubt import doubt_figure, read_doubt, verdicts
from medidiff.report.history import attempts_of, steps_of
from medidiff.report.operators import is_system, write_system_page
from medidiff.report.reconstruction import is_reconstruction, write_reconstruction_page
from medidiff.report.rendering import render
from medidiff.report.scene import TRUTH, Scene, cubic_grid, read_scene
from medidiff.report.study import Study, journals_of, read_study, record_paths
from medidiff.report.viewer import BOTH_COLOUR, METHOD_COLOUR, VOXELS, write_viewer
from medidiff.report.wording import leaders, ordered, quantity

SIDES = "Radiological view: the patient's right is on the left; in the sagittal plane the front is on the left."
UNITS = {"CT": "HU", "PET": "SUVbw"}


def write_study_page(results: Path, logs: Path, name: str, out: Path, *, rejected: str = "") -> Path:
    """The page of one study, from whatever its files hold; its figures and its viewer lie beside it.

    results    folder of `{study}/convert`, `{study}/segment`, `{study}/evaluate`
    logs       folder of `{step}/{study}[_{method}].jsonl`
    name       of the study
    out        the page; figures are `{stem}.planes.png` and so on
    rejected   why the study table left the study out; empty when it did not
    """
    out = Path(out)
    study = read_study(results, journals_of(logs, name), name, rejected=rejected)
    if is_chromatogram(study):
        return write_chromatogram_page(study, out)
    if is_system(study):
        return write_system_page(study, out)
    if is_reconstruction(study):
        return write_reconstruction_page(study, out)
    if is_dehazing(study):
        return write_dehazing_page(study, out)
    scene = read_scene(study)
    page = render(
        "page.html",
        study=study,
        notes=scene.notes,
        tiles=list(_tiles(study, scene)),
        verdicts=verdicts(study),
        pictures=[*_pictures(scene, out), *_doubts(study, scene, out)],
        legend=[(mask, colour) for mask, colour in figures.colours(scene.masks).items() if mask in scene.masks],
        viewer=_viewer(study, scene, out),
        numbers=_numbers(study, scene),
        volumes=[_volume(volume_name, volume) for volume_name, volume in scene.images.items()],
        facts=[(step, rows) for step in ("convert", "truth") if (rows := _facts(study.numbers(step)))],
        steps=steps_of(study),
        attempts=attempts_of(study),
    )
    write_text(out, page)
    return out


def is_current(page: Path, results: Path, logs: Path, name: str) -> bool:
    """Whether the page is there and younger than every record and journal of its study."""
    if not page.is_file():
        return False
    told = [*record_paths(results, name), *(path for found in journals_of(logs, name).values() for _, _, path in found)]
    return bool(told) and all(path.stat().st_mtime_ns < page.stat().st_mtime_ns for path in told)


def _tiles(study: Study, scene: Scene) -> Iterator[dict]:
    dice = {method: values["dice"] for method in study.methods if "dice" in (values := study.measures(method))}
    if dice:
        best = max(dice, key=dice.get)
        yield {"name": f"best Dice, {best}", "value": quantity(dice[best])}
    if TRUTH in scene.masks:
        truth = scene.masks[TRUTH]
        yield {"name": "volume of the truth", "value": f"{quantity(float(np.sum(truth.array > 0) * truth.grid.voxel_ml))} ml"}
    if "PET" in scene.images:
        yield {"name": "highest SUV", "value": quantity(float(scene.images["PET"].array.max()))}
    if study.methods:
        yield {"name": "methods", "value": len(study.methods)}
    if study.records or study.attempts:
        yield {"name": "warnings", "value": len(study.warnings) + len(scene.notes)}
        yield {"name": "attempts", "value": len(study.attempts)}


def _pictures(scene: Scene, out: Path) -> Iterator[dict]:
    if scene.images:
        low, high = figures.WINDOW_HU
        shown = [f"CT in grey ({low:g} to {high:g} HU)"] if "CT" in scene.images else []
        shown += ["PET in colour (SUVbw)"] if "PET" in scene.images else []
        where = "lesion" if any(mask.array.any() for mask in scene.masks.values()) else "field of view"
        text = f"{', '.join(shown)}, through the middle of the {where}. {SIDES}"
        yield figures.entry(figures.planes_figure(scene), out, "planes", text)
    if scene.images and scene.masks:
        grey = "CT" if "CT" in scene.images else "PET"
        text = f"The same planes from near, over the {grey}, with every contour."
        yield figures.entry(figures.lesion_figure(scene), out, "lesion", text)
    if "PET" in scene.images:
        text = "Highest SUV along each line of sight, from the front and from the side, with the outline of every mask."
        yield figures.entry(figures.projection_figure(scene), out, "projection", text)


def _doubts(study: Study, scene: Scene, out: Path) -> Iterator[dict]:
    """Probability and entropy of every method that has them."""
    for method in study.methods:
        maps = read_doubt(study, method, scene.notes) if scene.images else {}
        if maps:
            truth = ", the truth in green" if TRUTH in scene.masks else ""
            text = f"{method}: {' and '.join(maps)} from near, the mask in blue{truth}."
            yield figures.entry(doubt_figure(maps, scene, method=method), out, f"doubt.{method}", text)


def _viewer(study: Study, scene: Scene, out: Path) -> dict | None:
    if not scene.images:
        return None
    method = _shown_method(study, scene)
    path = out.with_name(f"{out.stem}.viewer.html")
    edge_mm = write_viewer(scene, method, path)
    finest = min(scene.reference.spacing_mm)
    coarser = f", sampled down from {finest:.3g} mm for the browser" if edge_mm > finest * 1.001 else ""
    colours = {f"{TRUTH} only": figures.TRUTH_COLOUR, f"{method} only": METHOD_COLOUR, "both": BOTH_COLOUR}
    if TRUTH not in scene.masks or not method:
        colours = {TRUTH: figures.TRUTH_COLOUR} if TRUTH in scene.masks else {method: METHOD_COLOUR} if method else {}
    nx, ny, nz = cubic_grid(scene.reference, voxels=VOXELS).shape
    return {
        "file": path.name,
        "legend": list(colours.items()),
        "shape": f"{ny + 2 * nx} / {round(1.25 * max(ny, nz))}",
        "caption": f"Click to move; positions are RAS millimetres, voxels {edge_mm:.3g} mm{coarser}. R and L name the patient's"
        " sides; here the sagittal plane has the front on the right.",
    }


def _shown_method(study: Study, scene: Scene) -> str:
    """The method with the highest Dice, else the first; "" where there is no mask."""
    methods = [name for name in scene.masks if name != TRUTH]
    return max(methods, key=lambda name: study.measures(name).get("dice", -1.0), default="")


def _numbers(study: Study, scene: Scene) -> dict:
    paint = figures.colours(scene.masks)
    rows = [
        {"method": method, "colour": paint.get(method, "transparent"), "cells": values}
        for method in study.methods
        if (values := study.measures(method))
    ]
    names = ordered(name for row in rows for name in row["cells"])
    columns = leaders(names)[:7]
    return {"rows": rows, "columns": columns, "more": [name for name in names if name not in columns]}


def _volume(name: str, volume: Volume) -> dict:
    low, high = float(volume.array.min()), float(volume.array.max())
    return {
        "name": name,
        "shape": volume.grid.shape,
        "spacing": volume.grid.spacing_mm,
        "size": [float(n * d) for n, d in zip(volume.grid.shape, volume.grid.spacing_mm)],
        "orientation": volume.grid.orientation,
        "span": f"{quantity(low)} to {quantity(high)} {UNITS[name]}",
    }


def _facts(numbers: dict) -> list[tuple[str, object]]:
    """What the record says beyond the table of volumes and the list of warnings."""
    told = ("shape", "spacing_mm", "orientation", "warnings", "notes")
    return [(name, value) for name, value in numbers.items() if name.split(".")[-1] not in told and value not in (None, "", [])]
