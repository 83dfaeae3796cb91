"""PNG figures of a reconstruction: every method in three planes, its difference from the reference, and its spread."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from medidiff.io.volume import Volume
from medidiff.report.figures import BACKGROUND, INK, WIDTH_IN, colour_bar, frame, scale_bar
from medidiff.report.scene import PLANES, box_of, extent_mm, picture, plane_grid

PIXELS = 260  # most along a side of a panel
TALLEST_IN = 2.6  # of one row of panels
MOST_BESIDE = 4  # volumes in one row, where one plane shows each
THINNEST = 8  # times that the longer side of a panel may exceed its shorter one


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

    Planes that would be strips are left out; where one plane is left, the volumes stand side by side.
    """
    box = box_of(next(iter(volumes.values())).grid)
    size = box[1] - box[0]
    planes = planes_of(size)
    panels = [(name, plane) for name in volumes for plane in planes]
    columns = len(planes) if len(planes) > 1 else min(MOST_BESIDE, len(volumes))
    rows = -(-len(panels) // columns)
    widths = [size[PLANES[plane][0]] for plane in planes] if len(planes) > 1 else [size[PLANES[planes[0]][0]]] * columns
    row_in = min(TALLEST_IN, (WIDTH_IN - 1.6) / sum(widths) * max(size[PLANES[plane][1]] for plane in planes))
    figure = Figure(figsize=(WIDTH_IN, row_in * rows + 0.5), facecolor=BACKGROUND, layout="constrained")
    axes = figure.subplots(rows, columns, width_ratios=widths, squeeze=False)
    for ax in axes.flat[len(panels) :]:
        ax.remove()
    for place, (ax, (name, plane)) in enumerate(zip(axes.flat, panels)):
        shown = _panel(ax, volumes[name], plane, box, shades)
        if len(planes) == 1:
            ax.set_title(name, color=INK, fontsize=10, loc="left").set_parse_math(False)
        elif place % columns == 0:
            ax.set_ylabel(name, color=INK, fontsize=10).set_parse_math(False)
        if len(planes) > 1 and place >= columns:
            ax.set_title("", loc="left")
    is_light = shades.low < 0 and shades.colours != "gray"  # differences are white where there is none
    scale_bar(axes[-1][0], 20 if size.max() < 150 else 50, "#1c2733" if is_light else INK)
    colour_bar(figure, shown, list(axes.flat[: len(panels)]), label=shades.label, extend=shades.extend)
    return figure


def planes_of(size: np.ndarray) -> list[str]:
    """The planes of a box that are more than a strip; at least that of the largest area.

    size   (3,)   RAS millimetres
    """
    sides = {plane: (size[side], size[up]) for plane, (side, up, _) in PLANES.items()}
    return [plane for plane, each in sides.items() if min(each) >= size.max() / THINNEST] or [
        max(sides, key=lambda plane: sides[plane][0] * sides[plane][1])
    ]


def _panel(ax: Axes, volume: Volume, plane: str, box: np.ndarray, shades: Shades) -> AxesImage:
    """One volume cut along one plane through the middle of a box."""
    grid = plane_grid(plane, box.mean(axis=0), box, float((box[1] - box[0]).max()) / PIXELS)
    values = picture(volume, grid, plane=plane, fill=shades.low)
    ax.set_facecolor("black")
    extent = extent_mm(grid, plane)
    shown = ax.imshow(values, extent=extent, origin="lower", cmap=shades.colours, vmin=shades.low, vmax=shades.high)
    frame(ax, plane, INK)
    return shown


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
