"""Parallel beam: every view looks along one direction."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from physics.ct.grid import Grid, centred, check_detector
from physics.ct.projection import Projection


@dataclass(frozen=True)
class ParallelBeam(Projection):
    """Line integrals along parallel rays.

    grid         pixels of a slice
    angles_rad   of the views, counter-clockwise from +x; `grid.arc(views)` makes them
    bins         of the detector, its middle over the axis of rotation
    bin_mm       distance between bins, mm

        p[v, k] = integral of attenuation along the line  x cos(theta_v) + y sin(theta_v) = (k - (bins - 1)/2) bin_mm

    ValueError for angles in degrees, no view, no bin or a bin without width.
    """

    grid: Grid
    angles_rad: tuple[float, ...]
    bins: int
    bin_mm: float

    def __post_init__(self):
        check_detector(self.angles_rad, self.bins, self.bin_mm)

    def rays(self) -> Iterable[tuple[np.ndarray, np.ndarray]]:
        offset_mm = centred(self.bins, self.bin_mm)[:, None]
        for angle in self.angles_rad:
            normal = np.array([np.cos(angle), np.sin(angle)])
            yield offset_mm * normal, np.tile([-normal[1], normal[0]], (self.bins, 1))
