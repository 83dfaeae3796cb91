"""Where pixels and views are: millimetres from the axis of rotation, and angles that never measure a direction twice."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LARGEST_ANGLE_RAD = 4 * math.pi  # anything beyond was given in degrees


@dataclass(frozen=True)
class Grid:
    """Pixels of a slice. The axis of rotation is its middle, between pixels where a size is even; row 0 is at the largest y.

    rows       pixels along y
    columns    pixels along x
    pixel_mm   edge of a square pixel, mm
    """

    rows: int
    columns: int
    pixel_mm: float

    def __post_init__(self):
        if min(self.rows, self.columns) < 1 or not 0 < self.pixel_mm < math.inf:
            raise ValueError(
                f"found a grid of {self.rows} x {self.columns} pixels of {self.pixel_mm} mm, "
                f"expected at least one pixel and a positive, finite edge in mm"
            )

    @property
    def x_mm(self) -> np.ndarray:
        """Centres of the columns, (columns,)."""
        return centred(self.columns, self.pixel_mm)

    @property
    def y_mm(self) -> np.ndarray:
        """Centres of the rows, (rows,), from +y down to -y."""
        return -centred(self.rows, self.pixel_mm)

    @property
    def radius_mm(self) -> float:
        """Of the circle around the axis that holds all pixels."""
        return 0.5 * self.pixel_mm * math.hypot(self.rows, self.columns)


def centred(count: int, spacing_mm: float) -> np.ndarray:
    """Positions (k - (count - 1)/2) spacing_mm, (count,): the same middle for even and odd counts."""
    return (np.arange(count) - (count - 1) / 2) * spacing_mm


def arc(views: int, *, start_rad: float = 0.0, length_rad: float = math.pi) -> tuple[float, ...]:
    """`views` equal steps along an arc, its end left out: pi for parallel beams, 2 pi for fans, less for a limited angle."""
    return tuple(start_rad + length_rad * view / views for view in range(views))


def check_detector(angles_rad: Sequence[float], bins: int, bin_mm: float) -> None:
    """ValueError for no view, angles in degrees or not finite, no bin, or a bin without width."""
    if not angles_rad or not all(math.isfinite(angle) for angle in angles_rad):
        raise ValueError(f"angles_rad: found {len(angles_rad)} angles, expected at least one and all finite")
    largest = max(abs(angle) for angle in angles_rad)
    if largest > LARGEST_ANGLE_RAD:
        raise ValueError(f"angles_rad: found {largest:g}, expected at most 4 pi. Convert degrees with math.radians.")
    if bins < 1 or not 0 < bin_mm < math.inf:
        raise ValueError(f"found {bins} bins of {bin_mm} mm, expected at least one and a positive, finite width in mm")
