"""Where a shock stands, how wide it is, and how much a field wiggles."""

import numpy as np


def shock_position(u: np.ndarray) -> np.ndarray:
    """Where |u_x| is largest, in cells from the first cell's centre, refined by a parabola through three differences.

    u         (..., x)
    returns   (...,) from 0.5 to n - 1.5
    """
    slope = np.abs(np.diff(np.asarray(u, dtype=np.float64), axis=-1))
    top = slope.argmax(-1)
    inner = np.clip(top, 1, slope.shape[-1] - 2)
    before, at, after = (np.take_along_axis(slope, (inner + step)[..., None], -1)[..., 0] for step in (-1, 0, 1))
    bend = before - 2 * at + after
    with np.errstate(divide="ignore", invalid="ignore"):
        shift = np.where((bend < 0) & (inner == top), 0.5 * (before - after) / bend, 0.0)
    return top + 0.5 + np.clip(shift, -0.5, 0.5)


def shock_width(u: np.ndarray) -> np.ndarray:
    """(largest - smallest u) / largest |u_x|, in cells, (...,) of u (..., x); inf for a constant."""
    span = np.ptp(np.asarray(u, dtype=np.float64), axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        width = span / np.abs(np.diff(u, axis=-1)).max(-1)
    return np.where(span > 0, width, np.inf)


def total_variation(u: np.ndarray) -> np.ndarray:
    """Sum of |differences| along x, (...,) of u (..., x)."""
    return np.abs(np.diff(np.asarray(u, dtype=np.float64), axis=-1)).sum(-1)


def shock_metrics(predicted: np.ndarray, target: np.ndarray) -> dict[str, float]:
    """How well shocks are kept: medians over trajectories, fields and frames in which the truth is not constant.

    predicted, target   (b, field, t, x)
    returns             shock_position_cells  |difference| of positions
                        shock_width_ratio     predicted over true; above 1 is smeared
                        variation_ratio       total variation, predicted over true; above 1 wiggles
    """
    kept = np.ptp(target, axis=-1) > 1e-6 * np.abs(target).max()
    mine, true = predicted[kept], target[kept]
    return {
        "shock_position_cells": float(np.median(np.abs(shock_position(mine) - shock_position(true)))),
        "shock_width_ratio": float(np.median(shock_width(mine) / shock_width(true))),
        "variation_ratio": float(np.median(total_variation(mine) / total_variation(true))),
    }
