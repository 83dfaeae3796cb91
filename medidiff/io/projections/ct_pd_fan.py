"""Circular scans in DICOM-CT-PD as fan beams onto a flat detector, one slice for each detector row."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.interpolate import make_interp_spline

from medidiff.errors import DataError
from medidiff.io.measurement import Projections
from medidiff.io.projections.ct_pd import read_scan, read_views
from medidiff.io.projections.ct_pd_scan import Scan

STEEPEST = 0.02  # rad: rays of a row leave the plane of their slice by no more
SAME_RAD, SAME_MM = 1e-4, 0.01
_SIGNS = {"HFS": (-1, 1, 1), "FFS": (1, 1, -1), "HFP": (1, -1, 1), "FFP": (-1, -1, -1)}  # of x, y, z along R, A, S


@dataclass(frozen=True)
class _Spot:
    """One place of the focal spot, in the frame in which it stands at 12 o'clock."""

    rho_mm: float
    turn_rad: float  # from the focal centre
    z_mm: float
    gamma_rad: np.ndarray  # (column,) angle of each element from the line through the axis, rising with x
    row_rad: np.ndarray  # (row,) elevation of the rays to the middle of each row
    slice_mm: np.ndarray  # (row,) where they pass the axis, along z


def read_ct_pd(folder: Path, *, matrix: int = 512, field_mm: float = 0.0, rows: int = 0, subscan: int = 0) -> Projections:
    """The views of a circular scan as fan beams, resampled from the curved detector to a flat one.

    folder      of one series
    matrix      rows and columns of the slices to reconstruct
    field_mm    their edge; 0: the diameter that was measured
    rows        of the detector, the middle ones; 0: all
    subscan     which place of a flying focal spot, from 0: each is a scan of its own, with its part of the views

        angle = phi + pi + its shift,   u = -focal_mm tan(gamma)       for the element at gamma from the line through the axis
        line integral = cos(elevation) · the measured one,   weight = photons · exp(-line integral)

    Each row becomes the slice in which its rays pass the axis; with `STEEPEST` they leave it by at most 2 % of the way, and
    `provenance.slice_error_mm` says by how much at the edge of the field. Views beyond a full turn are dropped. Raises DataError
    for a helical scan, for steeper rows, for detectors that are spherical or not centred, and as `read_scan` and `read_views`.
    """
    scan = read_scan(folder)
    name = Path(folder).name
    _check_supported(scan, name, subscan=subscan)
    views = _stations(scan, name, subscan=subscan)
    spot = _spot(scan, [view for station in views for view in station], name)
    chosen = _middle_rows(scan, spot, name, rows=rows)
    geometry, gammas = _flat(scan, spot, name)
    angles = scan.phi_rad[views[0]] + spot.turn_rad + math.pi
    geometry |= {"angles_rad": [float(angle) for angle in np.mod(angles, 2 * math.pi)]}
    parts = [_resampled(scan, station, spot, chosen, gammas) for station in views]
    z_mm = np.concatenate([scan.z_mm[station[0]] + spot.slice_mm[chosen] for station in views])
    line_integrals, weights = (None if part[0] is None else np.concatenate(part) for part in zip(*parts))
    order = np.argsort(z_mm, kind="stable")
    reach_mm = 2 * spot.rho_mm * math.sin(-float(gammas[-1]))
    field_mm = field_mm or scan.field_mm or reach_mm
    geometry |= {"rows": matrix, "columns": matrix, "pixel_mm": field_mm / matrix}
    affine = _affine(scan, field_mm / matrix, z_mm[order], name, matrix=matrix)
    provenance = _provenance(scan, spot, chosen, subscan=subscan, field_mm=field_mm)
    weights = None if weights is None else weights[order]
    return Projections(line_integrals[order], geometry, affine, weights, scan.water_per_mm, provenance)


def _check_supported(scan: Scan, name: str, *, subscan: int) -> None:
    if scan.is_helical:
        raise DataError(
            f"{name}: DetectorFocalCenterAxialPosition: found {scan.describe()}, expected a table that stands while the gantry "
            "turns. Helical scans are read and described, but not rebinned: reconstruct an axial scan, or the published images."
        )
    if scan.shape == "SPHERICAL":
        raise DataError(f"{name}: DetectorShape: found SPHERICAL, expected CYLINDRICAL or FLAT. Rebin it first.")
    if not 0 <= subscan < scan.subscans:
        raise DataError(f"{name}: subscan: found {subscan}, expected 0 to {scan.subscans - 1} for {scan.focal_spot}.")


def _stations(scan: Scan, name: str, *, subscan: int) -> list[np.ndarray]:
    """The views of each place of the table within one turn; all places must have the same angles."""
    found = []
    own = np.arange(subscan, len(scan.phi_rad), scan.subscans)
    for z_mm in scan.stations_mm:
        views = own[np.abs(scan.z_mm[own] - z_mm) <= 2 * SAME_MM]
        turned = np.abs(scan.turn_rad[views] - scan.turn_rad[views[0]]) if len(views) else np.zeros(0)
        if len(views) < 2:
            raise DataError(
                f"{name}: found {len(views)} views at table position {z_mm:g} mm, expected at least 2. Copy it again."
            )
        found.append(views[turned < 2 * math.pi - np.median(np.diff(turned)) / 2])
    first = scan.phi_rad[found[0]]
    for z_mm, views in zip(scan.stations_mm, found):
        if len(views) != len(first) or np.abs(np.sin((scan.phi_rad[views] - first) / 2)).max() > SAME_RAD:
            raise DataError(
                f"{name}: DetectorFocalCenterAngularPosition: found other angles at table position {z_mm:g} mm than at "
                f"{scan.stations_mm[0]:g} mm, expected the same. Reconstruct each position by itself."
            )
    return found


def _spot(scan: Scan, views: Sequence[int], name: str) -> _Spot:
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
    return _Spot(radius_mm, float(turn_rad), float(z_mm), gamma_rad, np.arctan(slope), z_mm + slope * radius_mm)


def _middle_rows(scan: Scan, spot: _Spot, name: str, *, rows: int) -> np.ndarray:
    """The rows that are used, in the order of rising z: row 1 is the highest."""
    if not 0 <= rows <= scan.elements[0]:
        raise DataError(f"{name}: rows: found {rows}, expected 1 to {scan.elements[0]}, or 0 for all.")
    chosen = np.sort(np.argsort(np.abs(spot.row_rad), kind="stable")[: rows or scan.elements[0]])[::-1]
    steepest = float(np.abs(spot.row_rad[chosen]).max())
    if steepest > STEEPEST:
        fit = int((np.abs(spot.row_rad) <= STEEPEST).sum())
        raise DataError(
            f"{name}: found rows whose rays rise by {steepest:.3g} rad, expected at most {STEEPEST}, since each row becomes a "
            f"slice of its own. Use the middle {fit} rows."
        )
    return chosen


def _flat(scan: Scan, spot: _Spot, name: str) -> tuple[dict, np.ndarray]:
    """The flat detector and the angle gamma of each of its bins; its u axis runs against the columns."""
    bin_mm = scan.element_mm[1]
    ends_mm = scan.focal_mm * np.tan(spot.gamma_rad[[0, -1]])
    if not ends_mm[0] < 0 < ends_mm[1] or abs(ends_mm[0] + ends_mm[1]) > 4 * bin_mm:
        found = f"{scan.central[1]:g} of {scan.elements[1]} columns"
        raise DataError(f"{name}: DetectorCentralElement: found {found}, expected the middle to 2 columns. Rebin the scan first.")
    bins = math.floor(2 * np.abs(ends_mm).min() / bin_mm + 1e-4) + 1
    u_mm = (np.arange(bins) - (bins - 1) / 2) * bin_mm
    geometry = {"beam": "fan", "bins": bins, "bin_mm": bin_mm, "source_mm": spot.rho_mm, "detector_mm": scan.focal_mm}
    return geometry, -np.arctan(u_mm / scan.focal_mm)


def _resampled(
    scan: Scan, views: np.ndarray, spot: _Spot, rows: np.ndarray, gammas: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None]:
    """Line integrals and weights (slice, view, bin) of one table position."""
    shortened = np.cos(spot.row_rad[rows])[:, None, None]
    measured = read_views(scan, views)[:, rows].transpose(1, 0, 2)
    gammas = np.clip(gammas, spot.gamma_rad[0], spot.gamma_rad[-1])
    line_integrals = shortened * make_interp_spline(spot.gamma_rad, measured, k=3, axis=-1)(gammas)
    if scan.photons is None:
        return line_integrals.astype(np.float32), None
    photons = scan.photons[views]
    arriving, alive = (make_interp_spline(spot.gamma_rad, each, k=1, axis=-1)(gammas) for each in (photons, photons > 0))
    arriving = np.where(alive > 1 - 1e-6, arriving, 0)  # a bin beside a dead element is dead too
    return line_integrals.astype(np.float32), (arriving * np.exp(-line_integrals)).astype(np.float32)


def _affine(scan: Scan, pixel_mm: float, z_mm: np.ndarray, name: str, *, matrix: int) -> np.ndarray:
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


def _provenance(scan: Scan, spot: _Spot, rows: np.ndarray, *, subscan: int, field_mm: float) -> dict:
    steepest = float(np.abs(np.tan(spot.row_rad[rows])).max())
    return {
        "format": "DICOM-CT-PD",
        "scan": scan.describe(),
        "subscan": subscan,
        "detector": f"{scan.shape.lower()}, resampled to flat by cubic splines",
        "slice_error_mm": round(steepest * field_mm / 2, 4),
        "position": f"{scan.position}, along the table from the scanner's origin",
    }
