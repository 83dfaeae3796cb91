"""Numbers of one peak and of neighbours, as pharmacopoeias and textbooks define them, and of the fit of a curve."""

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Measures:
    """One peak above its baseline; widths and times in s."""

    retention_time: float  # tR, apex of the parabola through the three highest points of ln y
    height: float
    area: float
    mean: float  # first moment
    variance: float  # s^2
    width_half: float  # at half height
    width_base: float  # between the tangents at the steepest points, at the baseline
    asymmetry: float  # b/a at 10 % of the height
    tailing: float  # W/(2a) at 5 %
    plates_half: float  # 5.545 (tR/W_half)^2: too many for tailing peaks
    plates_tangent: float  # 16 (tR/W_base)^2
    plates_foley_dorsey: float  # 41.7 (tR/W_10)^2/(b/a + 1.25): for tailing peaks (Foley and Dorsey 1983)
    plates_moment: float  # mean^2/variance


def measure(times: np.ndarray, signal: np.ndarray) -> Measures:
    """The numbers of one isolated peak.

    times    (sample,)   s
    signal   (sample,)   baseline subtracted

    Numbers that need a part of the peak outside the samples are NaN.
    """
    times, signal = np.asarray(times, dtype=float), np.asarray(signal, dtype=float)
    area = float(np.trapezoid(signal, times))
    mean = float(np.trapezoid(times * signal, times)) / area
    variance = float(np.trapezoid((times - mean) ** 2 * signal, times)) / area
    retention, height = apex(times, signal)
    half, (front10, back10), (front5, back5) = (
        sides(times, signal, centre=retention, level=f * height) for f in (0.5, 0.1, 0.05)
    )
    base = _tangent_width(times, signal)
    tenth = front10 + back10
    return Measures(
        retention_time=retention,
        height=height,
        area=area,
        mean=mean,
        variance=variance,
        width_half=sum(half),
        width_base=base,
        asymmetry=back10 / front10,
        tailing=(front5 + back5) / (2 * front5),
        plates_half=8 * math.log(2) * (retention / sum(half)) ** 2,
        plates_tangent=16 * (retention / base) ** 2,
        plates_foley_dorsey=41.7 * (retention / tenth) ** 2 / (back10 / front10 + 1.25),
        plates_moment=mean**2 / variance,
    )


def apex(times: np.ndarray, signal: np.ndarray) -> tuple[float, float]:
    """Time (s) and height of the parabola through the highest sample and its neighbours, of ln y where all are positive."""
    top = int(np.argmax(signal))
    if top in (0, len(signal) - 1):
        return float(times[top]), float(signal[top])
    near, values = times[top - 1 : top + 2] - times[top], signal[top - 1 : top + 2]
    is_positive = bool((values > 0).all())
    a, b, c = np.polyfit(near, np.log(values) if is_positive else values, 2)
    if not a < 0:
        return float(times[top]), float(signal[top])
    peak = float(c - b**2 / (4 * a))
    return float(times[top] - b / (2 * a)), math.exp(peak) if is_positive else peak


def sides(times: np.ndarray, signal: np.ndarray, *, centre: float, level: float) -> tuple[float, float]:
    """Distances (s) from the centre to where the signal falls to a level before and after it, by linear interpolation.

    NaN on a side where it does not fall so far.
    """
    top = int(np.argmax(signal))
    below = np.flatnonzero(signal[: top + 1] <= level)
    left = _crossing(times, signal, at=below[-1], level=level) if len(below) else math.nan
    below = np.flatnonzero(signal[top:] <= level)
    right = _crossing(times, signal, at=top + below[0] - 1, level=level) if len(below) else math.nan
    return centre - left, right - centre


def resolution(first: Measures, second: Measures) -> tuple[float, float]:
    """Rs of neighbours: 2 (t2 - t1)/(Wb1 + Wb2), and 1.18 (t2 - t1)/(W1 + W2) of the widths at half height."""
    apart = second.retention_time - first.retention_time
    return 2 * apart / (first.width_base + second.width_base), 1.18 * apart / (first.width_half + second.width_half)


def peak_to_valley(signal: np.ndarray, first: int, *, second: int) -> float:
    """Height of the lower of two apexes (sample indices) over the valley between them; infinite from 1000 on."""
    valley, lower = float(np.min(signal[first : second + 1])), min(float(signal[first]), float(signal[second]))
    return lower / valley if valley > 1e-3 * lower else math.inf


@dataclass(frozen=True)
class Agreement:
    """How well a curve describes a signal, over the whole window of the fit."""

    sse: float  # sum of squared residuals
    r_squared: float  # 1 - SSE/sum of squared distances from the mean
    chi_squared_reduced: float  # SSE/((n - p) noise^2); 1 when the residual is the baseline's noise
    aic: float
    bic: float
    durbin_watson: float  # 2 for residuals without correlation, less for a detector that filters


def agreement(signal: np.ndarray, curve: np.ndarray, *, noise: float, parameters: int) -> Agreement:
    """The statistics of a fit.

    signal, curve   (sample,)
    noise           standard deviation of the baseline, same unit
    parameters      p, number of fitted numbers

        AIC = n ln(SSE/n) + 2p,   BIC = n ln(SSE/n) + p ln n
    """
    residual, count = np.asarray(signal) - np.asarray(curve), len(signal)
    sse = float(residual @ residual)
    spread = float(np.sum((signal - np.mean(signal)) ** 2))
    logarithm = count * math.log(max(sse, 1e-300) / count)
    return Agreement(
        sse=sse,
        r_squared=1 - sse / spread,
        chi_squared_reduced=sse / ((count - parameters) * noise**2),
        aic=logarithm + 2 * parameters,
        bic=logarithm + parameters * math.log(count),
        durbin_watson=float(np.sum(np.diff(residual) ** 2)) / sse if sse > 0 else math.nan,
    )


def _crossing(times: np.ndarray, signal: np.ndarray, *, at: int, level: float) -> float:
    """Time between sample `at` and the next at which the signal has the level."""
    rise = signal[at + 1] - signal[at]
    return float(times[at] + (level - signal[at]) / rise * (times[at + 1] - times[at])) if rise else float(times[at])


def _tangent_width(times: np.ndarray, signal: np.ndarray) -> float:
    """Distance (s) of the feet of the tangents at the steepest ascent and descent."""
    slope, top = np.gradient(signal, times), int(np.argmax(signal))
    if top < 2 or top > len(signal) - 3:
        return math.nan
    rise, fall = int(np.argmax(slope[: top + 1])), top + int(np.argmin(slope[top:]))
    feet = [float(times[i] - signal[i] / slope[i]) if slope[i] else math.nan for i in (rise, fall)]
    return feet[1] - feet[0]
