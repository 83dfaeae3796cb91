"""One number that softens or sharpens logits until their probabilities fit."""

from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit

_RANGE = (0.01, 100.0)  # beyond it the model is useless, or perfect on these patients


def fit_temperature(logits: Sequence[np.ndarray], truths: Sequence[np.ndarray]) -> float:
    """The temperature T that minimises the negative log-likelihood of sigmoid(logit / T), every patient weighing the same.

    logits    for each patient, of the voxels of the domain
    truths    the same shapes, bool
    returns   T in [0.01, 100]; above 1: the model was too sure

        min over T of   mean_i mean_v  log(1 + exp(-(2 y - 1) logit / T))     (Guo et al. 2017, eq. 9)

    The likelihood is convex in 1/T. Dividing by T never changes which logits are positive, nor their order.
    Raises ValueError where there is no patient, or one without voxels, or where the truth is one class throughout.
    """
    margins = [_margin(logit, truth) for logit, truth in zip(logits, truths, strict=True)]
    if not margins or min(map(len, margins)) == 0:
        raise ValueError("expected at least one patient, and voxels of the domain in each. Leave empty patients out.")
    if len({bool(value) for truth in truths for value in np.unique(np.asarray(truth, bool))}) < 2:
        raise ValueError("every voxel has the same truth, expected both classes: no temperature can be told from that.")

    def loss(sharpness: float) -> float:
        return float(np.mean([np.logaddexp(0, -sharpness * margin).mean() for margin in margins]))

    low, high = 1 / _RANGE[1], 1 / _RANGE[0]
    found = minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-7})
    # the bounded search never returns an end itself
    sharpness = min((float(found.x), low, high), key=loss)
    return 1 / sharpness


def tempered(logit: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities sigmoid(logit / temperature)."""
    return expit(np.asarray(logit, np.float64) / temperature)


def _margin(logit: np.ndarray, truth: np.ndarray) -> np.ndarray:
    return np.where(np.ravel(truth), 1.0, -1.0) * np.ravel(logit)
