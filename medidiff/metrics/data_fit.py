"""Whether an image explains the measurements: the residual, and chi-square against the noise that they are known to have."""

import math

import numpy as np


def residual(predicted: np.ndarray, measured: np.ndarray) -> float:
    """|predicted - measured| / |measured|, for real or complex measurements of any shape; NaN for measurements that are all 0."""
    whole = float(np.linalg.norm(np.ravel(measured)))
    return float(np.linalg.norm(np.ravel(predicted) - np.ravel(measured))) / whole if whole else math.nan


def chi2(predicted: np.ndarray, measured: np.ndarray, weights: np.ndarray | float) -> float:
    """Mean squared residual in units of the noise: 1 is right, far below fits the noise, above contradicts the data.

    predicted, measured   any shape, real or complex
    weights               1 / E|noise|², of the same shape or one for all; 0 where nothing was measured

        mean over weights > 0 of  weights |predicted - measured|²

    Complex noise of standard deviation s in each part has E|noise|² = 2 s². Of m true measurements of real noise it scatters by
    sqrt(2/m) around 1, of complex noise by sqrt(1/m). NaN where nothing was measured.
    """
    weights = np.broadcast_to(np.asarray(weights, np.float64), np.shape(measured))
    seen = weights > 0
    if not seen.any():
        return math.nan
    return float(np.mean(weights[seen] * np.abs((np.asarray(predicted) - np.asarray(measured))[seen]) ** 2))
