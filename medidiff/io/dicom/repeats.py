"""More than one image at a position: copies to drop, or several acquisitions, echoes or phases to refuse."""

import filecmp
from collections.abc import Sequence
from itertools import islice, pairwise

import numpy as np

from medidiff.errors import DataError
from medidiff.io.dicom.geometry import depths
from medidiff.io.dicom.mosaic import cut_tiles
from medidiff.io.dicom.pixels import stored_frames
from medidiff.io.dicom.planes import Plane
from medidiff.io.dicom.spacing import coincident

_ADVICE = "Export the one that is meant as a series of its own."
_MEANING = {
    "TemporalPositionIdentifier": "a dynamic series",
    "TriggerTime": "a gated series",
    "NominalPercentageOfCardiacPhase": "a gated series",
    "AcquisitionNumber": "several acquisitions",
    "EchoTime": "several echoes",
    "EchoNumbers": "several echoes",
}


def drop_repeats(planes: Sequence[Plane]) -> tuple[list[Plane], list[str], str]:
    """The planes with one image at each position, notes on what was dropped, and the reason why that cannot be done.

    planes    sorted along their normal
    returns   (planes, notes, reason); with a reason the planes are the ones given

    Copies of one image (equal pixels and rescale) are dropped. Different images at one position are never chosen from.
    """
    groups = coincident(planes)
    kept, dropped = [], []
    for group in groups:
        first = group[0]
        for other in group[1:]:
            if not _is_copy(first, other):
                return list(planes), [], _conflict(groups, group, first, other)
            dropped.append(other)
        kept.append(first)
    if not dropped:
        return kept, [], ""
    names = ", ".join(plane.place for plane in dropped[:3]) + (" and more" if len(dropped) > 3 else "")
    return kept, [f"{len(dropped)} identical {'copies' if len(dropped) > 1 else 'copy'} dropped: {names}"], ""


def interleaving_problem(planes: Sequence[Plane], modality: str) -> str:
    """Why equally spaced planes are several acquisitions pushed into one another; "" when they are not.

    planes    sorted along their normal, no two at one position
    modality  CT and PT acquire their slices in order; MR legitimately interleaves
    """
    if modality == "MR":
        return ""
    for keyword in ("AcquisitionNumber", "TemporalPositionIdentifier"):
        values = [dict(plane.labels).get(keyword, "") for plane in planes]
        runs = 1 + sum(a != b for a, b in pairwise(values))
        kinds = len(set(values))
        if 1 < kinds < runs and kinds <= len(planes) // 2:
            shown = ", ".join(sorted(set(values))[:4])
            return (
                f"images of {kinds} values of {keyword} ({shown}) alternate along the stack: several acquisitions in one series, "
                f"not one volume. {_ADVICE}"
            )
    return ""


def _is_copy(one: Plane, other: Plane) -> bool:
    if (one.slope, one.intercept) != (other.slope, other.intercept):
        return False
    if one.path != other.path and filecmp.cmp(one.path, other.path, shallow=False):
        return one.frame == other.frame
    try:
        return np.array_equal(_stored(one), _stored(other))
    except DataError:
        return False


def _stored(plane: Plane) -> np.ndarray:
    frames = stored_frames(plane.path, name=plane.name)
    first = next(frames)
    if first.shape != plane.shape:
        return cut_tiles(first, plane.shape)[plane.frame]
    return first if plane.frame == 0 else next(islice(frames, plane.frame - 1, None))


def _conflict(groups: list[list[Plane]], group: list[Plane], one: Plane, other: Plane) -> str:
    """What two different images at one position mean."""
    several = [len(members) for members in groups if len(members) > 1]
    where = f"{one.place} and {other.place} at {depths([one])[0]:.2f} mm"
    if one.identity and one.identity == other.identity:
        return f"{where} have the same SOPInstanceUID but different pixels: one of them was altered. Export the series again."
    for keyword in (key for key, _ in one.labels):
        values = [dict(plane.labels).get(keyword, "") for plane in group]
        if len(set(values)) == len(group):
            meaning = _MEANING.get(keyword, "several images in time")
            return (
                f"{len(several)} of {len(groups)} positions hold {max(several)} different images, told apart by {keyword} "
                f"({', '.join(sorted(values)[:4])}): {meaning}, not one volume (as {where}). {_ADVICE}"
            )
    return (
        f"{len(several)} of {len(groups)} positions hold up to {max(several)} different images, and no element tells them apart "
        f"(as {where}). Export the series again; if the files come from two exports, keep one."
    )
