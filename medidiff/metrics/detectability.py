"""Whether a small known structure survived: the response of a matched filter, and how far it stands out."""

import math

import numpy as np
from scipy.signal import fftconvolve

SUPPORT = 0.1  # of the largest amplitude: where a template counts as being
LEAST_PLACES = 50  # at which the filter is tried without the target


def kept_share(estimate: np.ndarray, target: np.ndarray) -> float:
    """Share of a structure that is in an estimate:  Re <target, estimate> / <target, target>.

    estimate, target   any one shape, complex; 1 where the structure is there unchanged, 0 where it is gone. What else is there
                       adds a random error: take the difference with and without the target, or a mean over clips
    """
    return float(np.vdot(target, estimate).real / np.vdot(target, target).real)


def detectability(present: np.ndarray, absent: np.ndarray) -> float:
    """d' of responses of clips with and without a target:  (mean p - mean a) / sqrt((var p + var a) / 2).

    present, absent   (clip,) such as `kept_share` of each. 0 where both are equal and constant, infinite where only that differs
    """
    present, absent = np.asarray(present, np.float64), np.asarray(absent, np.float64)
    apart = float(present.mean() - absent.mean())
    spread = math.sqrt((present.var(ddof=1) + absent.var(ddof=1)) / 2)
    if spread == 0:
        return 0.0 if apart == 0 else math.copysign(math.inf, apart)
    return apart / spread


def local_detectability(estimate: np.ndarray, target: np.ndarray, *, region: np.ndarray) -> float:
    """d' of a target within one frame: the matched response where it is, over its spread where it is not.

    estimate   (axial, lateral) complex
    target     (axial, lateral) complex, the structure as it is in the truth
    region     (axial, lateral) bool, where the target could be: the blood

        d' = Re r(0) / sqrt( mean |r(k)|^2 / 2 ),   r(k) = sum_i target*(i) estimate(i + k)

    over the shifts k that keep the target within the region and off its true place. It does not depend on the scale of either;
    0 where the estimate is black. NaN for fewer than 50 such shifts.
    """
    support = np.abs(target) > SUPPORT * np.abs(target).max()
    response = _correlate(estimate, target)
    footprint = np.rint(_correlate(region & ~support, support).real)
    free = footprint == support.sum()
    if np.count_nonzero(free) < LEAST_PLACES:
        return math.nan
    here = response[target.shape[0] - 1, target.shape[1] - 1].real
    spread = math.sqrt(float(np.square(np.abs(response[free])).mean()) / 2)
    tiny = 1e-9 * float(np.abs(target).max()) ** 2  # below it only rounding of the transforms is left
    return here / spread if spread > tiny else (0.0 if abs(here) <= tiny else math.copysign(math.inf, here))


def _correlate(image: np.ndarray, template: np.ndarray) -> np.ndarray:
    """sum_i template*(i) image(i + k)  for all shifts; shift 0 lies at (rows - 1, columns - 1)."""
    return fftconvolve(np.asarray(image, np.complex128), np.conj(template[::-1, ::-1]).astype(np.complex128), mode="full")
