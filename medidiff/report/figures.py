"""PNG figures of a study: planes through the lesion, the lesion from near, projections of the PET."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from medidiff.io.atomic import atomic_path
from medidiff.io.resample import resample_to
from medidiff.report.scene import OUTSIDE, PLANES, TRUTH, Scene, box_of, cubic_grid, extent_mm, picture, plane_grid

WINDOW_HU = (-160.0, 240.0)  # soft tissue
BACKGROUND, INK = "#0b0f14", "#c9d3dd"
TRUTH_COLOUR = "#3ddc84"
METHOD_COLOURS = ("#4cc9f0", "#ff9f1c", "#f15bb5", "#fee440", "#b794f6", "#ff6b6b", "#9be7c4", "#d4d4d4")
WIDTH_IN, DPI = 11.0, 110
BAR_IN = 1.0  # width that a colour bar takes
PIXELS = 480  # most along a side of a panel
PROJECTION_VOXELS = 2_000_000
ENDS = {"axial": "RLAP", "coronal": "RLSI", "sagittal": "APSI"}  # left, right, top, bottom of the panel


def colours(names: Iterable[str]) -> dict[str, str]:
    """The colour of each contour: the truth's, then one per method in the order given."""
    methods = [name for name in names if name != TRUTH]
    return {TRUTH: TRUTH_COLOUR} | {name: METHOD_COLOURS[i % len(METHOD_COLOURS)] for i, name in enumerate(methods)}


def planes_figure(scene: Scene) -> Figure:
    """Three planes through the scene's centre over the whole field of view: CT grey, PET in colour, contours."""
    box = box_of(scene.reference)
    size = box[1] - box[0]
    widths = [size[side] for side, _, _ in PLANES.values()]
    tallest = max(size[up] for _, up, _ in PLANES.values())
    height = (WIDTH_IN - BAR_IN) / sum(widths) * tallest
    figure = Figure(figsize=(WIDTH_IN, float(np.clip(height, 2.5, 9.0)) + 0.45), facecolor=BACKGROUND, layout="constrained")
    axes = figure.subplots(1, 3, width_ratios=widths)
    spacing = float(size.max()) / PIXELS
    for ax, plane in zip(axes, PLANES):
        mappable = _panel(ax, scene, plane, box, spacing)
        middle = sum(ax.get_ylim()) / 2
        ax.set_ylim(middle - tallest / 2, middle + tallest / 2)  # panels of one height, so that millimetres compare
        scale_bar(ax, 50 if size.max() < 400 else 100)
    if mappable is not None:
        colour_bar(figure, mappable, axes)
    return figure


def lesion_figure(scene: Scene) -> Figure:
    """The same planes from near: CT (else PET) in grey, contours, and the legend that names them."""
    box = scene.lesion_box()
    spacing = float(np.ptp(box, axis=0).max()) / PIXELS
    figure = Figure(figsize=(WIDTH_IN, WIDTH_IN / 3 + 0.75), facecolor=BACKGROUND, layout="constrained")
    for ax, plane in zip(figure.subplots(1, 3), PLANES):
        _panel(ax, scene, plane, box, spacing, overlay=False)
        scale_bar(ax, 20)
    paint = colours(scene.masks)
    handles = [Line2D([], [], color=paint[name], lw=2) for name in scene.masks]
    if handles:
        legend = figure.legend(handles, list(scene.masks), loc="outside lower center", ncols=6, frameon=False, labelcolor=INK)
        for text in legend.get_texts():
            text.set_parse_math(False)
    return figure


def projection_figure(scene: Scene) -> Figure:
    """Largest SUV along each line of sight, from the front and from the side, with the outline of every mask."""
    grid = cubic_grid(scene.images["PET"].grid, voxels=PROJECTION_VOXELS)
    pet = resample_to(scene.images["PET"], grid, fill=0.0).array
    masks = {n: resample_to(mask, grid, fill=0.0, antialias=False).array for n, mask in scene.masks.items()}
    size = np.ptp(grid.corners(), axis=0)
    height = float(np.clip(WIDTH_IN * 0.8 / (size[0] + size[1]) * size[2], 2.5, 8.0))
    figure = Figure(figsize=(WIDTH_IN, height + 0.4), facecolor=BACKGROUND, layout="constrained")
    axes = figure.subplots(1, 2, width_ratios=size[:2])
    paint = colours(masks)
    for ax, plane in zip(axes, ("coronal", "sagittal")):
        extent = extent_mm(grid, plane)
        shown = ax.imshow(_project(pet, plane), extent=extent, origin="lower", cmap="gray_r", vmin=0, vmax=scene.suv_limit)
        for name, mask in masks.items():
            _contour(ax, _project(mask, plane), extent, paint[name], 1.2)
        frame(ax, plane, "#1c2733")
        scale_bar(ax, 50 if size.max() < 400 else 100, "#1c2733")
    colour_bar(figure, shown, axes)
    return figure


def save(figure: Figure, path: Path) -> Path:
    """The figure as PNG under the final name; the same bytes for the same figure."""
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=DPI, facecolor=figure.get_facecolor(), metadata={"Software": None})
    return path


def entry(figure: Figure, out: Path, kind: str, caption: str) -> dict:
    """What a page says of a figure, which is saved beside the page `out` as STUDY.KIND.png; sizes in pixels."""
    path = save(figure, out.with_name(f"{out.stem}.{kind}.png"))
    width, height = (figure.get_size_inches() * DPI).astype(int).tolist()
    return {"file": path.name, "caption": caption, "alt": caption, "width": width, "height": height}


def _panel(ax: Axes, scene: Scene, plane: str, box: np.ndarray, spacing_mm: float, *, overlay: bool = True):
    grid = plane_grid(plane, scene.centre, box, spacing_mm)
    extent = extent_mm(grid, plane)
    layers = {name: picture(volume, grid, plane=plane, fill=OUTSIDE[name]) for name, volume in scene.images.items()}
    ax.set_facecolor("black")
    mappable = None
    if "CT" in layers:
        low, high = WINDOW_HU
        ax.imshow(layers["CT"], extent=extent, origin="lower", cmap="gray", vmin=low, vmax=high)
    if "PET" in layers and (overlay or "CT" not in layers):
        limit = scene.suv_limit
        alpha = np.clip(1.5 * layers["PET"] / limit - 0.2, 0, 0.8) if "CT" in layers else None
        mappable = ax.imshow(layers["PET"], extent=extent, origin="lower", cmap="inferno", vmin=0, vmax=limit, alpha=alpha)
    paint = colours(scene.masks)
    for name, mask in scene.masks.items():
        _contour(ax, picture(mask, grid, plane=plane, fill=0.0), extent, paint[name], 0.9 if overlay else 1.6)
    ax.set_xlim(extent[:2])
    ax.set_ylim(extent[2:])
    frame(ax, plane, INK)
    return mappable


def _contour(ax: Axes, values: np.ndarray, extent: tuple[float, ...], colour: str, width: float) -> None:
    if min(values.shape) > 1 and values.min() < 0.5 <= values.max():
        ax.contour(values, levels=[0.5], colors=[colour], linewidths=[width], extent=extent, origin="lower")


def _project(values: np.ndarray, plane: str) -> np.ndarray:
    side, up, across = PLANES[plane]
    return values.transpose(across, up, side).max(axis=0)


def frame(ax: Axes, plane: str, ink: str) -> None:
    """Directions and title of a plane in the radiological view, on axes in RAS millimetres."""
    # radiological: the patient's right, and the front in the sagittal plane, on the left of the picture
    ax.invert_xaxis()
    ax.set_aspect("equal", anchor="N")
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_color("#2a3542")
    ax.set_title(plane, color=INK, fontsize=10, loc="left")
    for letter, (x, y) in zip(ENDS[plane], ((0.02, 0.5), (0.98, 0.5), (0.5, 0.98), (0.5, 0.02))):
        sides = {"ha": {0.02: "left", 0.98: "right"}.get(x, "center"), "va": {0.98: "top", 0.02: "bottom"}.get(y, "center")}
        text = ax.text(x, y, letter, transform=ax.transAxes, color=ink, fontsize=10, fontweight="bold", **sides)
        text.set_path_effects([withStroke(linewidth=2, foreground="black" if ink == INK else "white")])


def scale_bar(ax: Axes, length_mm: float, ink: str = INK) -> None:
    """A bar of this length in the lower corner of axes in millimetres."""
    right, left = sorted(ax.get_xlim())
    bottom, top = ax.get_ylim()
    x, y = right + (left - right) * 0.04, bottom + (top - bottom) * 0.06
    ax.plot([x, x + length_mm], [y, y], color=ink, lw=2, solid_capstyle="butt")
    ax.text(x + length_mm / 2, y + (top - bottom) * 0.015, f"{length_mm:g} mm", color=ink, fontsize=8, ha="center", va="bottom")


def colour_bar(figure: Figure, mappable, axes: Mapping, *, label: str = "SUVbw (g/ml)", extend: str = "max") -> None:
    """The scale of colours beside all axes."""
    bar = figure.colorbar(mappable, ax=axes, fraction=0.025, pad=0.01, extend=extend)
    bar.set_label(label, color=INK, fontsize=9)
    bar.ax.tick_params(colors=INK, labelsize=8)
    bar.outline.set_edgecolor("#2a3542")
