"""What many cases say together: a mean with the interval in which it would lie for other cases of the same kind."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

DRAWS = 2000


@dataclass(frozen=True)
class Average:
    """A mean over cases and its 95 % interval; `low` and `high` are NaN for a single case."""

    mean: float
    low: float
    high: float
    cases: int


def average(values: Sequence[float], *, seed: int = 0) -> Average:
    """Mean of one value per case, with the 95 % percentile interval of 2000 resampled means (Efron 1979).

    values   one per case, such as differences between two methods of the same case; NaN where a case has none

    For fewer than about ten cases percentile intervals are too narrow: say how many there were.
    """
    found = np.asarray([value for value in values if not math.isnan(value)], np.float64)
    if found.size < 2:
        return Average(float(found.mean()) if found.size else math.nan, math.nan, math.nan, int(found.size))
    means = np.random.default_rng(seed).choice(found, (DRAWS, found.size)).mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return Average(float(found.mean()), float(low), float(high), int(found.size))
