"""What the texture of an echo image tells: how strong speckle is, and how wide its grains are."""

import math

import numpy as np

RAYLEIGH_SNR = math.sqrt(math.pi / (4 - math.pi))  # of fully developed speckle, 1.913


def speckle_snr(envelope: np.ndarray) -> float:
    """Mean over standard deviation of the envelopes of a region; 1.913 for fully developed speckle, NaN where nothing varies."""
    values = np.asarray(envelope, np.float64)
    return float(values.mean() / values.std()) if values.size and values.std() > 0 else math.nan


def grain_width(field: np.ndarray, region: np.ndarray, *, axis: int) -> float:
    """Full width at half maximum of the autocorrelation of IQ along an axis, samples; NaN where it does not fall to half.

    field    (*frame, axial, lateral) complex
    region   the same shape, bool: pairs count when both samples lie in it
    axis     -2 along the depth, -1 across beams

        rho(k) = |sum s*(i) s(i + k)| / sqrt(sum |s(i)|^2 sum |s(i + k)|^2),  width = 2 k at rho = 1/2, linear between lags

    For a Gaussian point spread it is sqrt(2) times the width of that.
    """
    field, region = np.moveaxis(np.asarray(field), axis, -1), np.moveaxis(np.asarray(region, bool), axis, -1)
    before = 1.0
    for lag in range(1, field.shape[-1]):
        here = _correlation(field, region, lag)
        if math.isnan(here):
            return math.nan
        if here <= 0.5:
            return 2 * (lag - 1 + (before - 0.5) / (before - here))
        before = here
    return math.nan


def _correlation(field: np.ndarray, region: np.ndarray, lag: int) -> float:
    """Modulus of the correlation of samples `lag` apart along the last axis; NaN where there is no pair."""
    pairs = region[..., :-lag] & region[..., lag:]
    first, second = field[..., :-lag][pairs], field[..., lag:][pairs]
    size = math.sqrt(float(np.vdot(first, first).real) * float(np.vdot(second, second).real))
    return float(abs(np.vdot(first, second))) / size if size > 0 else math.nan
