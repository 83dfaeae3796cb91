"""Reference contours of a study as masks on the grids of CT and PET; a choice is never guessed."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np

from medidiff.errors import DataError
from medidiff.io.dicom.contours import contours_to_mask
from medidiff.io.dicom.grouping import Series
from medidiff.io.dicom.rtstruct import Roi
from medidiff.io.dicom.series import series_grid
from medidiff.io.volume import Grid, Volume


@dataclass(frozen=True, eq=False)
class DrawnRoi:
    """A region and the structure set it comes from."""

    source: str  # file relative to the study's folder
    roi: Roi


def choose_rois(regions: Sequence[DrawnRoi], pattern: str, series: Series) -> list[DrawnRoi]:
    """The regions that are the reference on one series.

    regions    of all structure sets of the study
    pattern    name; `*` and `?` stand for any characters, `|` separates names, whose regions are united; "" takes the only one
    series     CT or PET: where some of the regions were drawn on it, only these count

    Regions without a contour count only where a pattern asks for them or no other is there. Raises DataError that lists the
    names where the choice is not unique, a name matches nothing, or one name stands in two structure sets.
    """
    matching = _matching(regions, pattern)
    own = [one for one in matching if _was_drawn_on(one.roi, series)]
    chosen = own or matching
    if not pattern:
        chosen = [one for one in chosen if one.roi.contours] or chosen[:1]
        if len(chosen) > 1:
            raise DataError(f"{len(chosen)} regions, which is the reference? There are: {_listed(chosen)}. Name it in roi.")
    names = [one.roi.name for one in chosen]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(
            f"region {twice[0]!r} stands in several structure sets: {_listed(chosen)}. Name one of the files as truth in the "
            "study table."
        )
    return chosen


def mask_on(regions: Sequence[DrawnRoi], grid: Grid, drawn_on: Sequence[Series]) -> tuple[Volume, list[str]]:
    """The union of regions on a grid as uint8, 0 and 1, and warnings.

    regions     chosen for this grid; none of them with a contour gives an empty mask and a warning
    drawn_on    series of the study: the one that a region refers to gives the distance of its planes
    """
    mask, warnings = np.zeros(grid.shape, bool), []
    for one in regions:
        if not one.roi.contours:
            continue
        frame = one.roi.frame_of_reference_uid
        if frame and all(frame != series.frame_of_reference_uid for series in drawn_on):
            raise DataError(
                f"{one.source}: region {one.roi.name!r} lies in another frame of reference than CT and PET, so its place is "
                "unknown. Choose the structure set of this examination."
            )
        planes = [series_grid(series).spacing_mm[2] for series in drawn_on if _was_drawn_on(one.roi, series)]
        mask |= contours_to_mask(one.roi, grid, plane_mm=planes[0] if planes else 0.0)
        warnings += _cut_off(one, grid)
        if one.roi.skipped:
            warnings.append(f"region {one.roi.name!r}: {one.roi.skipped} points, lines or contours of two points left out")
    if not mask.any():
        warnings.append(f"no region has a contour ({_listed(regions)}): the reference is empty")
    return Volume(mask.astype(np.uint8), grid.affine), warnings


def _matching(regions: Sequence[DrawnRoi], pattern: str) -> list[DrawnRoi]:
    if not pattern:
        return list(regions)
    found: dict[int, DrawnRoi] = {}
    for name in pattern.split("|"):
        exact = [one for one in regions if one.roi.name == name.strip()]
        hits = exact or [one for one in regions if fnmatchcase(one.roi.name, name.strip())]
        if not hits:
            raise DataError(f"no region {name.strip()!r}. There are: {_listed(regions)}. Correct roi.")
        found |= {id(one): one for one in hits}
    return list(found.values())


def _was_drawn_on(roi: Roi, series: Series) -> bool:
    if roi.series_uids:
        return series.uid in roi.series_uids
    return any(str(header.get("SOPInstanceUID", "")) in roi.instance_uids for header in series.headers)


def _cut_off(one: DrawnRoi, grid: Grid) -> list[str]:
    from_mm = np.linalg.inv(grid.affine)
    points = np.concatenate(one.roi.contours) @ from_mm[:3, :3].T + from_mm[:3, 3]
    outside = float(((points < -0.5) | (points > np.array(grid.shape) - 0.5)).any(axis=1).mean())
    return [f"region {one.roi.name!r}: {outside:.0%} of its contour points lie outside the image"] if outside > 0 else []


def _listed(regions: Sequence[DrawnRoi]) -> str:
    return ", ".join(f"{one.roi.name!r} in {one.source}" for one in regions) or "none"
