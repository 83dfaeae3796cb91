"""Are the slices complete, each once, and equally far apart? If not: which, and what to do."""

from collections.abc import Sequence

import numpy as np

from medidiff.io.dicom.geometry import depths, drift_mm, is_sheared, stack_affine, tilt_degrees
from medidiff.io.dicom.planes import Plane

_SHOWN = 5  # positions named in one message


def tolerance_mm(step: float) -> float:
    """How far a distance between slices may differ from the median one: a hundredth of it, at least 0.01 mm."""
    return max(0.01, 0.01 * step) * (1 + 1e-6) + 1e-6


def even_enough_mm(step: float) -> float:
    """How far every slice may be from even spacing although a gap exceeds its tolerance: PET beds are joined with such errors."""
    return min(0.1, 0.02 * step)


def coincident(planes: Sequence[Plane]) -> list[list[Plane]]:
    """Sorted planes in groups of equal position; a regular stack gives groups of one."""
    gaps = np.diff(depths(planes))
    apart = gaps[gaps > 0.01]
    limit = tolerance_mm(float(np.median(apart))) if apart.size else 0.01
    groups = [[planes[0]]]
    for plane, gap in zip(planes[1:], gaps):
        groups[-1].append(plane) if gap < limit else groups.append([plane])
    return groups


def spacing_problem(planes: Sequence[Plane]) -> str:
    """Why sorted planes of distinct positions make no regular stack; "" when they do.

    planes    at least two, sorted along their normal, no two at one position
    """
    at = depths(planes)
    gaps = np.diff(at)
    step = float(np.median(gaps))
    tolerance = tolerance_mm(step)
    odd = np.flatnonzero(np.abs(gaps - step) > tolerance)
    drift = drift_mm(planes)
    if odd.size and drift.max() > even_enough_mm(step):
        times = np.round(gaps[odd] / step)
        if np.all((times >= 2) & (np.abs(gaps[odd] - times * step) <= np.maximum(times * tolerance, 0.05 * step))):
            return _missing(planes, at, odd, times, step)
        return _irregular(planes, at, odd, gaps, step)
    allowed = max(0.05, 2 * tolerance)
    if drift.max() > allowed:
        worst = int(drift.argmax())
        return (
            f"{planes[worst].place} lies {drift[worst]:.2f} mm beside the even line from the first slice to the last, "
            f"expected at most {allowed:.2f} mm: its position is wrong or it belongs to another series. Export the series again."
        )
    return ""


def unevenness_note(planes: Sequence[Plane]) -> str:
    """How far slices without `spacing_problem` are from even spacing, where a gap exceeds the tolerance; "" where none does."""
    at = depths(planes)
    gaps = np.diff(at)
    step = float(np.median(gaps))
    if np.all(np.abs(gaps - step) <= tolerance_mm(step)):
        return ""
    return (
        f"slices are {gaps.min():.3f} to {gaps.max():.3f} mm apart, none further than {drift_mm(planes).max():.3f} mm "
        f"from even spacing of {(at[-1] - at[0]) / len(gaps):.4f} mm, which is used"
    )


def tilt_problem(planes: Sequence[Plane]) -> str:
    """Why a stack of sorted planes is not right-angled; "" when it is."""
    affine = stack_affine(planes)
    if not is_sheared(affine):
        return ""
    return (
        f"the slices step sideways (gantry tilt of {tilt_degrees(affine):.2f} degrees), expected a right-angled stack. "
        "Export a reformatted series without tilt, or set convert.allow_tilt to resample it."
    )


def _missing(planes: Sequence[Plane], at: np.ndarray, odd: np.ndarray, times: np.ndarray, step: float) -> str:
    count = int(np.sum(times - 1))
    places = "; ".join(
        f"between {planes[k].place} ({at[k]:.2f} mm) and {planes[k + 1].place} ({at[k + 1]:.2f} mm)" for k in odd[:_SHOWN]
    )
    more = f"; and at {len(odd) - _SHOWN} more places" if len(odd) > _SHOWN else ""
    lead = "1 slice is missing" if count == 1 else f"{count} slices are missing"
    return f"{lead} (slices are {step:.3f} mm apart): {places}{more}. Export the whole series again."


def _irregular(planes: Sequence[Plane], at: np.ndarray, odd: np.ndarray, gaps: np.ndarray, step: float) -> str:
    places = "; ".join(
        f"{gaps[k]:.3f} mm between {planes[k].place} ({at[k]:.2f} mm) and {planes[k + 1].place} ({at[k + 1]:.2f} mm)"
        for k in odd[:_SHOWN]
    )
    more = f"; and at {len(odd) - _SHOWN} more places" if len(odd) > _SHOWN else ""
    return (
        f"the distance between slices varies from {gaps.min():.3f} to {gaps.max():.3f} mm, expected {step:.3f} mm everywhere: "
        f"{places}{more}. Export a series of equal slices."
    )
