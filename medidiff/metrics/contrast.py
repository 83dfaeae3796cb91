"""How well two regions of an echo image can be told apart: gCNR, CNR in its two meanings, contrast and distance of values."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.ndimage import minimum_filter
from scipy.stats import ks_2samp

LEAST_SAMPLES = 50  # of a region; fewer have no histogram
CHALLENGE_BINS = 256
FEWEST_BINS, MOST_BINS = 10, 100
SUSPECT_BIAS = 0.15


@dataclass(frozen=True)
class Gcnr:
    """A generalised contrast-to-noise ratio with what one has to know about it."""

    value: float  # NaN where the regions are unfit
    rule: str  # rank or challenge
    bins: int
    samples: tuple[int, int]  # of both regions
    bias: float  # by how much the value would lie above 0 for regions of one and the same distribution
    note: str  # why there is no value, or why it is not to be trusted; else empty


def eroded(region: np.ndarray, *, axial: int = 5, lateral: int = 5) -> np.ndarray:
    """A region without its rim, (*frame, axial, lateral) bool: the point spread of a wall must not count as blood.

    region            (*frame, axial, lateral) bool
    axial, lateral    samples taken away on each side, at least 1.5 widths of the point spread; edges of the frame take none away
    """
    size = (1,) * (region.ndim - 2) + (2 * axial + 1, 2 * lateral + 1)
    return minimum_filter(np.asarray(region, np.uint8), size=size, mode="nearest").astype(bool)


def unfit(region_a: np.ndarray, region_b: np.ndarray) -> str:
    """Why two regions, bool of one shape, allow no comparison; empty where they do."""
    counts = [int(np.count_nonzero(region)) for region in (region_a, region_b)]
    if min(counts) < LEAST_SAMPLES:
        return f"regions of {counts[0]} and {counts[1]} samples; each needs {LEAST_SAMPLES}"
    shared = int(np.count_nonzero(region_a & region_b))
    return f"the regions share {shared} samples" if shared else ""


def gcnr(a: np.ndarray, b: np.ndarray, *, bins: Literal["rank", "challenge"] = "rank") -> Gcnr:
    """Share of the two distributions that does not overlap, 0 to 1 (Rodriguez-Molares et al. 2020).

    a, b   values of the two regions, such as envelopes
    bins   rank: between quantiles of both regions together, sqrt(samples of the smaller one) of them, 10 to 100; the same for
           every monotone map of the values. challenge: 256 of equal width from the smallest to the largest value

        gCNR = 1 - sum_k min(f_k, g_k),   f and g the histograms of both regions, each of sum 1

    Histograms of few samples overlap too little: `bias` is  sqrt(1 / (2 pi)) sum_k sqrt(p_k (1 / n_a + 1 / n_b))  with p both
    together, the expected value for equal distributions, and `note` says when it is above 0.15.
    """
    a, b = (np.asarray(values, np.float64).ravel() for values in (a, b))
    samples = (a.size, b.size)
    if min(samples) < LEAST_SAMPLES:
        note = f"regions of {samples[0]} and {samples[1]} samples; each needs {LEAST_SAMPLES}"
        return Gcnr(math.nan, bins, 0, samples, math.nan, note)
    pooled = np.concatenate([a, b])
    if bins == "rank":
        count = int(np.clip(math.isqrt(min(samples)), FEWEST_BINS, MOST_BINS))
        inner = np.unique(np.quantile(pooled, np.arange(1, count) / count, method="nearest"))
    else:
        inner = np.linspace(pooled.min(), pooled.max(), CHALLENGE_BINS + 1)[1:-1]
    f, g = (
        np.bincount(np.searchsorted(inner, values, side="right"), minlength=inner.size + 1) / values.size for values in (a, b)
    )
    p = (f * samples[0] + g * samples[1]) / sum(samples)
    bias = math.sqrt(sum(1 / n for n in samples) / (2 * math.pi)) * float(np.sqrt(p).sum())
    note = f"{inner.size + 1} bins for {min(samples)} samples raise the value by up to {bias:.2f}" if bias > SUSPECT_BIAS else ""
    return Gcnr(float(1 - np.minimum(f, g).sum()), bins, inner.size + 1, samples, bias, note)


def cnr_challenge(a: np.ndarray, b: np.ndarray) -> float:
    """(mean a - mean b) / sqrt(var a + var b)  of 8-bit values, as DehazingEcho2025 has it; NaN where nothing varies."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return _ratio(a.mean() - b.mean(), math.sqrt(a.var() + b.var()))


def cnr_db(a: np.ndarray, b: np.ndarray) -> float:
    """20 log10( |mean a - mean b| / sqrt((var a + var b) / 2) )  of envelopes; NaN where nothing varies."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    ratio = _ratio(abs(a.mean() - b.mean()), math.sqrt((a.var() + b.var()) / 2))
    return 20 * math.log10(ratio) if ratio > 0 else (-math.inf if ratio == 0 else math.nan)


def contrast_db(a: np.ndarray, b: np.ndarray) -> float:
    """10 log10( mean |a|^2 / mean |b|^2 )  of IQ or envelopes; infinite where b is black, NaN where both are."""
    power_a, power_b = (float(np.square(np.abs(np.asarray(values, np.complex128))).mean()) for values in (a, b))
    if power_a == 0 or power_b == 0:
        return math.nan if power_a == power_b else math.copysign(math.inf, power_a - power_b)
    return 10 * math.log10(power_a / power_b)


def ks_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Largest difference of two empirical distribution functions, 0 to 1 (Kolmogorov 1933, Smirnov 1948)."""
    return float(ks_2samp(np.ravel(a), np.ravel(b)).statistic)


def _ratio(top: float, bottom: float) -> float:
    return float(top / bottom) if bottom > 0 else math.nan
