"""Random scatterers of tissue: on the samples of a grid, or anywhere and moving."""

import math

import torch
from torch import Generator, Tensor

from physics.ultrasound.polar import PolarGrid


def draw_amplitudes(shape: tuple[int, ...], *, density: float = 1.0, generator: Generator) -> Tensor:
    """Complex amplitudes of variance 1, complex64.

    shape       of what comes back
    density     share of scatterers that are there: 1 gives fully developed speckle, 0.1 the heavier tails of K statistics
    generator   of the random numbers

    Each is complex Gaussian with probability `density`, else 0, and is divided by sqrt(density).
    """
    amplitudes = torch.randn(shape, dtype=torch.complex64, generator=generator)
    if density < 1:
        amplitudes *= (torch.rand(shape, generator=generator) < density) / math.sqrt(density)
    return amplitudes


def smooth_field(shape: tuple[int, int], cells: tuple[int, int], *, generator: Generator) -> Tensor:
    """A smooth random field (axial, lateral) of mean 0 and variance 1 with about `cells` independent values along each axis."""
    coarse = torch.randn((1, 1, *cells), generator=generator)
    field = torch.nn.functional.interpolate(coarse, shape, mode="bicubic", align_corners=True)[0, 0]
    return (field - field.mean()) / field.std()


def splat(amplitudes: Tensor, range_m: Tensor, angle_rad: Tensor, *, grid: PolarGrid) -> Tensor:
    """Scatterers of any position on the samples of a grid, (axial, lateral) complex.

    amplitudes            (n,) complex, with the phase of the carrier at their ranges
    range_m, angle_rad    (n,) positions; those outside the grid are left out
    grid                  of the samples, fine compared with the pulse

    Each gives its amplitude to its four neighbours, with bilinear weights.
    """
    row = (range_m - grid.first_range_m) / grid.range_step_m
    column = (angle_rad - grid.first_angle_rad) / grid.angle_step_rad
    inside = (row >= 0) & (row < grid.ranges - 1) & (column >= 0) & (column < grid.angles - 1)
    row, column, amplitudes = row[inside], column[inside], amplitudes[inside]
    top, left = row.floor(), column.floor()
    down, right = (row - top).to(amplitudes.real.dtype), (column - left).to(amplitudes.real.dtype)
    place = (top * grid.angles + left).long()
    field = amplitudes.new_zeros(grid.ranges * grid.angles)
    for step, weight in (
        (0, (1 - down) * (1 - right)),
        (1, (1 - down) * right),
        (grid.angles, down * (1 - right)),
        (grid.angles + 1, down * right),
    ):
        field.index_add_(0, place + step, amplitudes * weight)
    return field.reshape(grid.shape)
