"""Whether samples of a signal spread as far as they err: coverage by their standard deviation, and ranks of the truth."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import t


@dataclass(frozen=True)
class Spread:
    """How samples and truth agree, over I and Q of all samples of a region."""

    coverage: float  # share of the truth within mean ± widths · standard deviation
    expected: float  # that share for Gaussian samples of the right spread, given how few they are
    ranks: np.ndarray  # (member + 1,) share of the truth at each rank among the members; flat when calibrated
    chi_square: float  # of the ranks per degree of freedom, about 1 for independent samples and a flat histogram


def sample_spread(members: np.ndarray, truth: np.ndarray, *, region: np.ndarray, widths: float = 2.0, step: int = 8) -> Spread:
    """Calibration of posterior samples of a complex signal.

    members   (member, *frame, axial, lateral) complex, at least 3
    truth     (*frame, axial, lateral) complex
    region    (*frame, axial, lateral) bool
    widths    standard deviations on each side
    step      every step-th sample along both axes enters the ranks, as neighbours share their speckle

    With S members the truth lies within  mean ± widths s  with the probability that Student's t of S - 1 degrees of freedom gives
    for widths / sqrt(1 + 1 / S), below the 95 % of infinitely many. ValueError for fewer members.
    """
    count = len(members)
    if count < 3:
        raise ValueError(f"found {count} samples, expected at least 3. Draw more to speak of their spread.")
    parts, true = _parts(members, region), _parts(truth, region)
    inside = np.abs(true - parts.mean(axis=0)) <= widths * parts.std(axis=0, ddof=1)
    expected = 1 - 2 * float(t.sf(widths / np.sqrt(1 + 1 / count), count - 1))
    sparse = np.zeros(region.shape, bool)
    sparse[..., ::step, ::step] = region[..., ::step, ::step]
    rank = (_parts(members, sparse) < _parts(truth, sparse)).sum(axis=0).ravel()
    counts = np.bincount(rank, minlength=count + 1)
    even = rank.size / (count + 1)
    chi_square = float(np.square(counts - even).sum() / even / count) if rank.size else float("nan")
    return Spread(float(inside.mean()), expected, counts / max(rank.size, 1), chi_square)


def _parts(values: np.ndarray, region: np.ndarray) -> np.ndarray:
    """I and Q of a region, (..., sample, 2)."""
    chosen = np.asarray(values)[..., region]
    return np.stack([chosen.real, chosen.imag], axis=-1)
