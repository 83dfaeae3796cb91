"""Sector scans between their own grid of ranges and angles and square pixels."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from physics.ultrasound.bilinear import Bilinear
from physics.ultrasound.polar import PolarGrid


@dataclass(frozen=True)
class CartesianGrid:
    """Square pixels of a picture: pixel (0, 0) lies at (left_m, top_m), columns grow towards +x, rows away from the probe."""

    rows: int
    columns: int
    pixel_m: float
    left_m: float
    top_m: float

    @staticmethod
    def around(grid: PolarGrid, *, rows: int) -> "CartesianGrid":
        """Pixels that hold a whole sector, `rows` of them along the depth."""
        ends = torch.stack([grid.angle_rad()[0], grid.angle_rad()[-1]])
        angles = torch.cat([ends, torch.zeros(1, dtype=torch.float64)]) if float(ends[0]) < 0 < float(ends[1]) else ends
        r = torch.stack([grid.range_m()[0], grid.range_m()[-1]])[:, None]
        x, z = r * torch.sin(angles), r * torch.cos(angles)
        pixel_m = float(z.max() - z.min()) / max(rows - 1, 1)
        columns = math.ceil(float(x.max() - x.min()) / pixel_m - 1e-9) + 1
        middle_m = float(x.max() + x.min()) / 2
        return CartesianGrid(rows, columns, pixel_m, middle_m - pixel_m * (columns - 1) / 2, float(z.min()))

    def points_m(self) -> tuple[Tensor, Tensor]:
        """Positions x and z of the pixels, (row, column) m each, double precision."""
        z = self.top_m + self.pixel_m * torch.arange(self.rows, dtype=torch.float64)
        x = self.left_m + self.pixel_m * torch.arange(self.columns, dtype=torch.float64)
        return x.expand(self.rows, -1), z[:, None].expand(-1, self.columns)


@dataclass(frozen=True)
class ScanConversion(Bilinear):
    """The picture of a sector scan: (axial, lateral) to (row, column), bilinear in range and angle, 0 outside the sector.

    grid       of the scan
    pictures   of the picture

    For envelopes before the logarithm; decibels would be averaged wrongly. `inside` is the sector.
    """

    grid: PolarGrid
    pictures: CartesianGrid

    @property
    def domain(self) -> tuple[int, int]:
        return self.grid.shape

    @property
    def range(self) -> tuple[int, int]:
        return self.pictures.rows, self.pictures.columns

    def places(self) -> tuple[Tensor, Tensor]:
        x, z = self.pictures.points_m()
        row = (torch.hypot(x, z) - self.grid.first_range_m) / self.grid.range_step_m
        return row, (torch.atan2(x, z) - self.grid.first_angle_rad) / self.grid.angle_step_rad


@dataclass(frozen=True)
class SectorSampling(Bilinear):
    """A sector scan read from its picture: (row, column) to (axial, lateral), bilinear in x and z, 0 outside the picture.

    pictures   of the picture
    grid       of the scan
    """

    pictures: CartesianGrid
    grid: PolarGrid

    @property
    def domain(self) -> tuple[int, int]:
        return self.pictures.rows, self.pictures.columns

    @property
    def range(self) -> tuple[int, int]:
        return self.grid.shape

    def places(self) -> tuple[Tensor, Tensor]:
        x, z = self.grid.points_m()
        return (z - self.pictures.top_m) / self.pictures.pixel_m, (x - self.pictures.left_m) / self.pictures.pixel_m


def scan_convert(envelope: Tensor, grid: PolarGrid, *, pictures: CartesianGrid) -> Tensor:
    """Pictures (*batch, row, column) of envelopes (*batch, axial, lateral), NaN outside the sector."""
    conversion = ScanConversion(grid, pictures)
    return conversion.forward(envelope).masked_fill(~conversion.inside.to(envelope.device), math.nan)
