"""Errors of CT numbers: in the body, in each kind of tissue, and in the worst place."""

import math

import numpy as np
from scipy import ndimage

# lowest and highest reference value of a tissue, HU; together they leave nothing out
BANDS_HU = {"air": (-math.inf, -950.0), "lung": (-950.0, -500.0), "soft": (-500.0, 200.0), "bone": (200.0, math.inf)}
BODY_HU = -500.0
REGION = 25  # pixels; the side of a region of the AAPM sparse-view challenge


def body_mask(reference: np.ndarray) -> np.ndarray:
    """Where the body is, (slice, row, column) bool: the largest part above -500 HU with what it encloses in its slice."""
    labels, _ = ndimage.label(reference > BODY_HU)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    largest = (labels == sizes.argmax()) & (labels > 0)
    return np.stack([ndimage.binary_fill_holes(plane) for plane in largest])


def hu_errors(x: np.ndarray, reference: np.ndarray, *, body: np.ndarray) -> dict[str, float]:
    """Errors of CT numbers, HU; NaN for a tissue that the body does not hold.

    x, reference   (slice, row, column) HU
    body           as x, bool: where to look, as `body_mask` finds it
    returns        mae_hu, bias_hu, rmse_hu of the body; mae_{tissue}_hu and bias_{tissue}_hu by the reference's `BANDS_HU`;
                   worst_region_hu, the largest root mean square of a 25 x 25 region of any slice, body or not

        mae = mean |x - reference|,  bias = mean (x - reference)
    """
    error = np.asarray(x, np.float64) - np.asarray(reference, np.float64)
    found = {"mae_hu": _mean(np.abs(error[body])), "bias_hu": _mean(error[body])}
    found["rmse_hu"] = math.sqrt(_mean(error[body] ** 2)) if body.any() else math.nan
    for tissue, (low, high) in BANDS_HU.items():
        here = error[body & (reference >= low) & (reference < high)]
        found |= {f"mae_{tissue}_hu": _mean(np.abs(here)), f"bias_{tissue}_hu": _mean(here)}
    return found | {"worst_region_hu": worst_region(error)}


def worst_region(error: np.ndarray) -> float:
    """Largest root mean square error over the 25 x 25 regions of all slices (AAPM DL-sparse-view CT challenge 2021).

    error   (slice, row, column); a slice smaller than a region is one region
    """
    sides = [min(REGION, n) for n in error.shape[1:]]
    squared = np.pad(np.asarray(error, np.float64) ** 2, ((0, 0), (1, 0), (1, 0)))
    sums = squared.cumsum(axis=1).cumsum(axis=2)
    r, c = sides
    regions = sums[:, r:, c:] - sums[:, :-r, c:] - sums[:, r:, :-c] + sums[:, :-r, :-c]
    return math.sqrt(max(float(regions.max()), 0.0) / (r * c))


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else math.nan
