"""Peaks of a trace: noise, baseline, apexes, and the moments from which a fit starts."""

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import ndimage
from scipy.signal import find_peaks, peak_widths

from medidiff.chromatography.measures import apex
from medidiff.errors import DataError

BLOCKS = 4096  # most points on which the baseline is computed
SAMPLES_PER_WIDTH = 8  # fewest on the width at half height
UNEVEN = 1e-3  # of a step
FEWEST_QUIET = 64  # samples of baseline from which the noise is taken; else the whole trace serves
NEAR = 20  # widths at half height around a peak in which its noise is looked for
GAUSSIAN = 2 * math.sqrt(2 * math.log(2))  # width at half height over standard deviation


@dataclass(frozen=True)
class FoundPeak:
    """One peak above the baseline."""

    time: float  # apex, s
    height: float
    area: float
    mean: float  # s
    variance: float  # s^2, at least a quarter of that of a Gaussian of the same width
    width_half: float  # s
    signal_to_noise: float  # 2 H/h, h the peak-to-peak noise of the baseline nearby
    start: int  # first sample
    stop: int  # one past the last sample


@dataclass(frozen=True, eq=False)
class Detection:
    """What was found in a trace."""

    peaks: tuple[FoundPeak, ...]  # in order of elution
    baseline: np.ndarray  # (sample,)
    noise: float  # standard deviation of the white part
    warnings: tuple[str, ...]


def detect_peaks(
    times: np.ndarray, signal: np.ndarray, *, least_signal_to_noise: float = 3.0, least_share: float = 0.0, widest: float = 0.0
) -> Detection:
    """Every peak that stands out of the noise.

    times                   (sample,)   s
    signal                  (sample,)
    least_signal_to_noise   2 H/h of a peak's prominence H, with h = 6 standard deviations of the noise
    least_share             of the highest peak's prominence
    widest                  s, what is broader belongs to the baseline; 0: a fifth of the trace

    Raises DataError where nothing stands out.
    """
    even = np.linspace(times[0], times[-1], len(times))
    values = np.interp(even, times, signal)
    noise = noise_of(signal)
    baseline = baseline_of(values, max(3, round((widest / np.ptp(even) if widest else 0.2) * len(even))), noise=noise)
    height = values - baseline
    blur = _blur(height, noise)
    smooth, threshold = (
        ndimage.gaussian_filter1d(height, blur),
        max(3.0 * least_signal_to_noise * noise, 1e-9 * float(np.ptp(height))),
    )
    tops, facts = find_peaks(smooth, prominence=threshold, height=threshold)
    if len(tops):
        enough = facts["prominences"] >= least_share * facts["prominences"].max()
        tops = tops[enough]
    if not len(tops):
        raise DataError(
            f"no peak stands out of the noise (standard deviation {noise:.3g}, highest point {height.max():.3g} above baseline). "
            "Lower chromatograph.detection.least_signal_to_noise, or choose another trace."
        )
    edges = _edges(smooth, tops, noise=noise)
    quiet = np.ones(len(even), dtype=bool)
    for start, stop in edges:
        margin = (stop - start) // 2
        quiet[max(0, start - margin) : stop + margin] = False
    if quiet.sum() >= FEWEST_QUIET:
        noise = noise_of(values, among=quiet)
    peaks = tuple(_peak(even, height, smooth=smooth, blur=blur, span=span, quiet=quiet) for span in edges)
    return Detection(peaks, np.interp(times, even, baseline), noise, tuple(_warnings(times, peaks)))


def noise_of(signal: np.ndarray, *, among: np.ndarray | None = None) -> float:
    """Standard deviation of white noise from first differences: their median absolute deviation /(0.6745 sqrt 2).

    among   (sample,) bool   differences of neighbours that are both named here; all by default

    Slow signals hardly change it. A detector that filters makes it too small: see the Durbin-Watson number of a fit.
    """
    steps = np.diff(signal)
    steps = steps if among is None else steps[among[1:] & among[:-1]]
    found = float(np.median(np.abs(steps - np.median(steps)))) / (0.6745 * math.sqrt(2.0))
    return found if found > 0 else 1e-9 * float(np.ptp(signal))


def baseline_of(signal: np.ndarray, width: int, *, noise: float) -> np.ndarray:
    """The slow lower envelope (sample,): what a flat piece of the given width can reach from below, smoothed.

    signal   (sample,)   uniformly sampled
    width    samples; whatever is narrower counts as peak
    noise    standard deviation: removes the envelope's bias, the median of the quiet samples above it
    """
    block = math.ceil(len(signal) / BLOCKS)
    count = len(signal) // block
    coarse = signal[: count * block].reshape(count, block).mean(axis=1)
    size = max(3, width // block)
    coarse = ndimage.uniform_filter1d(coarse, max(1, size // 20), mode="nearest")
    centres = (np.arange(count) + 0.5) * block - 0.5
    trend = np.polynomial.Polynomial.fit(centres, _envelope(coarse, size), 1)(centres)
    lower = trend + _envelope(coarse - trend, size)
    baseline = np.interp(np.arange(len(signal)), centres, lower)
    quiet = np.abs(signal - baseline) < 4.0 * noise
    return baseline + (float(np.median((signal - baseline)[quiet])) if quiet.any() else 0.0)


def _envelope(coarse: np.ndarray, size: int) -> np.ndarray:
    """What a flat piece of `size` points reaches from below, smoothed; exact where the baseline is flat."""
    opened = ndimage.grey_opening(coarse, size, mode="nearest")
    return ndimage.uniform_filter1d(opened, max(1, size // 2), mode="nearest")


def _blur(height: np.ndarray, noise: float) -> float:
    """Standard deviation of the smoothing, samples: 0.15 of the median width at half height of the clear peaks."""
    first = ndimage.gaussian_filter1d(height, 1.0)
    tops, facts = find_peaks(first, prominence=10.0 * noise)
    if not len(tops):
        return 2.0
    clear = tops[facts["prominences"] > 0.05 * facts["prominences"].max()]
    return float(np.clip(0.15 * np.median(peak_widths(first, clear, rel_height=0.5)[0]), 0.5, 1e4))


def _edges(smooth: np.ndarray, tops: np.ndarray, *, noise: float) -> list[tuple[int, int]]:
    """First sample and one past the last of each peak: down to 1 % of its height or the noise, or to the valley."""
    valleys = [int(a + np.argmin(smooth[a : b + 1])) for a, b in pairwise(tops)]
    found = []
    for top, left, right in zip(tops, [0, *valleys], [*valleys, len(smooth) - 1]):
        floor = max(0.01 * smooth[top], noise / 2)
        before, after = smooth[left : top + 1] < floor, smooth[top : right + 1] < floor
        start = left + int(np.flatnonzero(before)[-1]) if before.any() else left
        stop = top + int(np.flatnonzero(after)[0]) + 1 if after.any() else right + 1
        found.append((start, stop))
    return found


def _peak(
    times: np.ndarray, height: np.ndarray, *, smooth: np.ndarray, blur: float, span: tuple[int, int], quiet: np.ndarray
) -> FoundPeak:
    part = slice(*span)
    t, y = times[part], height[part]
    area = float(np.trapezoid(y, t))
    mean = float(np.trapezoid(t * y, t)) / area
    step = times[1] - times[0]
    index = span[0] + int(np.argmax(smooth[part]))
    width = float(peak_widths(smooth, [index], rel_height=0.5)[0][0]) * step
    width = math.sqrt(max(width**2 - (GAUSSIAN * blur * step) ** 2, (0.25 * width) ** 2))  # without the smoothing
    time, top = _top(times, height, centre=float(times[index]), reach=0.3 * width)
    gaussian = (width / GAUSSIAN) ** 2
    variance = float(np.trapezoid((t - mean) ** 2 * y, t)) / area
    nearby = np.flatnonzero(quiet)
    nearby = nearby[np.argsort(np.abs(nearby - index), kind="stable")[: max(2, round(NEAR * width / step))]]
    peak_to_peak = float(np.ptp(height[nearby])) if len(nearby) > 1 else 0.0
    ratio = 2.0 * top / peak_to_peak if peak_to_peak > 0 else math.inf
    return FoundPeak(time, top, area, mean, float(np.clip(variance, 0.25 * gaussian, 16 * gaussian)), width, ratio, *span)


def _top(times: np.ndarray, height: np.ndarray, *, centre: float, reach: float) -> tuple[float, float]:
    """Apex (s) and height of the parabola through all samples within reach, of the highest three where these are few."""
    near = slice(*np.searchsorted(times, [centre - reach, centre + reach], side="right"))
    t, y = times[near] - centre, height[near]
    if len(t) < 5:
        index = int(np.argmin(np.abs(times - centre)))
        return apex(times[max(0, index - 1) : index + 2], height[max(0, index - 1) : index + 2])
    a, b, c = np.polyfit(t, y, 2)
    if not a < 0 or abs(b) > -2 * a * reach:
        return centre, float(c)
    return centre - b / (2 * a), float(c - b**2 / (4 * a))


def _warnings(times: np.ndarray, peaks: tuple[FoundPeak, ...]) -> list[str]:
    found = []
    step = float(times[-1] - times[0]) / (len(times) - 1)
    narrowest = min(peak.width_half for peak in peaks)
    if narrowest < SAMPLES_PER_WIDTH * step:
        found.append(
            f"the narrowest peak has {narrowest / step:.1f} samples at half height; at least {SAMPLES_PER_WIDTH} are "
            "needed: record faster"
        )
    line = times[0] + step * np.arange(len(times))
    uneven = float(np.abs(times - line).max()) / step
    if uneven > UNEVEN:
        found.append(f"sampling is uneven by {uneven:.3g} of a step: peaks are looked for on a uniform grid")
    return found
