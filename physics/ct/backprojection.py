"""Filtered back-projection of parallel and full-turn fan beams: the direct inverse, for many views."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from physics.ct.fan import FanBeam
from physics.ct.grid import Grid, centred
from physics.ct.parallel import ParallelBeam
from physics.ct.ramp import filter_rows

EQUAL = 1e-6  # relative difference up to which steps between views count as equal


def reconstruct_parallel(sinogram: Tensor, beam: ParallelBeam, *, window: str = "ram-lak", cutoff: float = 1.0) -> Tensor:
    """Attenuation by filtered back-projection of parallel views.

    sinogram   (*batch, 1, view, bin)     line integrals, no unit
    beam       equal steps along an arc of at most half a turn, or along a full one
    window     of the ramp, a name of `ramp.WINDOWS`; with `cutoff`, the share of frequencies kept
    returns    (*batch, 1, row, column)   1/mm

        x(r) = sum over views of  step · q_v(x cos(theta_v) + y sin(theta_v)),   q = p * ramp

    (Kak and Slaney 1988, eq. 3.39); q is interpolated linearly and 0 beyond the detector. A full turn sees each line twice and
    counts it half. ValueError for another shape, unequal steps, or an arc between half a turn and a full one.
    """
    _check_sinogram(sinogram, beam)
    step, length = equal_steps(beam.angles_rad)
    if length > math.pi * (1 + EQUAL):
        step = step / 2 if math.isclose(length, 2 * math.pi, rel_tol=EQUAL) else math.nan
    if math.isnan(step):
        raise ValueError(
            f"angles_rad: found an arc of {math.degrees(length):.1f} degrees, expected at most 180 or all 360. "
            f"Keep 180 degrees with subset(), or solve by iteration."
        )
    filtered = filter_rows(sinogram, beam.bin_mm, window=window, cutoff=cutoff) * step
    x, y = _pixels(beam.grid, sinogram)
    places = ((x * math.cos(t) + y * math.sin(t), torch.ones_like(x)) for t in beam.angles_rad)
    return _spread(filtered, places, beam.bin_mm, beam.grid)


def reconstruct_fan(sinogram: Tensor, beam: FanBeam, *, window: str = "ram-lak", cutoff: float = 1.0) -> Tensor:
    """Attenuation by filtered back-projection of a full turn of fan views.

    sinogram   (*batch, 1, view, bin)     line integrals, no unit
    beam       equal steps along a full turn
    window     of the ramp, a name of `ramp.WINDOWS`; with `cutoff`, the share of frequencies kept
    returns    (*batch, 1, row, column)   1/mm

        x(r) = 1/2 sum over views of  step / U^2 · q_v(u),   q = (p · source / sqrt(source^2 + u^2)) * ramp
        U = (source - x sin t + y cos t) / source,   u = (x cos t + y sin t) / U,   u on the detector moved to the axis

    (Kak and Slaney 1988, section 3.4.2). ValueError for another shape, unequal steps, or less than a full turn.
    """
    _check_sinogram(sinogram, beam)
    step, length = equal_steps(beam.angles_rad)
    if not math.isclose(length, 2 * math.pi, rel_tol=EQUAL):
        raise ValueError(
            f"angles_rad: found an arc of {math.degrees(length):.1f} degrees, expected 360 for a fan. Solve by iteration."
        )
    along = torch.as_tensor(centred(beam.bins, beam.axis_bin_mm)).to(sinogram)
    slant = beam.source_mm / torch.sqrt(beam.source_mm**2 + along**2)
    filtered = filter_rows(sinogram * slant, beam.axis_bin_mm, window=window, cutoff=cutoff) * (step / 2)
    x, y = _pixels(beam.grid, sinogram)
    return _spread(filtered, (_fan_place(x, y, t, beam.source_mm) for t in beam.angles_rad), beam.axis_bin_mm, beam.grid)


def _fan_place(x: Tensor, y: Tensor, angle: float, source_mm: float) -> tuple[Tensor, Tensor]:
    """Where the ray through each pixel passes the detector moved to the axis, mm, and the pixel's weight 1 / U^2."""
    depth = (source_mm - x * math.sin(angle) + y * math.cos(angle)) / source_mm
    return (x * math.cos(angle) + y * math.sin(angle)) / depth, depth**-2


def _spread(filtered: Tensor, places: Iterable[tuple[Tensor, Tensor]], spacing_mm: float, grid: Grid) -> Tensor:
    """Sum over views of  weight · q_v(place), q linear between bins: (*batch, 1, row, column). One view in memory at a time."""
    bins = filtered.shape[-1]
    padded = torch.nn.functional.pad(filtered, (1, 2)).flatten(0, -3).movedim(-2, 0)
    image = filtered.new_zeros((padded.shape[1], grid.rows * grid.columns))
    for row, (place_mm, weight) in zip(padded, places):
        index = (place_mm / spacing_mm + (bins + 1) / 2).clamp(0, bins + 1).flatten()
        lower = index.long()
        share = index - lower
        image += (row[:, lower] * (1 - share) + row[:, lower + 1] * share) * weight.flatten()
    return image.reshape(*filtered.shape[:-2], grid.rows, grid.columns)


def _pixels(grid: Grid, like: Tensor) -> tuple[Tensor, Tensor]:
    """Centres of all pixels, x and y (row, column), mm, as `like`."""
    y, x = torch.meshgrid(torch.as_tensor(grid.y_mm), torch.as_tensor(grid.x_mm), indexing="ij")
    return x.to(like), y.to(like)


def equal_steps(angles_rad: tuple[float, ...]) -> tuple[float, float]:
    """The step between views and the arc they fill, one step included. ValueError for fewer than two views or unequal steps."""
    ordered = torch.tensor(sorted(angles_rad), dtype=torch.float64)
    gaps = ordered.diff()
    if len(gaps) == 0 or float(gaps.min()) <= 0 or float(gaps.max() - gaps.min()) > EQUAL * float(gaps.max()):
        raise ValueError(
            f"angles_rad: found {len(angles_rad)} views with unequal steps or doubles, expected at least two, equally spaced. "
            f"Choose equally spaced ones with subset(), or solve by iteration."
        )
    step = float(gaps.mean())
    return step, step * len(angles_rad)


def _check_sinogram(sinogram: Tensor, beam: ParallelBeam | FanBeam) -> None:
    if tuple(sinogram.shape[-3:]) != beam.range:
        raise ValueError(
            f"sinogram: found shape {tuple(sinogram.shape)}, expected (*batch, {', '.join(map(str, beam.range))}). "
            f"Swap its axes, or build the geometry that measured it."
        )
