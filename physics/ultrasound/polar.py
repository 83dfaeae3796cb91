"""Where the samples of a sector scan lie: ranges along beams, beams at equal steps of angle."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class PolarGrid:
    """Samples (axial, lateral) of a sector. The angle 0 is the normal of the probe, positive angles lie towards its +x.

    x = r sin(angle),  z = r cos(angle),   z away from the probe, origin at the middle of its face
    """

    first_range_m: float
    range_step_m: float
    ranges: int
    first_angle_rad: float
    angle_step_rad: float
    angles: int

    def __post_init__(self):
        if self.ranges < 1 or self.angles < 1 or not self.range_step_m > 0 or not self.angle_step_rad > 0:
            raise ValueError(
                f"found {self.ranges} ranges every {self.range_step_m} m and {self.angles} angles every {self.angle_step_rad} "
                f"rad, expected at least one of each and steps above 0. Ranges and angles grow with the index."
            )

    @property
    def shape(self) -> tuple[int, int]:
        """Samples of a frame, (axial, lateral)."""
        return self.ranges, self.angles

    def range_m(self) -> Tensor:
        """Distances of the samples from the origin (axial,) m, double precision."""
        return self.first_range_m + self.range_step_m * torch.arange(self.ranges, dtype=torch.float64)

    def angle_rad(self) -> Tensor:
        """Angles of the beams (lateral,) rad, double precision."""
        return self.first_angle_rad + self.angle_step_rad * torch.arange(self.angles, dtype=torch.float64)

    def points_m(self) -> tuple[Tensor, Tensor]:
        """Positions x and z of the samples, (axial, lateral) m each."""
        r, angle = self.range_m()[:, None], self.angle_rad()
        return r * torch.sin(angle), r * torch.cos(angle)

    def grown(self, rows: int, columns: int) -> "PolarGrid":
        """The grid with a margin of samples on all four sides."""
        return replace(
            self,
            first_range_m=self.first_range_m - rows * self.range_step_m,
            first_angle_rad=self.first_angle_rad - columns * self.angle_step_rad,
            ranges=self.ranges + 2 * rows,
            angles=self.angles + 2 * columns,
        )

    def finer(self, factor: int) -> "PolarGrid":
        """The grid with `factor` ranges for each one; the first sample stays where it is."""
        return replace(self, range_step_m=self.range_step_m / factor, ranges=self.ranges * factor)
