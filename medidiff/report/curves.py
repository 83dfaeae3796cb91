"""PNG figures of chromatograms: measured and fitted curves with residuals, every peak from near, programmed elution."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from medidiff.io.chromatogram.storage import Curves
from medidiff.report.figures import BACKGROUND, INK, METHOD_COLOURS, WIDTH_IN

MEASURED, FITTED, QUIET = "#c9d3dd", "#ff6b6b", "#7b8794"
PANELS = 12  # most peaks from near
HALF_WIDTHS = 2.2  # of a peak's width at half height, on either side


def colours(names: Sequence[str]) -> dict[str, str]:
    """The colour of each component."""
    return {name: METHOD_COLOURS[i % len(METHOD_COLOURS)] for i, name in enumerate(names)}


def fit_figure(curves: Curves, *, noise: float) -> Figure:
    """Measured signal, fitted curve and its components, and below the residual in standard deviations of the noise."""
    figure = Figure(figsize=(WIDTH_IN, 5.6), facecolor=BACKGROUND, layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    _measured(top, curves)
    baseline = curves.values["baseline"]
    for name, component, colour in zip(curves.names, curves.values["components"], colours(curves.names).values()):
        top.fill_between(curves.times, baseline, baseline + component, color=colour, alpha=0.25, lw=0)
        peak = int(np.argmax(component))
        label = {"xytext": (0, 6), "textcoords": "offset points", "ha": "center", "color": INK, "fontsize": 8}
        top.annotate(name, (curves.times[peak], baseline[peak] + component[peak]), **label).set_parse_math(False)
    top.margins(y=0.12)
    top.legend(loc="upper right", frameon=False, labelcolor=INK, fontsize=8)
    bottom.plot(curves.times, curves.values["residual"] / noise, color=MEASURED, lw=0.6)
    for level, style in ((0, "-"), (-2, ":"), (2, ":")):
        bottom.axhline(level, color=QUIET, lw=0.8, ls=style)
    bottom.set_ylabel("residual / noise", color=INK, fontsize=9)
    bottom.set_xlabel("time (s)", color=INK, fontsize=9)
    _dress(figure)
    return figure


def details_figure(curves: Curves, widths: Mapping[str, float]) -> Figure:
    """Every peak from near: samples, fitted curve, and each component alone.

    widths   at half height, s, by component
    """
    shown = curves.names[:PANELS]
    columns = min(4, len(shown))
    rows = math.ceil(len(shown) / columns)
    figure = Figure(figsize=(WIDTH_IN, 2.5 * rows), facecolor=BACKGROUND, layout="constrained")
    axes = np.ravel(figure.subplots(rows, columns, squeeze=False))
    baseline, paint = curves.values["baseline"], colours(curves.names)
    for ax, name in zip(axes, shown):
        centre = curves.times[int(np.argmax(curves.values["components"][curves.names.index(name)]))]
        near = np.abs(curves.times - centre) <= HALF_WIDTHS * widths[name]
        for other, component in zip(curves.names, curves.values["components"]):
            if component[near].max(initial=0.0) > 0.01 * component.max():
                ax.plot(curves.times[near], (baseline + component)[near], color=paint[other], lw=1)
        ax.plot(curves.times[near], curves.values["signal"][near], ".", color=MEASURED, ms=3)
        ax.plot(curves.times[near], curves.values["curve"][near], color=FITTED, lw=1.2)
        ax.set_title(name, color=INK, fontsize=9, loc="left").set_parse_math(False)
        ax.set_xlabel("time (s)", color=INK, fontsize=8)
    for ax in axes[len(shown) :]:
        ax.set_axis_off()
    _dress(figure)
    return figure


def programme_figure(curves: Curves, solutes: Mapping[str, Mapping[str, float]]) -> Figure:
    """Measured trace and predicted peaks over time; below, how far every prediction is from the measurement."""
    figure = Figure(figsize=(WIDTH_IN, 5.6), facecolor=BACKGROUND, layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1.3))
    predicted = curves.values["predicted"]
    if "signal" in curves.values:
        top.plot(curves.times, curves.values["signal"], color=MEASURED, lw=0.7, label="measured")
    top.plot(curves.times, predicted, color=FITTED, lw=0.9, label="predicted, with corrections")
    top.set_ylim(-0.05 * predicted.max(), 1.3 * predicted.max())  # the solvent's peak is far higher
    top.legend(loc="upper right", frameon=False, labelcolor=INK, fontsize=8, ncols=2)
    top.set_ylabel("signal", color=INK, fontsize=9)
    names, rows = list(solutes), list(solutes.values())
    times = np.array([row["corrected_s"] for row in rows], dtype=float)
    heights = np.interp(times, curves.times, predicted)
    for name, time, height in zip(names, times, heights):
        label = {"xytext": (0, 4), "textcoords": "offset points", "ha": "center", "color": INK, "fontsize": 7}
        top.annotate(name, (time, height), **label).set_parse_math(False)
    measured = np.array([np.nan if row["measured_s"] is None else row["measured_s"] for row in rows], dtype=float)
    for key, colour, label in (
        ("predicted_s", METHOD_COLOURS[0], "published constants alone"),
        ("corrected_s", FITTED, "with two corrections fitted on other programmes"),
    ):
        miss = np.array([row[key] for row in rows], dtype=float) - measured
        bottom.plot(measured, miss, "o-", color=colour, ms=4, lw=0.8, label=label)
    bottom.axhline(0, color=QUIET, lw=0.8)
    bottom.legend(loc="best", frameon=False, labelcolor=INK, fontsize=8)
    bottom.set_ylabel("predicted − measured (s)", color=INK, fontsize=9)
    bottom.set_xlabel("time (s)", color=INK, fontsize=9)
    _dress(figure)
    return figure


def _measured(ax: Axes, curves: Curves) -> None:
    ax.plot(curves.times, curves.values["signal"], color=MEASURED, lw=0.8, label="measured")
    ax.plot(curves.times, curves.values["curve"], color=FITTED, lw=1.2, label="fitted")
    ax.plot(curves.times, curves.values["baseline"], color=QUIET, lw=0.8, ls="--", label="baseline")
    ax.set_ylabel(f"signal ({curves.facts.get('unit') or 'arbitrary'})", color=INK, fontsize=9).set_parse_math(False)


def _dress(figure: Figure) -> None:
    for ax in figure.axes:
        ax.set_facecolor(BACKGROUND)
        ax.tick_params(colors=INK, labelsize=8)
        ax.spines[:].set_color("#2a3542")
