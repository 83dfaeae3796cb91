"""What lies beside a stack and may be one of its slices: parts of a mixed series, damaged files, mislabelled ends."""

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
from pydicom.dataset import FileDataset

from medidiff.errors import DataError
from medidiff.io.dicom.fields import numbers
from medidiff.io.dicom.geometry import stack_affine
from medidiff.io.dicom.imageseries import KEY, Series, key_of
from medidiff.io.dicom.index import Instance, Skipped
from medidiff.io.dicom.kinds import kind_problem
from medidiff.io.dicom.planes import checked_orientation

FRAGMENT = 3  # images; more are a series of their own
_SHOWN = 3


def told_of_parts(parts: list[Series]) -> list[Series]:
    """Parts of one uid, each told of the others; a stack that a few set-aside images continue exactly is refused."""
    if len(parts) == 1:
        return parts
    kinds = Counter(len(part.planes) or len(part.paths) for part in parts)
    sizes = ", ".join(str(size) for size in sorted(kinds.elements(), reverse=True))
    result = []
    for part in parts:
        others = [other for other in parts if other is not part]
        differs = ", ".join(sorted({keyword for other in others for keyword in _differences(part, other)}))
        told = replace(
            part, notes=(*part.notes, f"one of {len(parts)} parts of a mixed series ({sizes} images) that differ in {differs}")
        )
        lost = [other for other in others if part.is_stack and _slices_held_by(other, part)]
        if lost:
            names = ", ".join(path.name for path in lost[0].paths[:_SHOWN])
            told = told.refuse(
                f"{names} lies exactly where a slice of this series belongs, but differs in "
                f"{', '.join(_differences(part, lost[0]))}: its header is damaged or the series is mixed. "
                "Export the series again."
            )
        result.append(told)
    return result


def without_lost_ends(series: list[Series]) -> list[Series]:
    """The series, each usable stack refused that may have lost a slice to a small series, of another uid or unreadable."""
    fragments = [one for one in series if not one.is_stack and len(one.paths) <= FRAGMENT]
    return [_told_of_fragments(one, fragments) if one.is_stack else one for one in series]


def _told_of_fragments(stack: Series, fragments: list[Series]) -> Series:
    ends, folders = {-1, len(stack.planes)}, {path.parent for path in stack.paths}
    for other in fragments:
        is_beside = other.paths[0].parent in folders
        if not is_beside and other.study_uid != stack.study_uid:
            continue
        names = ", ".join(path.name for path in other.paths)
        if ends.intersection(_slices_held_by(other, stack)):
            return stack.refuse(
                f"{names} lies exactly where its next slice belongs, but carries another SeriesInstanceUID: "
                "the header is damaged or the series goes on there. Export the series again."
            )
        is_another_kind = other.modality and kind_problem(other.headers[0], len(other.paths))
        if is_beside and not other.planes and not is_another_kind:
            return stack.refuse(
                f"{names} lies beside the series and may be one of its slices: {other.reason} Move it away if it does not belong."
            )
    return stack


def _differences(one: Series, other: Series) -> list[str]:
    """The keywords in which two parts of a series differ."""
    found = [keyword for keyword, a, b in zip(KEY, key_of(one.headers[0]), key_of(other.headers[0])) if a != b]
    return found or ["PixelSpacing or ImageOrientationPatient"]


def _slices_held_by(fragment: Series, stack: Series) -> list[int]:
    """Slice numbers of the stack, -1 and n included, at which images of a small series lie exactly on its grid."""
    if len(fragment.paths) > FRAGMENT:
        return []
    from_ras = np.linalg.inv(stack_affine(stack.planes))
    found = []
    for header in fragment.headers:
        try:
            x, y, z = numbers(header, "ImagePositionPatient", 3, name="")
        except DataError:
            continue
        index = (from_ras @ (-x, -y, z, 1))[:3]
        k = int(np.round(index[2]))
        if np.abs(index - (0, 0, k)).max() < 0.02 and -1 <= k <= len(stack.planes) and not _is_turned(stack, header):
            found.append(k)
    return found


def _is_turned(stack: Series, header: FileDataset) -> bool:
    """Whether an image has a sound orientation that is clearly another one than that of the stack, as localisers have."""
    try:
        cosines = checked_orientation(numbers(header, "ImageOrientationPatient", 6, name=""), name="")
    except DataError:
        return False
    return bool(np.abs(np.array(cosines) - stack.planes[0].orientation).max() > 0.05)


def told_of_damaged(series: Series, instances: list[Instance], damaged: list[Skipped]) -> Series:
    """The series, refused when a damaged file of its kind of name lies in one of its folders, told when another one does."""
    places, patterns = ({of(instance.name) for instance in instances} for of in (_place, _pattern))
    folders = {folder for folder, _ in places}
    beside = [entry for entry in damaged if _place(entry.path)[0] in folders]
    beside = [entry for entry in beside if entry.is_damaged_dicom or _pattern(entry.path) in patterns]
    if not beside:
        return series
    lost = [
        entry for entry in beside if (entry.may_be_slice and _place(entry.path) in places) or _pattern(entry.path) in patterns
    ]
    if series.is_stack and lost:
        return series.refuse(
            f"{lost[0].path} lies beside the series and may be one of its slices: {lost[0].reason.rstrip('.')}. "
            f"{len(lost)} such file{'s' * (len(lost) > 1)} there. Copy again, or move away what does not belong."
        )
    names = ", ".join(entry.path for entry in beside[:_SHOWN]) + (" and more" if len(beside) > _SHOWN else "")
    return replace(series, notes=(*series.notes, f"unreadable files lie beside it and may be lost slices: {names}"))


def _pattern(name: str) -> str:
    """A name with its numbers left out, as the slices of a series share it; "" for one without a number."""
    pattern = re.sub(r"\d+", "#", name)
    return pattern if pattern != name else ""


def _place(name: str) -> tuple[str, str]:
    """Folder and kind of name of a file: its suffix where that is a word, since dots in UIDs make no suffix."""
    path = Path(name)
    return str(path.parent), path.suffix.lower() if path.suffix[1:].isalpha() else ""
