"""PNG figures of a reconstruction: every method in three planes, its difference from the reference, and its spread."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from medidiff.io.volume import Volume
from medidiff.report.figures import BACKGROUND, INK, WIDTH_IN, colour_bar, frame, scale_bar
from medidiff.report.scene import PLANES, box_of, extent_mm, picture, plane_grid

PIXELS = 260  # most along a side of a panel
TALLEST_IN = 2.6  # of one row of panels


@dataclass(frozen=True)
class Shades:
    """How values become grey or colour."""

    low: float
    high: float
    label: str
    colours: str = "gray"
    extend: str = "neither"  # which ends hold values beyond the scale


def slices_figure(volumes: Mapping[str, Volume], shades: Shades) -> Figure:
    """One row for each volume, one column for each plane through the middle of the first.

    volumes   by name, all over the same box
    shades    the same for every panel, so that rows compare
    """
    first = next(iter(volumes.values()))
    box = box_of(first.grid)
    size = box[1] - box[0]
    widths = [size[side] for side, _, _ in PLANES.values()]
    row_in = min(TALLEST_IN, (WIDTH_IN - 1.6) / sum(widths) * max(size[up] for _, up, _ in PLANES.values()))
    figure = Figure(figsize=(WIDTH_IN, row_in * len(volumes) + 0.5), facecolor=BACKGROUND, layout="constrained")
    axes = figure.subplots(len(volumes), 3, width_ratios=widths, squeeze=False)
    spacing = float(size.max()) / PIXELS
    for row, (name, volume) in zip(axes, volumes.items()):
        for ax, plane in zip(row, PLANES):
            grid = plane_grid(plane, box.mean(axis=0), box, spacing)
            extent = extent_mm(grid, plane)
            values = picture(volume, grid, plane=plane, fill=shades.low)
            ax.set_facecolor("black")
            shown = ax.imshow(values, extent=extent, origin="lower", cmap=shades.colours, vmin=shades.low, vmax=shades.high)
            frame(ax, plane, INK)
            if row is not axes[0]:
                ax.set_title("", loc="left")
        row[0].set_ylabel(name, color=INK, fontsize=10).set_parse_math(False)
    is_light = shades.low < 0 and shades.colours != "gray"  # differences are white where there is none
    scale_bar(axes[-1][0], 20 if size.max() < 150 else 50, "#1c2733" if is_light else INK)
    colour_bar(figure, shown, axes, label=shades.label, extend=shades.extend)
    return figure


def grey_scale(kind: str, volumes: Mapping[str, Volume]) -> Shades:
    """CT from air to bone in HU; MRI from 0 to what 99.5 % of the first volume stay below."""
    if kind == "ct":
        return Shades(-1000.0, 500.0, "HU", extend="both")
    top = float(np.percentile(next(iter(volumes.values())).array, 99.5))
    return Shades(0.0, top or 1.0, "magnitude", extend="max")


def difference_scale(kind: str, grey: Shades) -> Shades:
    """CT: 200 HU each way, for every study; MRI: a fifth of the grey scale."""
    reach, label = (200.0, "HU") if kind == "ct" else (grey.high / 5, "magnitude")
    return Shades(-reach, reach, f"volume minus reference ({label})", "RdBu_r", "both")


def spread_scale(kind: str, grey: Shades, *, label: str) -> Shades:
    """From 0 to 100 HU, or to a tenth of the grey scale of MRI."""
    return Shades(0.0, 100.0 if kind == "ct" else grey.high / 10, label, "inferno", "max")
