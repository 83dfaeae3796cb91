"""What an ensemble is worth: its score against the truth, and whether its spread is as large as its error."""

import numpy as np

from medidiff.errors import DataError


def crps(members: np.ndarray, truth: np.ndarray) -> float:
    """Continuous ranked probability score, fair for few members, in the unit of the values; smaller is better.

    members   (b, member, ...)
    truth     (b, ...)

        mean over i of |X_i - y|  -  sum over i < j of |X_i - X_j| / (M (M - 1))      (Ferro 2014)

    Of one member it is the mean absolute error.
    """
    _check(members, truth)
    count = members.shape[1]
    misses = np.abs(members - truth[:, None]).mean(dtype=np.float64)
    if count == 1:
        return float(misses)
    ordered = np.sort(members, axis=1)
    weights = (2 * np.arange(count) - count + 1).reshape(1, count, *[1] * (members.ndim - 2))  # of sorted X in the sum of gaps
    gaps = (weights * ordered).sum(1, dtype=np.float64).mean()
    return float(misses - gaps / (count * (count - 1)))


def spread_skill(members: np.ndarray, truth: np.ndarray) -> float:
    """sqrt((M + 1) / M · mean variance) / root mean square error of the mean; 1 is calibrated, below 1 too sure.

    members   (b, member, ...), two members or more
    truth     (b, ...)
    """
    _check(members, truth, least=2)
    count = members.shape[1]
    variance = members.var(axis=1, ddof=1, dtype=np.float64).mean()
    error = np.square(members.mean(1, dtype=np.float64) - truth).mean()
    return float(np.sqrt((count + 1) / count * variance / error))


def rank_histogram(members: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """How often the truth stands at each rank among the members, (M + 1,), shares that sum to 1; flat is calibrated.

    Where members equal the truth its rank is spread over the tie.
    """
    _check(members, truth)
    count = members.shape[1]
    below = (members < truth[:, None]).sum(1).ravel()
    ties = (members == truth[:, None]).sum(1).ravel()
    shares = np.zeros(count + 1)
    for width in np.unique(ties):
        for place in range(width + 1):
            shares += np.bincount(below[ties == width] + place, minlength=count + 1) / (width + 1)
    return shares / shares.sum()


def rank_chi2(members: np.ndarray, truth: np.ndarray) -> float:
    """Sum over ranks of (share - flat)² / flat: 0 is flat; M when the truth is always at one rank."""
    shares = rank_histogram(members, truth)
    return float(len(shares) * np.square(shares - 1 / len(shares)).sum())


def coverage(mean: np.ndarray, half_width: np.ndarray, truth: np.ndarray) -> float:
    """Share of values of the truth within half_width of the mean."""
    return float((np.abs(truth - mean) <= half_width).mean())


def _check(members: np.ndarray, truth: np.ndarray, *, least: int = 1) -> None:
    if members.shape[:1] + members.shape[2:] != truth.shape or members.shape[1] < least:
        raise DataError(
            f"ensemble: found members {members.shape} and truth {truth.shape}, expected (b, member, ...) and (b, ...) of "
            f"{least} members or more."
        )
