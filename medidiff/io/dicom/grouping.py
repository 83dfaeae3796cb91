"""From a pile of instances to series, each one regular stack of planes or the reason why it is none."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from pydicom.dataset import FileDataset

from medidiff.errors import DataError
from medidiff.io.dicom.fields import numbers, text, value
from medidiff.io.dicom.geometry import sorted_along_normal, stack_affine
from medidiff.io.dicom.index import Instance, Skipped
from medidiff.io.dicom.kinds import kind_problem
from medidiff.io.dicom.mosaic import is_mosaic, tile_planes
from medidiff.io.dicom.multiframe import frame_planes, is_enhanced
from medidiff.io.dicom.pixels import lossy_note
from medidiff.io.dicom.planes import Plane, checked_orientation, single_plane
from medidiff.io.dicom.repeats import drop_repeats, interleaving_problem
from medidiff.io.dicom.spacing import spacing_problem, tilt_problem, unevenness_note

FEWEST = 4  # slices from which spacing can be judged; fewer are localisers, single images or lost files
_SHOWN = 3

# Images of one SeriesInstanceUID belong together when all of these agree (and spacing and orientation to 1e-4).
_KEY = (
    "StudyInstanceUID",
    "SeriesNumber",
    "Modality",
    "SOPClassUID",
    "FrameOfReferenceUID",
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "ImageType",  # its third value only
    "ConvolutionKernel",
    "Units",
    "CorrectedImage",
)


@dataclass(frozen=True, eq=False)
class Series:
    """Images that may form one volume, in the order of their planes along the normal."""

    uid: str  # SeriesInstanceUID
    modality: str
    study_uid: str
    frame_of_reference_uid: str
    paths: tuple[Path, ...]  # each file once
    headers: tuple[FileDataset, ...]  # of the same files, without pixels
    planes: tuple[Plane, ...] = ()  # one for each slice; empty when the files have no readable geometry
    usable: bool = False
    reason: str = ""  # why it is not usable: which slices, what is wrong, what to do
    is_tilted: bool = False  # a gantry tilt is its only fault
    notes: tuple[str, ...] = ()

    def refuse(self, reason: str) -> "Series":
        """The same series, not usable for this reason."""
        return replace(self, usable=False, reason=reason, is_tilted=False)


def group_series(instances: Iterable[Instance], skipped: Iterable[Skipped] = ()) -> list[Series]:
    """The image series among these instances, usable ones sorted into stacks, the others with a reason.

    instances   of one folder tree, from `index_folder`
    skipped     of the same tree: damaged DICOM files beside a series may be slices that it lost
    returns     series in the order of their uid, larger parts of one uid first

    Images of one SeriesInstanceUID are split where size, spacing, orientation, frame of reference, kind of image, kernel, units
    or corrections differ, and never stacked across such a difference. Files without an image (RTSTRUCT, reports) are left out.
    """
    by_uid = defaultdict(list)
    for instance in instances:
        if value(instance.header, "Rows") is not None or instance.problem:
            by_uid[text(instance.header, "SeriesInstanceUID")].append(instance)
    damaged = [entry for entry in skipped if entry.is_damaged_dicom]
    found = []
    for uid in sorted(by_uid):
        parts = [part for group in _by_key(by_uid[uid]) for part in _parts(uid, group)]
        parts.sort(key=lambda part: (-len(part.planes or part.paths), part.paths[0]))
        found += [_with_lost_files(part, by_uid[uid], damaged) for part in _with_companions(parts)]
    return found


def _by_key(instances: list[Instance]) -> list[list[Instance]]:
    groups = defaultdict(list)
    for instance in instances:
        groups[_key(instance.header)].append(instance)
    return list(groups.values())


def _key(header: FileDataset) -> tuple[str, ...]:
    return tuple(_key_text(header, keyword) for keyword in _KEY)


def _key_text(header: FileDataset, keyword: str) -> str:
    found = text(header, keyword)
    return "\\".join(found.split("\\")[2:3]) if keyword == "ImageType" else found


def _planes(instance: Instance) -> list[Plane]:
    header, path, name = instance.header, instance.path, instance.name
    if is_enhanced(header):
        return frame_planes(header, path=path, name=name)
    if is_mosaic(header):
        return tile_planes(header, path=path, name=name)
    return [single_plane(header, path=path, name=name)]


def _parts(uid: str, instances: list[Instance]) -> list[Series]:
    """One group of equal keys as series: one for each spacing and orientation in it, or one refused as a whole."""
    header = instances[0].header
    whole = Series(
        uid=uid,
        modality=text(header, "Modality"),
        study_uid=text(header, "StudyInstanceUID"),
        frame_of_reference_uid=text(header, "FrameOfReferenceUID"),
        paths=tuple(instance.path for instance in instances),
        headers=tuple(instance.header for instance in instances),
    )
    if reason := kind_problem(header, len(instances)):
        return [whole.refuse(reason)]
    planes, problems = [], []
    for instance in instances:
        try:
            if instance.problem:
                raise DataError(instance.problem)
            planes += _planes(instance)
        except DataError as error:
            problems.append(str(error))
    if problems:
        more = f" ({len(problems) - 1} more files of the series have such a fault.)" if len(problems) > 1 else ""
        return [whole.refuse(problems[0] + more)]
    headers = {instance.path: instance.header for instance in instances}
    notes = tuple(sorted({note for instance in instances if (note := lossy_note(instance.header, instance.transfer_syntax))}))
    return [_judged(replace(whole, notes=notes), part, headers) for part in _by_geometry(planes)]


def _by_geometry(planes: list[Plane]) -> list[list[Plane]]:
    """Planes of equal size, spacing and orientation together (1e-4 mm, 1e-4)."""
    groups: list[list[Plane]] = []
    for plane in planes:
        mine = np.array(plane.spacing + plane.orientation)
        for group in groups:
            first = group[0]
            if plane.shape == first.shape and np.abs(mine - np.array(first.spacing + first.orientation)).max() <= 1e-4:
                group.append(plane)
                break
        else:
            groups.append([plane])
    return groups


def _judged(series: Series, planes: list[Plane], headers: dict[Path, FileDataset]) -> Series:
    """The series with these planes in order, usable or with the reason why not."""
    planes = sorted_along_normal(planes)
    planes, notes, reason = drop_repeats(planes)
    series = _with_planes(series, planes, headers, notes)
    if reason:
        return series.refuse(reason)
    if len(planes) < FEWEST:
        return series.refuse(
            f"{len(planes)} slice{'s' * (len(planes) > 1)} only ({', '.join(plane.place for plane in planes)}), "
            f"expected at least {FEWEST}: a localiser, a single image, or the rest of the series is missing. "
            "Choose another series or export it whole."
        )
    if reason := interleaving_problem(planes, series.modality) or spacing_problem(planes):
        return series.refuse(reason)
    if reason := tilt_problem(planes):
        return replace(series, reason=reason, is_tilted=True)
    return replace(series, usable=True, notes=series.notes + _slice_notes(series))


def _with_planes(series: Series, planes: Sequence[Plane], headers: dict[Path, FileDataset], notes: Sequence[str]) -> Series:
    paths = tuple(dict.fromkeys(plane.path for plane in planes))
    return replace(
        series, planes=tuple(planes), paths=paths, headers=tuple(headers[path] for path in paths), notes=(*series.notes, *notes)
    )


def _slice_notes(series: Series) -> tuple[str, ...]:
    """Small unevenness, and a number of slices in the header that is larger than what is here."""
    stated, uneven = text(series.headers[0], "NumberOfSlices"), unevenness_note(series.planes)
    notes = (uneven,) if uneven else ()
    if series.modality == "PT" and stated.isdigit() and int(stated) > len(series.planes):
        notes += (f"the header speaks of {stated} slices, {len(series.planes)} are here: slices at an end may be missing",)
    return notes


def _with_companions(parts: list[Series]) -> list[Series]:
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
        lost = [other for other in others if part.usable and _continues(part, other)]
        if lost:
            names = ", ".join(path.name for path in lost[0].paths[:_SHOWN])
            told = told.refuse(
                f"{names} lies exactly where a slice of this series belongs, but differs in "
                f"{', '.join(_differences(part, lost[0]))}: its header is damaged or the series is mixed. "
                "Export the series again."
            )
        result.append(told)
    return result


def _differences(one: Series, other: Series) -> list[str]:
    """The keywords in which two parts of a series differ."""
    found = [keyword for keyword, a, b in zip(_KEY, _key(one.headers[0]), _key(other.headers[0])) if a != b]
    return found or ["PixelSpacing or ImageOrientationPatient"]


def _continues(stack: Series, fragment: Series) -> bool:
    """Whether a few images lie on the grid of the stack, inside it or as its next slice."""
    if len(fragment.paths) >= FEWEST:
        return False
    from_ras = np.linalg.inv(stack_affine(stack.planes))
    for header in fragment.headers:
        try:
            x, y, z = numbers(header, "ImagePositionPatient", 3, name="")
        except DataError:
            continue
        index = from_ras @ (-x, -y, z, 1)
        if _is_turned(stack, header):
            continue
        if (
            np.abs(index[:3] - np.round(index[:3])).max() < 0.02
            and np.abs(index[:2]).max() < 0.5
            and -1.5 < index[2] < len(stack.planes) + 0.5
        ):
            return True
    return False


def _is_turned(stack: Series, header: FileDataset) -> bool:
    """Whether an image has a sound orientation that is clearly another one than that of the stack, as localisers have."""
    try:
        cosines = checked_orientation(numbers(header, "ImageOrientationPatient", 6, name=""), name="")
    except DataError:
        return False
    return bool(np.abs(np.array(cosines) - stack.planes[0].orientation).max() > 0.05)


def _with_lost_files(series: Series, instances: list[Instance], damaged: list[Skipped]) -> Series:
    """The series, refused when a damaged DICOM file lies in one of its folders, told when an unreadable one does."""
    folders = {str(Path(instance.name).parent) for instance in instances}
    beside = [entry for entry in damaged if str(Path(entry.path).parent) in folders]
    if not beside:
        return series
    names = ", ".join(entry.path for entry in beside[:_SHOWN]) + (" and more" if len(beside) > _SHOWN else "")
    if series.usable and any(entry.says_dicom for entry in beside):
        return series.refuse(
            f"{names} lies beside the series and is a damaged DICOM file ({beside[0].reason}) It may be one of its slices: "
            "copy it again, or move it away if it is not."
        )
    return replace(series, notes=(*series.notes, f"unreadable files lie beside it and may be lost slices: {names}"))
