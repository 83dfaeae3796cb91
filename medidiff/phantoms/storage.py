"""Values as stored integers with a slope, and how much that loses."""

from dataclasses import dataclass

import numpy as np

from medidiff.errors import DataError
from medidiff.phantoms.planes import decimal_strings

CT_INTERCEPT = -1024
LARGEST = 32767


@dataclass(frozen=True, eq=False)
class Stored:
    """value = stored · slope + intercept, slice by slice; rounding loses at most half a slope."""

    integers: np.ndarray  # (i, j, k) uint16
    slopes: tuple[str, ...]  # one per slice, as written
    intercept: int

    @property
    def half_units(self) -> tuple[float, ...]:
        """Largest rounding error of each slice, in units of the value."""
        return tuple(float(slope) / 2 for slope in self.slopes)


def store_hounsfield(array: np.ndarray) -> Stored:
    """HU (i, j, k) in whole numbers above -1024.

    Raises DataError when a value is not finite or below -1024 or above 31743.
    """
    low, high = _finite_range(array, "HU")
    if low < CT_INTERCEPT or high > LARGEST + CT_INTERCEPT:
        raise DataError(
            f"CT series: values run from {low:g} to {high:g} HU, expected {CT_INTERCEPT} to {LARGEST + CT_INTERCEPT}. "
            "Clip the volume before writing."
        )
    integers = np.rint(array.astype(np.float64) - CT_INTERCEPT).astype(np.uint16)
    return Stored(integers, ("1",) * array.shape[2], CT_INTERCEPT)


def store_activity(array: np.ndarray) -> Stored:
    """Values (i, j, k) >= 0 with one slope per slice, so that each slice uses all its integers, as PET scanners do.

    Raises DataError when a value is not finite or negative.
    """
    low, _ = _finite_range(array, "activity")
    if low < 0:
        raise DataError(f"PET series: the smallest value is {low:g}, expected 0 or more. Clip the volume before writing.")
    peaks = array.max(axis=(0, 1)).astype(np.float64)
    # rounded up, so that the peak never exceeds the largest integer
    slopes = decimal_strings(np.where(peaks > 0, peaks * (1 + 1e-6) / LARGEST, 1.0))
    integers = np.rint(array.astype(np.float64) / np.array([float(slope) for slope in slopes]))
    return Stored(integers.astype(np.uint16), tuple(slopes), 0)


def _finite_range(array: np.ndarray, what: str) -> tuple[float, float]:
    if not np.isfinite(array).all():
        raise DataError(
            f"DICOM series: {int((~np.isfinite(array)).sum())} {what} values are not finite. Replace them before writing."
        )
    return float(array.min()), float(array.max())
