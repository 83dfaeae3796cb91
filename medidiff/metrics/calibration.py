"""Whether probabilities mean what they say: reliability, calibration errors, proper scores."""

import math
from dataclasses import dataclass

import numpy as np

_SMALLEST = 1e-6  # probabilities nearer to 0 or 1 are clipped in the logarithm


@dataclass(frozen=True, eq=False)
class Reliability:
    """A reliability diagram: one entry per bin that holds a voxel, from low to high probability."""

    count: np.ndarray  # voxels of the bin
    probability: np.ndarray  # their mean probability
    frequency: np.ndarray  # share of them that is positive

    @property
    def ece(self) -> float:
        """Expected calibration error, Σ_b count_b / Σ count · |probability_b - frequency_b| (Guo et al. 2017, eq. 3)."""
        return float(np.average(np.abs(self.probability - self.frequency), weights=self.count))

    @property
    def signed_ece(self) -> float:
        """The same without the modulus: positive where frequencies exceed probabilities (too modest)."""
        return float(np.average(self.frequency - self.probability, weights=self.count))

    @property
    def ace(self) -> float:
        """Unweighted mean of |probability_b - frequency_b|; of equal-count bins it is the adaptive error (Nixon et al. 2019)."""
        return float(np.abs(self.probability - self.frequency).mean())

    @property
    def mce(self) -> float:
        """Largest |probability_b - frequency_b| (Guo et al. 2017, eq. 5)."""
        return float(np.abs(self.probability - self.frequency).max())


def reliability(probability: np.ndarray, truth: np.ndarray, *, bins: int = 15) -> Reliability:
    """Reliability diagram over equal-width bins of [0, 1]; empty bins are left out.

    probability   any one shape, of the positive class, voxels of a stated domain alone: background would hide every error
    truth         the same shape, bool
    bins          bin b holds b / bins <= probability < (b + 1) / bins, the last one 1 too
    """
    p, y = _checked(probability, truth)
    return _diagram(p, y, np.minimum((p * bins).astype(np.intp), bins - 1), bins)


def adaptive_reliability(probability: np.ndarray, truth: np.ndarray, *, bins: int = 15) -> Reliability:
    """Reliability diagram over bins of equally many voxels, the remainder spread; equal probabilities can be divided.

    probability, truth   as for `reliability`; the order of voxels decides which of equal probabilities go to which bin
    """
    p, y = _checked(probability, truth)
    place = np.empty(p.size, np.intp)
    place[np.argsort(p, kind="stable")] = np.arange(p.size) * bins // p.size
    return _diagram(p, y, place, bins)


def brier(probability: np.ndarray, truth: np.ndarray) -> float:
    """Mean squared difference of probability and truth, 0 to 1 (Brier 1950, for the positive class alone)."""
    p, y = _checked(probability, truth)
    return float(np.mean((p - y) ** 2))


def negative_log_likelihood(probability: np.ndarray, truth: np.ndarray) -> float:
    """Mean of -log of the probability given to what is true, nat; probabilities are clipped to [1e-6, 1 - 1e-6]."""
    p, y = _checked(probability, truth)
    p = np.clip(p, _SMALLEST, 1 - _SMALLEST)
    return float(-np.mean(np.where(y, np.log(p), np.log1p(-p))))


def _checked(probability: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    p, y = np.asarray(probability, np.float64).ravel(), np.asarray(truth, bool).ravel()
    if p.shape != y.shape or not p.size:
        raise ValueError(f"found {p.size} probabilities and {y.size} truths, expected equally many and at least one.")
    low, high = float(p.min()), float(p.max())
    if not (math.isfinite(low + high) and low >= 0 and high <= 1):
        raise ValueError(f"probabilities from {low:g} to {high:g}, expected 0 to 1. Apply the sigmoid to logits first.")
    return p, y


def _diagram(p: np.ndarray, y: np.ndarray, place: np.ndarray, bins: int) -> Reliability:
    count = np.bincount(place, minlength=bins)
    held = count > 0
    sums = (np.bincount(place, weights=values, minlength=bins)[held] for values in (p, y))
    probability, frequency = (total / count[held] for total in sums)
    return Reliability(count[held], probability, frequency)
