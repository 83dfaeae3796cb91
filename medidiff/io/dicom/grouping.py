"""From a pile of instances to series, each one regular stack of planes or the reason why it is none."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from pydicom.dataset import FileDataset

from medidiff.errors import DataError
from medidiff.io.dicom.companions import told_of_damaged, told_of_parts, without_lost_ends
from medidiff.io.dicom.fields import text, value
from medidiff.io.dicom.geometry import sorted_along_normal
from medidiff.io.dicom.imageseries import Series, key_of
from medidiff.io.dicom.index import NO_DICOM, Instance, Skipped
from medidiff.io.dicom.kinds import kind_problem
from medidiff.io.dicom.mosaic import is_mosaic, tile_planes
from medidiff.io.dicom.multiframe import frame_planes, is_enhanced
from medidiff.io.dicom.pixels import lossy_note
from medidiff.io.dicom.planes import Plane, single_plane
from medidiff.io.dicom.repeats import drop_repeats, interleaving_problem
from medidiff.io.dicom.spacing import spacing_problem, tilt_problem, unevenness_note

FEWEST = 4  # slices from which spacing can be judged; fewer are localisers, single images or lost files


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
    damaged = [entry for entry in skipped if entry.is_damaged_dicom or entry.reason == NO_DICOM]
    found = []
    for uid in sorted(by_uid):
        parts = [part for group in _by_key(by_uid[uid]) for part in _parts(uid, group)]
        parts.sort(key=lambda part: (-len(part.planes or part.paths), part.paths[0]))
        found += [told_of_damaged(part, by_uid[uid], damaged) for part in told_of_parts(parts)]
    return without_lost_ends(found)


def _by_key(instances: list[Instance]) -> list[list[Instance]]:
    groups = defaultdict(list)
    for instance in instances:
        groups[key_of(instance.header)].append(instance)
    return list(groups.values())


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
    if series.modality == "CT" and len({(plane.slope, plane.intercept) for plane in series.planes}) > 1:
        notes += ("slices differ in RescaleSlope or RescaleIntercept, which is unusual in CT",)
    if series.modality == "PT" and stated.isdigit() and int(stated) > len(series.planes):
        notes += (f"the header speaks of {stated} slices, {len(series.planes)} are here: slices at an end may be missing",)
    return notes
