"""Whether slices fit together: how much a volume changes along z, beside how much its reference does."""

import math

import numpy as np


def tvz_ratio(x: np.ndarray, reference: np.ndarray) -> float:
    """Mean change from slice to slice over that of the reference: 1 is right, more jitters, less is smoothed.

    x, reference   (slice, row, column)
    returns        NaN for a reference without change

        mean |D_z x| / mean |D_z reference|,   D_z x[k] = x[k + 1] - x[k]
    """
    true = np.abs(np.diff(np.asarray(reference, np.float64), axis=0)).sum()
    return float(np.abs(np.diff(np.asarray(x, np.float64), axis=0)).sum() / true) if true else math.nan
