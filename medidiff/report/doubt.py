"""What a network says of its own mask: the traffic light with its reasons, and pictures of probability and doubt."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from medidiff.errors import DataError
from medidiff.io.nifti import read_nifti
from medidiff.io.volume import Volume
from medidiff.report.figures import BACKGROUND, INK, METHOD_COLOURS, PIXELS, TRUTH_COLOUR, WIDTH_IN, colour_bar, frame, scale_bar
from medidiff.report.scene import PLANES, TRUTH, Scene, extent_mm, picture, plane_grid
from medidiff.report.study import Study, number
from medidiff.report.wording import quantity

SHOWN = {"probability": ("probability", 0.0, 1.0), "entropy": ("entropy (nats)", 0.0, math.log(2))}
MEANING = {
    "green": "nothing speaks against this mask",
    "yellow": "look at the maps before you use this mask",
    "red": "do not use this mask without drawing it yourself",
}


@dataclass(frozen=True)
class Verdict:
    """The light of one method, and the intervals of its volume."""

    method: str
    colour: str
    meaning: str
    reasons: tuple[str, ...]
    rows: tuple[tuple[str, str], ...]  # volume and its intervals


def verdicts(study: Study) -> list[Verdict]:
    """One for each method that has a light."""
    found = []
    for method in study.methods:
        numbers = study.numbers("segment", method)
        colour = numbers.get("light")
        if colour in MEANING:
            reasons = numbers.get("light_reasons") or ()
            found.append(Verdict(method, colour, MEANING[colour], tuple(map(str, reasons)), tuple(_volumes(numbers))))
    return found


def read_doubt(study: Study, method: str, notes: list[str]) -> dict[str, Volume]:
    """The maps of a method that exist; one that cannot be read becomes a note."""
    maps = {}
    for name in SHOWN:
        path = study.folder / "segment" / f"{method}.{name}.nii.gz"
        try:
            if path.is_file():
                maps[name] = read_nifti(path)
        except DataError as error:
            notes.append(str(error).replace(str(path), path.relative_to(study.folder).as_posix()))
    return maps


def doubt_figure(maps: Mapping[str, Volume], scene: Scene, *, method: str) -> Figure:
    """A row for each map, near the lesion in three planes, with the outline of the mask and of the truth."""
    box = scene.lesion_box()
    spacing = float(np.ptp(box, axis=0).max()) / PIXELS
    height = (WIDTH_IN - 1.0) / 3 * len(maps) + 0.5
    figure = Figure(figsize=(WIDTH_IN, height), facecolor=BACKGROUND, layout="constrained")
    outlines = {TRUTH: TRUTH_COLOUR, method: METHOD_COLOURS[0]}
    for row, (name, volume) in zip(figure.subplots(len(maps), 3, squeeze=False), maps.items()):
        label, low, high = SHOWN[name]
        for ax, plane in zip(row, PLANES):
            grid = plane_grid(plane, scene.centre, box, spacing)
            extent = extent_mm(grid, plane)
            values = picture(volume, grid, plane=plane, fill=0.0)
            shown = ax.imshow(values, extent=extent, origin="lower", cmap="magma", vmin=low, vmax=high)
            for mask, colour in outlines.items():
                if mask in scene.masks:
                    inside = picture(scene.masks[mask], grid, plane=plane, fill=0.0)
                    if inside.min() < 0.5 <= inside.max():
                        ax.contour(inside, levels=[0.5], colors=[colour], linewidths=[1.2], extent=extent, origin="lower")
            frame(ax, plane, INK)
            scale_bar(ax, 20)
        colour_bar(figure, shown, row, label=label, extend="neither")
    return figure


def _volumes(numbers: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    if (volume := number(numbers.get("mtv_ml"))) is not None:
        yield "volume", f"{quantity(volume)} ml"
    for name, start in (("90 % of the drawn masks", "volume"), ("promised interval", "volume_promised")):
        low, high = (number(numbers.get(f"{start}_{end}_ml")) for end in ("low", "high"))
        if low is not None and high is not None:
            yield name, f"{quantity(low)} to {quantity(high)} ml"
    if (agreement := number(numbers.get("baseline_dice"))) is not None:
        yield "Dice with a watershed of the PET", quantity(agreement)
