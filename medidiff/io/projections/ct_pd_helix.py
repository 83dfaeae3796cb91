"""Helical scans in DICOM-CT-PD as a stack of fan beams: single-slice rebinning (Noo, Defrise, Clackdoyle 1999)."""

import math
from dataclasses import dataclass

import numpy as np

from medidiff.errors import DataError
from medidiff.io.projections.ct_pd import LARGEST_BYTES, read_views
from medidiff.io.projections.ct_pd_scan import Scan
from medidiff.io.projections.ct_pd_spot import Spot, flat_detector, photons_at, resampling

CHUNK = 64  # views in memory at a time
SAME_STEP = 0.25  # of the step between views: how well they must repeat after a turn
SPARE_ROWS = 0.05  # of all rows: how far a ray may pass the detector's edge, whose row then stands for it


@dataclass(frozen=True, eq=False)
class Rebinned:
    """Fan beams of a stack of slices.

    line_integrals, weights   (slice, view, bin)   weights None: unknown
    z_mm                      (slice,)             along the table, rising
    views                     (view,)              of the scan, that name the angles
    steepest                                       largest elevation of a ray that was used, as a tangent
    """

    line_integrals: np.ndarray
    weights: np.ndarray | None
    z_mm: np.ndarray
    views: np.ndarray
    steepest: float


def rebin_helix(scan: Scan, spot: Spot, *, views: np.ndarray, slice_mm: float, name: str) -> Rebinned:
    """For every slice and angle, the view nearest along z, read where its rays meet the slice at their foot on the axis side.

    views      of one place of the focal spot, in order
    slice_mm   distance between slices; 0: the height of a row at the axis
    name       of the scan in messages

        slope = (slice - source) / (rho cos gamma),   v = focal_mm slope (cylindrical) or focal_mm slope / cos gamma (flat)
        line integral = the measured one at v, linear between rows, / sqrt(1 + slope^2)

    Slices are those for which all angles were measured. Raises DataError where views do not repeat from turn to turn, less than a
    turn and a half was measured, or the pitch leaves gaps between the turns.
    """
    count = _views_per_turn(scan, views, name=name)
    feed_mm = float(np.median(scan.z_mm[views][count:] - scan.z_mm[views][:-count]))
    _check_pitch(scan, spot, feed_mm=feed_mm, name=name)
    source_mm = scan.z_mm[views] + spot.z_mm
    slice_mm = slice_mm or scan.element_mm[0] * spot.rho_mm / scan.focal_mm
    z_mm = _covered(source_mm, count, feed_mm=feed_mm, slice_mm=slice_mm, name=name)
    geometry, gammas = flat_detector(scan, spot, name=name)
    shape = len(z_mm), count, geometry["bins"]
    if 4 * math.prod(shape) > LARGEST_BYTES:
        raise DataError(f"{name}: found {shape} line integrals, expected at most {LARGEST_BYTES >> 30} GB. Take thicker slices.")
    turn_of = np.rint((z_mm[:, None] - source_mm[:count]) / feed_mm).astype(int)  # (slice, angle): with the nearest view
    line_integrals = np.empty(shape, dtype=np.float32)
    photons = None if scan.photons is None else np.empty(shape, dtype=np.float32)
    columns = resampling(spot, gammas)
    for start in range(0, len(views), CHUNK):
        chunk = views[start : start + CHUNK]
        arriving = None if photons is None else photons_at(scan, spot, views=chunk, gammas=gammas)
        for own, values in enumerate(read_views(scan, chunk) @ columns.T):
            turn, angle = divmod(start + own, count)
            slices = np.flatnonzero(turn_of[:, angle] == turn)
            above_mm = z_mm[slices] - source_mm[start + own]
            line_integrals[slices, angle] = _at_rows(scan, spot, values=values, above_mm=above_mm, gammas=gammas)
            if photons is not None:
                photons[slices, angle] = arriving[own]
    weights = None if photons is None else photons * np.exp(-line_integrals)
    steepest = abs(feed_mm) / 2 / (spot.rho_mm * float(np.cos(gammas).min()))
    return Rebinned(line_integrals, weights, z_mm, views[:count], steepest)


def _at_rows(scan: Scan, spot: Spot, *, values: np.ndarray, above_mm: np.ndarray, gammas: np.ndarray) -> np.ndarray:
    """Line integrals (slice, bin) of one view, whose `values` are (row, bin), in slices `above_mm` its source."""
    slope = above_mm[:, None] / (spot.rho_mm * np.cos(gammas))
    distance_mm = scan.focal_mm + spot.rho_mm - float(scan.rho_mm[0])
    along_mm = distance_mm / np.cos(gammas) if scan.shape == "FLAT" else distance_mm
    row = scan.central[0] - 1 - (slope * along_mm + spot.z_mm) / scan.element_mm[0]
    row = np.clip(row, 0, len(values) - 1)
    below, bins = row.astype(int), np.arange(values.shape[1])
    share, upper = row - below, np.minimum(below + 1, len(values) - 1)
    return ((1 - share) * values[below, bins] + share * values[upper, bins]) / np.sqrt(1 + slope**2)


def _views_per_turn(scan: Scan, views: np.ndarray, *, name: str) -> int:
    turned = scan.turn_rad[views]
    step = abs(float(np.median(np.diff(turned))))
    count = round(2 * math.pi / step) if step > 0 else 0
    if not 2 <= count <= len(views) / 1.5:
        found = f"{len(views)} views, {scan.turns:.3g} turns"
        raise DataError(f"{name}: found {found}, expected more than one and a half turns. Take the whole series.")
    away = np.abs(np.abs(turned[count:] - turned[:-count]) - 2 * math.pi).max()
    drift = np.abs(np.sin((turned - np.resize(turned[:count], len(turned))) / 2)).max() * 2
    if max(away, drift) > SAME_STEP * step:
        found = f"angles that differ by {max(away, drift):.3g} rad from turn to turn"
        raise DataError(
            f"{name}: DetectorFocalCenterAngularPosition: found {found}, expected them to repeat. Resample the views."
        )
    return count


def _check_pitch(scan: Scan, spot: Spot, *, feed_mm: float, name: str) -> None:
    rows, row_mm = scan.elements[0], scan.element_mm[0]
    widest = math.cos(max(abs(float(spot.gamma_rad[0])), abs(float(spot.gamma_rad[-1]))))
    reach_mm = scan.focal_mm * abs(feed_mm) / 2 / (spot.rho_mm * widest)
    spare = max(1.0, SPARE_ROWS * rows)
    ends = scan.central[0] - (np.array([reach_mm, -reach_mm]) + spot.z_mm) / row_mm
    if ends.min() < 1 - spare or ends.max() > rows + spare:
        found = f"pitch {scan.pitch:.3g}, for which rays pass the detector by {max(1 - ends.min(), ends.max() - rows):.3g} rows"
        raise DataError(f"{name}: found {found}, expected at most {spare:.3g}. Use a smaller pitch, or the published images.")


def _covered(source_mm: np.ndarray, count: int, *, feed_mm: float, slice_mm: float, name: str) -> np.ndarray:
    """Slices, rising, for which every angle has a view within half a feed."""
    ends_mm = np.stack([source_mm[:count] - feed_mm / 2, source_mm[-count:] + feed_mm / 2])
    low, high = (ends_mm[0].max(), ends_mm[1].min()) if feed_mm > 0 else (ends_mm[1].max(), ends_mm[0].min())
    slices = math.floor((high - low) / slice_mm - 1e-6)
    if slices < 1:
        found = f"{high - low:.3g} mm that every angle has seen"
        raise DataError(f"{name}: DetectorFocalCenterAxialPosition: found {found}, expected more than a slice. Take more turns.")
    return (low + high) / 2 + (np.arange(slices) - (slices - 1) / 2) * slice_mm
