"""How near an image is to its reference: noise ratios and structural similarity, of a range the task fixes. Nothing is clipped.

Volumes are (slice, row, column), real. `range` is never taken from the estimate: the window's width for CT, the largest value of
the reference volume for MRI.
"""

import math

import numpy as np
from scipy import ndimage

PLANES = {"axial": 0, "coronal": 1, "sagittal": 2}  # the axis that numbers the slices of a plane
LEAST_BODY = 0.05  # share of a slice; emptier ones say nothing


def psnr(x: np.ndarray, reference: np.ndarray, *, range: float) -> float:
    """Peak signal to noise ratio of a whole volume, dB; infinite for equal volumes.

    x, reference   any shape
    range          R, in the unit of both

        10 log10(R² / mean((x - reference)²))
    """
    error = float(np.mean(_difference(x, reference) ** 2))
    return 10 * math.log10(range**2 / error) if error else math.inf


def psnr_plane(x: np.ndarray, reference: np.ndarray, *, range: float, axis: int, body: np.ndarray | None = None) -> float:
    """Mean over the slices of a plane of each slice's `psnr` with one range, dB.

    x, reference   (slice, row, column)
    range          R, in the unit of both
    axis           that numbers the slices: `PLANES`
    body           as x, bool; slices with less than 5 % of it are left out, None keeps all

    Not the psnr of the volume: the logarithm of a mean is not the mean of logarithms. NaN where every slice is left out.
    """
    squared = np.moveaxis(_difference(x, reference) ** 2, axis, 0)
    errors = squared.reshape(len(squared), -1).mean(axis=1)[_filled(body, axis, len(squared))]
    if not errors.size:
        return math.nan
    with np.errstate(divide="ignore"):
        return float(np.mean(10 * np.log10(range**2 / errors)))


def ssim_wang(x: np.ndarray, reference: np.ndarray, *, range: float, axis: int = 0, body: np.ndarray | None = None) -> float:
    """Mean structural similarity over the slices of a plane: 11 x 11 Gaussian of 1.5 pixels (Wang et al. 2004, eq. 13).

    x, reference   (slice, row, column), planes of 11 x 11 or more
    range          R, in the unit of both
    axis           that numbers the slices: `PLANES`
    body           as x, bool; slices with less than 5 % of it are left out, None keeps all

    Population covariances; the border of 5 pixels, where the window leaves the image, does not count.
    """
    smooth = lambda values: ndimage.gaussian_filter(values, (0, 1.5, 1.5), truncate=5 / 1.5)
    return _ssim(x, reference, range=range, planes=(axis, body), smooth=smooth, radius=5, unbias=1.0)


def ssim_fastmri(x: np.ndarray, reference: np.ndarray) -> float:
    """Mean structural similarity over axial slices as fastMRI has it (Zbontar et al. 2018): uniform 7 x 7, R = reference.max().

    x, reference   (slice, row, column), slices of 7 x 7 or more

    Sample covariances (n - 1), as scikit-image has by default.
    """
    smooth = lambda values: ndimage.uniform_filter(values, (1, 7, 7))
    top = float(np.max(reference))
    return _ssim(x, reference, range=top, planes=(0, None), smooth=smooth, radius=3, unbias=49 / 48)


def nmse(x: np.ndarray, reference: np.ndarray) -> float:
    """Normalised squared error  |x - reference|² / |reference|²."""
    return float(np.sum(_difference(x, reference) ** 2) / np.sum(np.asarray(reference, np.float64) ** 2))


def _difference(x: np.ndarray, reference: np.ndarray) -> np.ndarray:
    if np.shape(x) != np.shape(reference):
        raise ValueError(f"found shapes {np.shape(x)} and {np.shape(reference)}, expected equal ones. Resample one to the other.")
    return np.asarray(x, np.float64) - np.asarray(reference, np.float64)


def _filled(body: np.ndarray | None, axis: int, count: int) -> np.ndarray:
    """Which slices of a plane hold enough of the body."""
    if body is None:
        return np.ones(count, bool)
    return np.moveaxis(body, axis, 0).reshape(count, -1).mean(axis=1) >= LEAST_BODY


def _ssim(x, reference, *, range: float, planes: tuple[int, np.ndarray | None], smooth, radius: int, unbias: float) -> float:
    """Similarity with any window `smooth` that reaches `radius` pixels; `unbias` multiplies the covariances."""
    _difference(x, reference)
    axis, body = planes
    kept = _filled(body, axis, np.shape(x)[axis])
    if not kept.any():
        return math.nan
    a, b = (np.moveaxis(np.asarray(image, np.float64), axis, 0)[kept] for image in (x, reference))
    if min(a.shape[1:]) <= 2 * radius:
        raise ValueError(f"found planes of {a.shape[1]} x {a.shape[2]}, expected more than {2 * radius} pixels each way")
    mean_a, mean_b = smooth(a), smooth(b)
    spread_a, spread_b = (unbias * (smooth(v * v) - m * m) for v, m in ((a, mean_a), (b, mean_b)))
    both = unbias * (smooth(a * b) - mean_a * mean_b)
    c1, c2 = (0.01 * range) ** 2, (0.03 * range) ** 2
    value = (2 * mean_a * mean_b + c1) * (2 * both + c2) / ((mean_a**2 + mean_b**2 + c1) * (spread_a + spread_b + c2))
    return float(value[:, radius:-radius, radius:-radius].mean())
