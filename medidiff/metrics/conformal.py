"""A threshold with a promise: on average over new patients, at most a stated share of the tumour is missed."""

from collections.abc import Sequence

import numpy as np


def missed_share(probability: np.ndarray, truth: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Share of one patient's true voxels that lie below each threshold; 0 where the truth is empty.

    probability   any one shape
    truth         the same shape, bool
    thresholds    (t,)
    returns       (t,)   1 - |truth ∩ {probability >= threshold}| / |truth|, growing with the threshold
    """
    inside = np.sort(np.asarray(probability)[np.asarray(truth, bool)], axis=None)
    below = np.searchsorted(inside, thresholds, side="left")
    return below / inside.size if inside.size else np.zeros(len(thresholds))


def conformal_threshold(risks: Sequence[np.ndarray], thresholds: np.ndarray, *, level: float = 0.1) -> float:
    """The largest threshold whose mean risk over a new patient stays at or below a level (Angelopoulos et al. 2022, eq. 4).

    risks        (patient, t)   `missed_share` of the n calibration patients, each from 0 to 1 and growing along t
    thresholds   (t,)           growing
    level        α

        sup { τ :  n / (n + 1) · mean_i R_i(τ) + 1 / (n + 1) <= α }

    The promise holds for patients exchangeable with those of the calibration, on average over both. Raises ValueError where too
    few patients are there for the level at all (n < 1/α - 1), where no threshold keeps it, and where a risk does not grow.
    """
    risks = np.asarray(risks, np.float64)
    n = len(risks)
    if n + 1 < (1 - 1e-12) / level:
        least = int(np.ceil(1 / level - 1 - 1e-9))
        raise ValueError(f"found {n} calibration patients, expected at least {least} for a level of {level:g}. Add some.")
    if (np.diff(risks, axis=1) < 0).any() or (np.diff(thresholds) <= 0).any():
        raise ValueError("expected thresholds in growing order and risks that grow with them.")
    bound = (risks.sum(axis=0) + 1) / (n + 1)
    kept = np.flatnonzero(bound <= level + 1e-12)
    if not kept.size:
        raise ValueError(
            f"no threshold keeps the mean missed share at or below {level:g}: the lowest, {thresholds[0]:g}, reaches "
            f"{bound[0]:.3f} with {n} patients. Add lower thresholds or patients, or allow a larger level."
        )
    return float(thresholds[kept[-1]])
