"""How the source and the detector of a CT moved, in the terms of DICOM-CT-PD."""

import math
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

SUBSCANS = {"FFSNONE": 1, "FFSZ": 2, "FFSXY": 2, "FFSXYZ": 4}  # places of the focal spot, one view after the other
SAME_MM = 0.01


@dataclass(frozen=True, eq=False)
class Scan:
    """Views of one scan; the coordinates are left-handed, seen from the table: x to the right, y up, z into the gantry.

    phi_rad        (view,)            of the detector's focal centre, counter-clockwise from 12 o'clock
    rho_mm         (view,)            of the same, from the axis of rotation
    z_mm           (view,)            of the same
    shift          (view, 3)          of the focal spot against it: rad along phi, mm along z, mm along rho
    elements       rows, columns      of the detector; row 1 is farthest from the table, column 1 leftmost at 6 o'clock
    element_mm     row, column        their distances at the detector
    central        row, column        where the line from the focal centre through the axis meets the detector, from 1
    focal_mm                          from the focal centre to that element
    shape                             CYLINDRICAL, FLAT or SPHERICAL
    focal_spot                        FFSNONE, FFSZ, FFSXY or FFSXYZ
    photons        (view, column)     that would arrive without an object; None: unknown
    water_per_mm                      attenuation of water
    position                          PatientPosition; HFS where the file is silent
    field_mm                          diameter of what was measured; 0: unknown
    rescale        (view, 2)          slope and intercept of the stored numbers, of a scan that was read

        focal centre = (-rho sin phi, rho cos phi, z),   focal spot the same with the shifts added to phi, z and rho
    """

    phi_rad: np.ndarray
    rho_mm: np.ndarray
    z_mm: np.ndarray
    shift: np.ndarray
    elements: tuple[int, int]
    element_mm: tuple[float, float]
    central: tuple[float, float]
    focal_mm: float
    shape: str = "CYLINDRICAL"
    focal_spot: str = "FFSNONE"
    photons: np.ndarray | None = None
    water_per_mm: float = 0.0192
    position: str = "HFS"
    field_mm: float = 0.0
    rescale: np.ndarray | None = None
    paths: tuple[Path, ...] = field(default=(), repr=False)  # in the order of the views

    @cached_property
    def turn_rad(self) -> np.ndarray:
        """phi without jumps of a full turn, (view,)."""
        return np.unwrap(self.phi_rad)

    @property
    def turns(self) -> float:
        """Rotations of the gantry from the first view to the last."""
        return abs(float(self.turn_rad[-1] - self.turn_rad[0])) / (2 * math.pi)

    @property
    def subscans(self) -> int:
        """Places of the focal spot, each of which makes a scan of its own."""
        return SUBSCANS[self.focal_spot]

    @cached_property
    def stations_mm(self) -> np.ndarray:
        """Places of the table, without those that are equal to 0.01 mm, rising."""
        sorted_mm = np.sort(self.z_mm)
        return sorted_mm[np.append(True, np.diff(sorted_mm) > SAME_MM)]

    @property
    def is_helical(self) -> bool:
        """Whether the table moves while the gantry turns."""
        return len(self.stations_mm) > max(1, len(self.z_mm) // 8)

    @property
    def feed_mm(self) -> float:
        """Of the table in each turn of a helical scan; the files do not state it."""
        return abs(float(self.z_mm[-1] - self.z_mm[0])) / self.turns if self.is_helical and self.turns else 0.0

    @property
    def pitch(self) -> float:
        """Feed in each turn over the width of the beam at the axis; 0 where the table stands."""
        return self.feed_mm / (self.elements[0] * self.element_mm[0] * float(self.rho_mm[0]) / self.focal_mm)

    def describe(self) -> str:
        """One sentence for messages and logs."""
        kind = f"helical, pitch {self.pitch:.3g}" if self.is_helical else f"circular, {len(self.stations_mm)} table positions"
        rows, columns = self.elements
        detector = f"{rows} x {columns} elements, {self.shape.lower()}"
        return f"{len(self.phi_rad)} views in {self.turns:.3g} turns, {kind}, {detector}, focal spot {self.focal_spot}"
