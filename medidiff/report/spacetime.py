"""PNG figures of trajectories: over space and time, error over time, spectra, error against cost, and control."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from medidiff.io.pde.predictions import Predictions
from medidiff.metrics.pde import error_over_time
from medidiff.metrics.spectrum import energy_spectrum
from medidiff.report.figures import BACKGROUND, INK, METHOD_COLOURS, TRUTH_COLOUR, WIDTH_IN

SHOWN = 2  # trajectories over space and time
SIGNED, UNSIGNED = "RdBu_r", "magma"


def method_colours(names: Sequence[str]) -> dict[str, str]:
    """The colour of each method."""
    return {name: METHOD_COLOURS[i % len(METHOD_COLOURS)] for i, name in enumerate(names)}


def spacetime_figure(found: Predictions, shown: str) -> Figure:
    """Truth, one prediction, their difference and, where there is one, the half width of the interval, x right and t up.

    Of two axes of space the last frame, x right and y up.
    """
    truth, mine = (_image(np.asarray(found.arrays[name])) for name in ("truth", shown))
    columns = ["truth", shown, "difference"] + (["half width of the 90 % interval"] if "spread" in found.arrays else [])
    rows = min(SHOWN, len(truth))
    figure = Figure(figsize=(WIDTH_IN, 2.5 * rows + 0.3), facecolor=BACKGROUND, layout="constrained")
    axes = figure.subplots(rows, len(columns), squeeze=False, sharex=True, sharey=True)
    for row in range(rows):
        images = {"truth": truth[row, 0], shown: mine[row, 0], "difference": mine[row, 0] - truth[row, 0]}
        images[columns[-1]] = _image(found.arrays["spread"])[row, 0] if "spread" in found.arrays else images["difference"]
        top = float(np.abs(truth[row, 0]).max())
        low = -top if truth[row, 0].min() < 0 else 0.0
        miss = float(np.abs(images["difference"]).max())
        for ax, name in zip(axes[row], columns):
            field = name in ("truth", shown)
            limits = (low, top) if field else (-miss, miss) if name == "difference" else (0.0, miss)
            colours = SIGNED if limits[0] < 0 else UNSIGNED
            picture = ax.imshow(
                images[name], origin="lower", aspect="auto", cmap=colours, vmin=limits[0], vmax=limits[1], extent=_extent(found)
            )
            bar = figure.colorbar(picture, ax=ax, fraction=0.05, pad=0.02)
            bar.ax.tick_params(colors=INK, labelsize=7)
            if not row:
                ax.set_title(name, color=INK, fontsize=9, loc="left")
        axes[row, 0].set_ylabel("t (s)" if found.arrays["truth"].ndim == 4 else "y (m)", color=INK, fontsize=8)
    for ax in axes[-1]:
        ax.set_xlabel("x (m)", color=INK, fontsize=8)
    _dress(figure)
    return figure


def error_figure(found: Predictions, methods: Sequence[str]) -> Figure:
    """Left: error over time, median and 80 % of the trajectories. Right: energy by wave number at the last frame."""
    truth, paint = found.arrays["truth"], method_colours(methods)
    times = found.facts["duration_s"] * np.arange(1, truth.shape[2] + 1) / truth.shape[2]
    figure = Figure(figsize=(WIDTH_IN, 3.6), facecolor=BACKGROUND, layout="constrained")
    left, right = figure.subplots(1, 2)
    waves = np.arange(1, min(truth.shape[3:]) // 2 + 1)
    right.loglog(waves, energy_spectrum(truth)[-1, 1:], color=TRUTH_COLOUR, lw=2, label="truth")
    for name in methods:
        error = error_over_time(found.arrays[name], truth).mean(1)
        left.plot(times, np.median(error, 0), color=paint[name], lw=1.4, label=name)
        left.fill_between(times, *np.quantile(error, (0.1, 0.9), axis=0), color=paint[name], alpha=0.15, lw=0)
        right.loglog(waves, energy_spectrum(found.arrays[name])[-1, 1:], color=paint[name], lw=1, label=name)
    left.set_yscale("log")
    left.set_xlabel("t (s)", color=INK, fontsize=9)
    left.set_ylabel("relative error", color=INK, fontsize=9)
    right.set_xlabel("wave number", color=INK, fontsize=9)
    right.set_ylabel("energy", color=INK, fontsize=9)
    right.set_ylim(bottom=max(1e-16, 1e-10 * float(energy_spectrum(truth)[-1, 1:].max())))
    left.legend(frameon=False, labelcolor=INK, fontsize=8)
    _dress(figure)
    return figure


def cost_figure(errors: Mapping[str, float], seconds: Mapping[str, float]) -> Figure:
    """Error against time per trajectory: left of and below the solver's curve is where an operator pays."""
    figure = Figure(figsize=(WIDTH_IN * 0.6, 3.6), facecolor=BACKGROUND, layout="constrained")
    ax, paint = figure.subplots(), method_colours(list(errors))
    solver = sorted((seconds[name], errors[name]) for name in errors if name.startswith("solver"))
    ax.loglog(*zip(*solver), color=INK, lw=0.8, ls="--")
    for name, error in errors.items():
        ax.loglog(seconds[name], error, "s" if name.startswith("solver") else "o", color=paint[name], ms=8)
        ax.annotate(name, (seconds[name], error), xytext=(6, 5), textcoords="offset points", color=INK, fontsize=8)
    ax.margins(x=0.3, y=0.2)
    ax.set_xlabel("processor time per trajectory (s)", color=INK, fontsize=9)
    ax.set_ylabel("relative L2", color=INK, fontsize=9)
    _dress(figure)
    return figure


def control_figure(found: Predictions) -> Figure:
    """Of the first trajectories: the target, the last state with and without force; the force found and the optimal one."""
    arrays = found.arrays
    rows = min(SHOWN, len(arrays["target"]))
    figure = Figure(figsize=(WIDTH_IN, 2.6 * rows + 0.3), facecolor=BACKGROUND, layout="constrained")
    axes = figure.subplots(rows, 3, squeeze=False)
    cells = arrays["target"].shape[-1]
    x = found.facts["start"] + found.facts["length"] * (np.arange(cells) + 0.5) / cells
    lines = {"target": TRUTH_COLOUR, "reached": METHOD_COLOURS[0], "no force": METHOD_COLOURS[1], "initial": "#7b8794"}
    for row in range(rows):
        for name, colour in lines.items():
            axes[row, 0].plot(x, arrays[name][row, 0], color=colour, lw=1.3, label=name)
        top = max(float(np.abs(arrays[name][row]).max()) for name in ("force", "optimal force"))
        for ax, name in zip(axes[row, 1:], ("force", "optimal force")):
            image = {"origin": "lower", "aspect": "auto", "cmap": SIGNED, "vmin": -top, "vmax": top, "extent": _extent(found)}
            picture = ax.imshow(arrays[name][row, 0], **image)
            ax.set_title(name if not row else "", color=INK, fontsize=9, loc="left")
            ax.set_ylabel("t (s)", color=INK, fontsize=8)
        bar = figure.colorbar(picture, ax=axes[row, 1:], fraction=0.03, pad=0.01)
        bar.ax.tick_params(colors=INK, labelsize=7)
    axes[0, 0].legend(frameon=False, labelcolor=INK, fontsize=7)
    for ax in axes[-1]:
        ax.set_xlabel("x (m)", color=INK, fontsize=8)
    _dress(figure)
    return figure


def _image(states: np.ndarray) -> np.ndarray:
    """(b, field, up, right) of (b, field, t, x); of (b, field, t, x, y) the last frame."""
    return states if states.ndim == 4 else states[:, :, -1].swapaxes(-1, -2)


def _extent(found: Predictions) -> tuple[float, float, float, float]:
    start, length = found.facts["start"], found.facts["length"]
    is_line = next(iter(found.arrays.values())).ndim == 4
    return start, start + length, *((0.0, found.facts["duration_s"]) if is_line else (start, start + length))


def _dress(figure: Figure) -> None:
    for ax in figure.axes:
        ax.set_facecolor(BACKGROUND)
        ax.tick_params(which="both", colors=INK, labelsize=8)
        ax.spines[:].set_color("#2a3542")
