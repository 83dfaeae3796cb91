"""Where a focal spot stands against the detector, the flat detector that sees the same rays, and where slices lie."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import make_interp_spline

from medidiff.errors import DataError
from medidiff.io.projections.ct_pd_scan import Scan

SAME_RAD, SAME_MM = 1e-4, 0.01
_SIGNS = {"HFS": (-1, 1, 1), "FFS": (1, 1, -1), "HFP": (1, -1, 1), "FFP": (-1, -1, -1)}  # of x, y, z along R, A, S


@dataclass(frozen=True)
class Spot:
    """One place of the focal spot, in the frame in which it stands at 12 o'clock."""

    rho_mm: float
    turn_rad: float  # from the focal centre
    z_mm: float
    gamma_rad: np.ndarray  # (column,) angle of each element from the line through the axis, rising with x
    row_rad: np.ndarray  # (row,) elevation of the rays to the middle of each row
    slice_mm: np.ndarray  # (row,) where they pass the axis, along z


def spot_of(scan: Scan, views: Sequence[int], *, name: str) -> Spot:
    """The focal spot of these views. Raises DataError where it moves among them."""
    shifts = scan.shift[list(views)]
    if (np.ptp(shifts, axis=0) > (SAME_RAD, SAME_MM, SAME_MM)).any():
        raise DataError(
            f"{name}: SourceAngularPositionShift: found a focal spot that moves among views, expected {scan.subscans} places one "
            f"after the other for {scan.focal_spot}. Correct FlyingFocalSpotMode."
        )
    turn_rad, z_mm, outward_mm = shifts.mean(axis=0)
    rho_mm = float(scan.rho_mm[0])
    along = (np.arange(1, scan.elements[1] + 1) - scan.central[1]) * scan.element_mm[1] / scan.focal_mm
    if scan.shape == "FLAT":
        x_mm, y_mm = scan.focal_mm * along, np.full(len(along), rho_mm - scan.focal_mm)
    else:
        x_mm, y_mm = scan.focal_mm * np.sin(along), rho_mm - scan.focal_mm * np.cos(along)
    source = (rho_mm + outward_mm) * np.array([-math.sin(turn_rad), math.cos(turn_rad)])
    across = np.array([math.cos(turn_rad), math.sin(turn_rad)])  # the frame of the spot: +x, and -y towards the axis
    x_mm, y_mm = x_mm - source[0], y_mm - source[1]
    gamma_rad = np.arctan2(x_mm * across[0] + y_mm * across[1], x_mm * across[1] - y_mm * across[0])
    up_mm = (scan.central[0] - np.arange(1, scan.elements[0] + 1)) * scan.element_mm[0] - z_mm
    slope = up_mm / (scan.focal_mm + outward_mm)
    radius_mm = rho_mm + float(outward_mm)
    return Spot(radius_mm, float(turn_rad), float(z_mm), gamma_rad, np.arctan(slope), z_mm + slope * radius_mm)


def flat_detector(scan: Scan, spot: Spot, *, name: str) -> tuple[dict, np.ndarray]:
    """The flat detector and the angle gamma of each of its bins; its u axis runs against the columns.

    Raises DataError where the middle of the detector is off the line through the axis by more than two columns.
    """
    bin_mm = scan.element_mm[1]
    ends_mm = scan.focal_mm * np.tan(spot.gamma_rad[[0, -1]])
    if not ends_mm[0] < 0 < ends_mm[1] or abs(ends_mm[0] + ends_mm[1]) > 4 * bin_mm:
        found = f"{scan.central[1]:g} of {scan.elements[1]} columns"
        raise DataError(f"{name}: DetectorCentralElement: found {found}, expected the middle to 2 columns. Rebin the scan first.")
    bins = math.floor(2 * np.abs(ends_mm).min() / bin_mm + 1e-4) + 1
    u_mm = (np.arange(bins) - (bins - 1) / 2) * bin_mm
    geometry = {"beam": "fan", "bins": bins, "bin_mm": bin_mm, "source_mm": spot.rho_mm, "detector_mm": scan.focal_mm}
    return geometry, -np.arctan(u_mm / scan.focal_mm)


def resampling(spot: Spot, gammas: np.ndarray, *, order: int = 3) -> np.ndarray:
    """(bin, column): what a spline through the columns takes of each of them at the angles of the bins."""
    inside = np.clip(gammas, spot.gamma_rad[0], spot.gamma_rad[-1])
    return make_interp_spline(spot.gamma_rad, np.eye(len(spot.gamma_rad)), k=order)(inside).astype(np.float32)


def photons_at(scan: Scan, spot: Spot, *, views: np.ndarray, gammas: np.ndarray) -> np.ndarray:
    """Photons (view, bin) without an object; a bin beside a dead column, which has none, is dead too."""
    share, photons = resampling(spot, gammas, order=1), scan.photons[views]
    return np.where((photons > 0) @ share.T > 1 - 1e-6, photons @ share.T, 0)


def affine_of(scan: Scan, z_mm: np.ndarray, *, pixel_mm: float, matrix: int, name: str) -> np.ndarray:
    """From voxels to RAS mm, of slices at these places of the table. Raises DataError unless they rise by equal steps."""
    steps = np.diff(z_mm) if len(z_mm) > 1 else np.array([scan.element_mm[0] * scan.rho_mm[0] / scan.focal_mm])
    if np.ptp(steps) > 0.01 * steps.mean() or steps.min() <= 0:
        found = f"{steps.min():.4g} to {steps.max():.4g} mm between slices"
        raise DataError(
            f"{name}: found {found}, expected equal distances over all table positions. Use fewer rows or one position."
        )
    right, front, up = _SIGNS[scan.position]
    middle_mm = (matrix - 1) / 2 * pixel_mm
    affine = np.diag([right * pixel_mm, -front * pixel_mm, up * float(steps.mean()), 1.0])
    affine[:3, 3] = -right * middle_mm, front * middle_mm, up * float(z_mm[0])
    return affine
