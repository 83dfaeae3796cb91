"""How often a stated interval holds the truth, and how sure that count itself is."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import beta

_LEAST_MEMBERS = 20  # fewer have no tails to speak of


@dataclass(frozen=True)
class Coverage:
    """Share of cases that lie in their interval, and the 95 % interval of that share."""

    share: float
    low: float
    high: float
    cases: int


def volume_coverage(members_ml: np.ndarray, truth_ml: Sequence[float], *, level: float = 0.9) -> Coverage:
    """Share of cases whose true volume lies in the central interval of their ensemble's volumes.

    members_ml   (case, member)   volume of each member of each case, at least 20 members
    truth_ml     (case,)
    level        share of members between both ends, by linear interpolation; ends belong to the interval

    Compare `share` with `level`, and both with `low` and `high`. Raises ValueError for fewer members.
    """
    members_ml = np.asarray(members_ml, np.float64)
    if members_ml.shape[1] < _LEAST_MEMBERS:
        raise ValueError(f"found {members_ml.shape[1]} members, expected at least {_LEAST_MEMBERS}. Draw more samples.")
    low, high = np.quantile(members_ml, ((1 - level) / 2, (1 + level) / 2), axis=1)
    truth = np.asarray(truth_ml, np.float64)
    hits, cases = int(np.count_nonzero((low <= truth) & (truth <= high))), truth.size
    return Coverage(hits / cases if cases else math.nan, *binomial_interval(hits, cases), cases)


def binomial_interval(hits: int, trials: int, *, level: float = 0.95) -> tuple[float, float]:
    """Exact interval of a probability after `hits` of `trials` (Clopper and Pearson 1934); (0, 1) without trials.

    low, high are the probabilities at which `hits` or more, `hits` or fewer, have the chance (1 - level) / 2
    """
    tail = (1 - level) / 2
    low = float(beta.ppf(tail, hits, trials - hits + 1)) if hits else 0.0
    high = float(beta.ppf(1 - tail, hits + 1, trials - hits)) if hits < trials else 1.0
    return low, high
