"""Positions of samples, as a file lists them, to the scan whose samples lie there."""

import numpy as np

from medidiff.errors import DataError
from medidiff.io.ultrasound.recording import Parallel, Sector

TOLERANCE = 0.05  # of a step, by which a position may miss the regular grid


def scan_of(x_m: np.ndarray, z_m: np.ndarray, *, name: str) -> Sector | Parallel:
    """The regular sector, or the parallel beams, on which all positions lie.

    x_m, z_m   (axial, lateral), across and away from the probe, m
    name       of the file, in messages

        x = r sin(angle),  z = r cos(angle);   parallel:  x = first + line · step,  z = r

    Raises DataError where neither fits to a twentieth of a step. A sector's apex must be the origin.
    """
    x, z = np.asarray(x_m, np.float64), np.asarray(z_m, np.float64)
    if x.shape != z.shape or x.ndim != 2 or min(x.shape) < 2 or not (np.isfinite(x).all() and np.isfinite(z).all()):
        raise DataError(f"{name}: coordinates: found the shape {x.shape}, expected finite (axial, lateral) from 2 x 2 on.")
    line, depth = _regular(x.mean(axis=0), x, axis=1), _regular(z.mean(axis=1), z, axis=0)
    if line and depth:
        return Parallel(*depth, line[1])
    r, angle = np.hypot(x, z), np.arctan2(x, z)
    distance, turn = _regular(np.median(r, axis=1), r, axis=0), _regular(np.median(angle[1:], axis=0), angle[1:], axis=1)
    if distance and turn:
        return Sector(*distance, *turn)
    raise DataError(
        f"{name}: coordinates: found samples that are on no regular sector about the origin and on no parallel beams, "
        "expected one of them. Beamform onto such a grid."
    )


def positions_m(scan: Sector | Parallel, shape: tuple[int, int]) -> np.ndarray:
    """x, y and z of every sample, (axial, lateral, 3) float32 m; beams of unknown distance are one range step apart."""
    ranges, lines = shape
    r = scan.first_range_m + scan.range_step_m * np.arange(ranges)[:, None]
    if isinstance(scan, Sector):
        angle = scan.first_angle_rad + scan.angle_step_rad * np.arange(lines)
        x, z = r * np.sin(angle), r * np.cos(angle)
    else:
        step = scan.line_step_m or scan.range_step_m
        x, z = np.broadcast_arrays(step * (np.arange(lines) - (lines - 1) / 2), r)
    return np.stack([x, np.zeros_like(x), z], axis=-1).astype(np.float32)


def _regular(steps: np.ndarray, values: np.ndarray, *, axis: int) -> tuple[float, float] | None:
    """First value and step along one axis, if all values are there within the tolerance."""
    slope, first = np.polyfit(np.arange(len(steps)), steps, 1)
    line = first + slope * np.arange(len(steps))
    expected = line[:, None] if axis == 0 else line
    fits = slope > 0 and np.abs(values - expected).max() <= TOLERANCE * slope
    return (float(first), float(slope)) if fits else None
