"""Whether uncertainty points at the voxels that are wrong."""

import math

import numpy as np
from scipy.stats import rankdata


def auroc(score: np.ndarray, wrong: np.ndarray) -> float:
    """Chance that a wrong voxel has a larger score than a right one, ties one half; NaN when all are wrong or none.

    score   any one shape, larger where an error is expected
    wrong   the same shape, bool

        (Σ rank of the wrong - n (n + 1) / 2) / (n m),   n wrong, m right      (Mann and Whitney 1947)
    """
    score, wrong = np.ravel(score), np.ravel(wrong).astype(bool)
    n = int(wrong.sum())
    m = wrong.size - n
    return float((rankdata(score)[wrong].sum() - n * (n + 1) / 2) / (n * m)) if n and m else math.nan


def auprc(score: np.ndarray, wrong: np.ndarray) -> float:
    """Average precision: mean over the wrong voxels of the precision at their score, Σ (R_k - R_{k-1}) P_k; NaN without any.

    score, wrong   as for `auroc`; without information it is the share of wrong voxels
    """
    flagged, hits = _sweep(score, wrong)
    return float(np.sum(np.diff(hits, prepend=0) * hits / flagged) / hits[-1]) if hits.size and hits[-1] else math.nan


def aurc(uncertainty: np.ndarray, wrong: np.ndarray) -> float:
    """Area under the risk-coverage curve: mean, over every number k kept, of the share of errors among the k surest.

    uncertainty, wrong   as for `auroc`, at least one voxel; equal uncertainties are taken in every order alike

        1/N Σ_k  errors among the k least uncertain / k      (Geifman, Uziel and El-Yaniv 2019)
    """
    kept, errors = _sweep(-np.asarray(uncertainty, np.float64), wrong)
    # within a group of equals the expected number of errors grows linearly
    k = np.arange(1, kept[-1] + 1)
    expected = np.interp(k, np.concatenate([[0], kept]), np.concatenate([[0], errors]))
    return float(np.mean(expected / k))


def ueo(uncertainty: np.ndarray, wrong: np.ndarray) -> tuple[float, float]:
    """Uncertainty-error overlap: the largest Dice of {uncertainty >= threshold} with the errors, and that threshold.

    uncertainty, wrong   as for `auroc`; NaN twice when nothing is wrong (Jungo and Reyes 2019)
    """
    flagged, hits = _sweep(uncertainty, wrong)
    if not hits.size or not hits[-1]:
        return math.nan, math.nan
    overlap = 2 * hits / (flagged + hits[-1])
    best = int(np.argmax(overlap))
    return float(overlap[best]), float(np.sort(np.ravel(uncertainty))[::-1][flagged[best] - 1])


def _sweep(score: np.ndarray, wrong: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many voxels, and wrong voxels, reach each distinct score, from the largest score down."""
    score, wrong = np.ravel(score), np.ravel(wrong).astype(bool)
    order = np.argsort(-score, kind="stable")
    last = np.flatnonzero(np.diff(score[order], append=np.nan))  # NaN differs from all: the end counts
    return last + 1, np.cumsum(wrong[order])[last]
