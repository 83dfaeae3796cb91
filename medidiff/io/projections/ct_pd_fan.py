"""Scans in DICOM-CT-PD as fan beams onto a flat detector: one slice for each row of a circle, or a helix rebinned to slices."""

import math
from pathlib import Path

import numpy as np

from medidiff.errors import DataError
from medidiff.io.measurement import Projections
from medidiff.io.projections.ct_pd import read_scan, read_views
from medidiff.io.projections.ct_pd_helix import Rebinned, rebin_helix
from medidiff.io.projections.ct_pd_scan import Scan
from medidiff.io.projections.ct_pd_spot import SAME_MM, SAME_RAD, Spot, affine_of, flat_detector, photons_at, resampling, spot_of

STEEPEST = 0.02  # rad: rays of a row leave the plane of their slice by no more


def read_ct_pd(
    folder: Path, *, matrix: int = 512, field_mm: float = 0.0, slice_mm: float = 0.0, rows: int = 0, subscan: int = 0
) -> Projections:
    """The views of a circular or helical scan as fan beams, resampled from the curved detector to a flat one.

    folder      of one series
    matrix      rows and columns of the slices to reconstruct
    field_mm    their edge; 0: the diameter that was measured
    slice_mm    of a helical scan, distance between slices; 0: the height of a row at the axis
    rows        of a circular scan, the middle ones; 0: all
    subscan     which place of a flying focal spot, from 0: each is a scan of its own, with its part of the views

        angle = phi + pi + its shift,   u = -focal_mm tan(gamma)       for the element at gamma from the line through the axis
        line integral = cos(elevation) · the measured one,   weight = photons · exp(-line integral)

    Circular: each row becomes the slice in which its rays pass the axis, and views beyond a full turn are dropped. Helical: see
    `rebin_helix`. `provenance.slice_error_mm` says how far rays leave their slice at the edge of the field. Raises DataError for
    rows steeper than `STEEPEST`, for detectors that are spherical or not centred, and as the steps do.
    """
    scan, name = read_scan(folder), Path(folder).name
    if scan.shape == "SPHERICAL":
        raise DataError(f"{name}: DetectorShape: found SPHERICAL, expected CYLINDRICAL or FLAT. Rebin it first.")
    if not 0 <= subscan < scan.subscans:
        raise DataError(f"{name}: subscan: found {subscan}, expected 0 to {scan.subscans - 1} for {scan.focal_spot}.")
    own = np.arange(subscan, len(scan.phi_rad), scan.subscans)
    spot = spot_of(scan, own, name=name)
    if scan.is_helical:
        found = rebin_helix(scan, spot, views=own, slice_mm=slice_mm, name=name)
    else:
        found = _of_circles(scan, spot, views=own, rows=rows, name=name)
    geometry, gammas = flat_detector(scan, spot, name=name)
    angles = np.mod(scan.phi_rad[found.views] + spot.turn_rad + math.pi, 2 * math.pi)
    field_mm = field_mm or scan.field_mm or 2 * spot.rho_mm * math.sin(-float(gammas[-1]))
    geometry |= {"angles_rad": angles.tolist(), "rows": matrix, "columns": matrix, "pixel_mm": field_mm / matrix}
    affine = affine_of(scan, found.z_mm, pixel_mm=field_mm / matrix, matrix=matrix, name=name)
    facts = {"format": "DICOM-CT-PD", "scan": scan.describe(), "subscan": subscan}
    facts |= {"detector": f"{scan.shape.lower()}, resampled to flat by cubic splines"}
    facts |= {"slice_error_mm": round(found.steepest * field_mm / 2, 4)}
    facts |= {"position": f"{scan.position}, along the table from the scanner's origin"}
    return Projections(found.line_integrals, geometry, affine, found.weights, scan.water_per_mm, facts)


def _of_circles(scan: Scan, spot: Spot, *, views: np.ndarray, rows: int, name: str) -> Rebinned:
    """The rows of all table positions as slices, in the order of rising z."""
    stations = _stations(scan, views, name=name)
    chosen = _middle_rows(scan, spot, rows=rows, name=name)
    _, gammas = flat_detector(scan, spot, name=name)
    parts = [_resampled(scan, spot, views=station, rows=chosen, gammas=gammas) for station in stations]
    z_mm = np.concatenate([scan.z_mm[station[0]] + spot.slice_mm[chosen] for station in stations])
    line_integrals, weights = (None if part[0] is None else np.concatenate(part) for part in zip(*parts))
    order = np.argsort(z_mm, kind="stable")
    weights = None if weights is None else weights[order]
    steepest = float(np.abs(np.tan(spot.row_rad[chosen])).max())
    return Rebinned(line_integrals[order], weights, z_mm[order], stations[0], steepest)


def _stations(scan: Scan, own: np.ndarray, *, name: str) -> list[np.ndarray]:
    """The views of each place of the table within one turn; all places must have the same angles."""
    found = []
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


def _middle_rows(scan: Scan, spot: Spot, *, rows: int, name: str) -> np.ndarray:
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


def _resampled(
    scan: Scan, spot: Spot, *, views: np.ndarray, rows: np.ndarray, gammas: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None]:
    """Line integrals and weights (slice, view, bin) of one table position."""
    shortened = np.cos(spot.row_rad[rows]).astype(np.float32)[:, None, None]
    measured = read_views(scan, views)[:, rows].transpose(1, 0, 2)
    line_integrals = shortened * (measured @ resampling(spot, gammas).T)
    if scan.photons is None:
        return line_integrals, None
    return line_integrals, (photons_at(scan, spot, views=views, gammas=gammas) * np.exp(-line_integrals)).astype(np.float32)
