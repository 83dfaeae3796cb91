"""Intervals of figures of a whole cohort, by drawing patients again."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Interval:
    """A figure of all cases and its 95 % interval; `low` and `high` are NaN for a single patient."""

    value: float
    low: float
    high: float
    patients: int


def bootstrap(
    figure: Callable[[np.ndarray], Any], patients: list[str], *, draws: int = 1000, seed: int = 0, level: float = 0.95
) -> Interval:
    """A figure of a cohort with the percentile interval of whole patients drawn again (Efron 1979; Field and Welsh 2007).

    figure     (case,) numbers of cases, some of them several times -> a number; NaN where they have none
    patients   of each case: cases of one patient are drawn together
    draws      cohorts of as many patients as there are

    Draws without a value are left out. For fewer than about ten patients percentile intervals are too narrow.
    """
    names, owner = np.unique(np.asarray(patients), return_inverse=True)
    cases = [np.flatnonzero(owner == number) for number in range(len(names))]
    value = float(figure(np.arange(len(patients))))
    if len(names) < 2:
        return Interval(value, np.nan, np.nan, len(names))
    chosen = np.random.default_rng(seed).integers(len(names), size=(draws, len(names)))
    values = np.array([figure(np.concatenate([cases[number] for number in draw])) for draw in chosen], np.float64)
    values = values[~np.isnan(values)]
    ends = ((1 - level) / 2, (1 + level) / 2)
    # order statistics: a distance without bound stays infinite instead of becoming undefined
    low, high = np.quantile(values, ends, method="nearest") if values.size else (np.nan, np.nan)
    return Interval(value, float(low), float(high), len(names))
