"""Peaks in time when only retention and width are known: Gaussian, and exponentially tailing."""

import numpy as np
from scipy.special import erfcx


def gaussian(times: np.ndarray, *, centers: np.ndarray, widths: np.ndarray) -> np.ndarray:
    """Gaussian peaks of unit area.

    times     (time,)         s
    centers   (peak,)         retention times, s
    widths    (peak,)         standard deviations, s
    returns   (peak, time)    1/s
    """
    z = (times - centers[:, None]) / widths[:, None]
    return np.exp(-0.5 * z**2) / (np.sqrt(2.0 * np.pi) * widths[:, None])


def tailing(times: np.ndarray, *, centers: np.ndarray, widths: np.ndarray, decays: np.ndarray) -> np.ndarray:
    """Gaussian peaks of unit area after an exponential of the given decay times (peak,), s: mean at centers + decays.

    Arguments and result as `gaussian`.

        (1/(2 tau)) e^(-z^2/2) erfcx((sigma/tau - z)/sqrt 2),   z = (t - center)/sigma;  far behind the peak, where erfcx
        overflows, (1/tau) e^(sigma^2/(2 tau^2) - (t - center)/tau)
    """
    widths, decays = widths[:, None], decays[:, None]
    z = (times - centers[:, None]) / widths
    argument = (widths / decays - z) / np.sqrt(2.0)
    near = np.exp(-0.5 * z**2) * erfcx(np.maximum(argument, -20.0)) / (2.0 * decays)
    behind = np.exp(np.minimum(0.5 * (widths / decays) ** 2 - z * widths / decays, 0.0)) / decays
    return np.where(argument > -20.0, near, behind)
