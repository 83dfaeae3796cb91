"""Fan beam: every view looks out from one point at a flat detector."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from physics.ct.grid import Grid, centred, check_detector
from physics.ct.projection import Projection


@dataclass(frozen=True)
class FanBeam(Projection):
    """Line integrals along rays from a turning source to a flat detector.

    grid          pixels of a slice
    angles_rad    of the views, counter-clockwise; `grid.arc(views, length_rad=2 * math.pi)` makes a full turn
    bins          of the detector, its middle on the line from the source through the axis of rotation
    bin_mm        distance between bins on the detector, mm
    source_mm     from the source to the axis of rotation, mm
    detector_mm   from the source to the detector, mm

        source    source_mm (sin t, -cos t)
        bin k     (detector_mm - source_mm) (-sin t, cos t) + u_k (cos t, sin t),   u_k = (k - (bins - 1)/2) bin_mm
        p[v, k] = integral of attenuation along the line through both

    ValueError for what parallel beams refuse, a source inside the pixels, or a detector before the axis.
    """

    grid: Grid
    angles_rad: tuple[float, ...]
    bins: int
    bin_mm: float
    source_mm: float
    detector_mm: float

    def __post_init__(self):
        check_detector(self.angles_rad, self.bins, self.bin_mm)
        if not self.grid.radius_mm < self.source_mm <= self.detector_mm < math.inf:
            raise ValueError(
                f"found source_mm {self.source_mm:g} and detector_mm {self.detector_mm:g}, expected "
                f"{self.grid.radius_mm:g} (the circle around the pixels) < source_mm <= detector_mm, both from the source. "
                f"If detector_mm was measured from the axis, add source_mm to it."
            )

    @property
    def axis_bin_mm(self) -> float:
        """Distance between rays where they pass the axis of rotation, mm."""
        return self.bin_mm * self.source_mm / self.detector_mm

    def rays(self) -> Iterable[tuple[np.ndarray, np.ndarray]]:
        along_mm = centred(self.bins, self.bin_mm)[:, None]
        for angle in self.angles_rad:
            sine, cosine = np.sin(angle), np.cos(angle)
            source = self.source_mm * np.array([sine, -cosine])
            ray = self.detector_mm * np.array([-sine, cosine]) + along_mm * np.array([cosine, sine])
            yield np.tile(source, (self.bins, 1)), ray / np.linalg.norm(ray, axis=1, keepdims=True)
