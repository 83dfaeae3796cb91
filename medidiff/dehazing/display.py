"""RF, IQ and decibels as pictures: log-compressed, scan-converted, 8 bits."""

import numpy as np
import torch
from torch import Tensor

from medidiff.io.ultrasound.recording import Parallel, Pixels, Sector
from physics.ultrasound.envelope import grey, log_compress
from physics.ultrasound.polar import PolarGrid
from physics.ultrasound.scan_conversion import CartesianGrid, ScanConversion

_LEAST_ANGLE = 1e-9  # stands for 0 between parallel beams, which no sector has


def polar_grid(scan: Sector | Parallel, shape: tuple[int, int]) -> PolarGrid:
    """The grid of a scan's samples; parallel beams are a sector without angle, which no model of sectors accepts."""
    ranges, lines = shape
    if isinstance(scan, Parallel):
        return PolarGrid(scan.first_range_m, scan.range_step_m, ranges, 0.0, _LEAST_ANGLE, lines)
    return PolarGrid(scan.first_range_m, scan.range_step_m, ranges, scan.first_angle_rad, scan.angle_step_rad, lines)


def pictures_of(envelope: Tensor, scan: Sector | Parallel, *, reference: float, range_db: float, rows: int) -> np.ndarray:
    """Grey levels (frame, row, column) uint8 of envelopes (frame, axial, lateral); black outside a sector.

    reference   amplitude shown as white; the same for every picture that is compared
    range_db    from black to white

    Interpolation is of envelopes, before the logarithm. Frames are converted one by one, so that memory stays bounded.
    """
    convert = conversion(scan, tuple(envelope.shape[1:]), rows=rows)
    shown = (grey(log_compress(convert(one), reference=reference, range_db=range_db), range_db=range_db) for one in envelope)
    return np.stack([one.numpy() for one in shown])


def conversion(scan: Sector | Parallel, shape: tuple[int, int], *, rows: int):
    """A function from samples (axial, lateral) to a picture of so many rows."""
    if isinstance(scan, Sector):
        grid = polar_grid(scan, shape)
        return ScanConversion(grid, CartesianGrid.around(grid, rows=rows)).forward
    depth = scan.range_step_m * shape[0]
    width = scan.line_step_m * shape[1] if scan.line_step_m else depth * 3 / 4  # of unknown width: 3 to 4, as a picture
    size = rows, max(2, round(rows * width / depth))

    def stretched(samples: Tensor) -> Tensor:
        return torch.nn.functional.interpolate(samples[None, None], size, mode="bilinear", align_corners=False)[0, 0]

    return stretched


def picture_geometry(scan: Sector | Parallel, shape: tuple[int, int], *, rows: int) -> Pixels:
    """Pixel size of such pictures; unknown across parallel beams of unknown distance."""
    if isinstance(scan, Sector):
        pixel_m = CartesianGrid.around(polar_grid(scan, shape), rows=rows).pixel_m
        return Pixels(pixel_m, pixel_m)
    pixel_m = scan.range_step_m * shape[0] / rows
    return Pixels(pixel_m, pixel_m) if scan.line_step_m else Pixels()
