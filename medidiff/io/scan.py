"""What a folder tree holds: studies that can be used, and for everything else the reason why not."""

import hashlib
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from medidiff.errors import DataError
from medidiff.io.dicom.fields import text
from medidiff.io.dicom.grouping import FEWEST, group_series
from medidiff.io.dicom.imageseries import Series
from medidiff.io.dicom.index import Instance, Skipped, index_folder
from medidiff.io.dicom.selection import PetCt, choose_petct, find_pet, find_petct
from medidiff.io.dicom.series import read_series
from medidiff.io.listing import is_nifti_name, nifti_studies
from medidiff.studies import Study

__all__ = ["PetCt", "ScanResult", "find_pet", "find_petct", "scan"]

_IDENTIFYING = ("PatientName", "PatientID", "PatientBirthDate", "OtherPatientIDs", "AccessionNumber")
_KIND_OF = {"CT": "ct", "MR": "mr", "PT": "petct"}


@dataclass(frozen=True, eq=False)
class ScanResult:
    """The studies of a folder, the series they were made from, and what was skipped."""

    folder: Path
    studies: tuple[Study, ...]  # path relative to `folder`
    series: tuple[Series, ...]  # all image series, usable or not
    skipped: tuple[Skipped, ...]

    def as_table(self, folder: Path) -> list[Study]:
        """The studies with paths relative to another folder: the one in which the study table will lie."""
        here, there = self.folder.resolve(), Path(folder).resolve()
        return [replace(study, path=os.path.relpath(here / study.path, there)) for study in self.studies]


def scan(folder: Path, *, deep: bool = False) -> ScanResult:
    """Every study below a folder of DICOM and NIfTI files, with status ok or reject and the reason.

    folder    any tree
    deep      read the pixels too: finds what is cut or altered behind a sound header
    returns   one study for each PET/CT examination, else one for each CT or MR series or NIfTI volume

    Names of studies come from their folders, never from headers; where a folder is named after the patient of a study that was
    not de-identified, the name is a hash. Raises DataError when the folder does not exist.
    """
    folder = Path(folder)
    instances, skipped = index_folder(folder)
    series = group_series(instances, skipped)
    rows = _dicom_studies(folder, series, instances, deep=deep)
    nifti = [entry.path for entry in skipped if is_nifti_name(entry.path)]
    rows += nifti_studies(folder, nifti, deep=deep)
    others = tuple(entry for entry in skipped if not is_nifti_name(entry.path))
    return ScanResult(folder, tuple(_named(rows, _people(series))), tuple(series), others)


def _dicom_studies(folder: Path, series: Sequence[Series], instances: Sequence[Instance], *, deep: bool) -> list[Study]:
    by_study = defaultdict(list)
    for one in series:
        by_study[one.study_uid].append(one)
    contours = defaultdict(list)
    for instance in instances:
        if text(instance.header, "Modality") == "RTSTRUCT":
            contours[text(instance.header, "StudyInstanceUID")].append(instance)
    rows = []
    for uid, members in by_study.items():
        own = contours[uid]
        if any(one.modality == "PT" for one in members):
            rows.append(_petct_study(folder, members, own, deep=deep))
        else:
            rows += _single_studies(folder, members, own, deep=deep)
    return rows


def _petct_study(folder: Path, members: Sequence[Series], contours: Sequence[Instance], *, deep: bool) -> Study:
    paths = [path for one in members for path in one.paths] + [instance.path for instance in contours]
    row = Study(study="", kind="petct", path=_common(folder, paths))
    try:
        found = choose_petct(members, contours)
        if deep:
            read_series(found.ct), read_series(found.pet)
    except DataError as error:
        return replace(row, status="reject", reason=str(error))
    truth = _truth(folder / row.path, found.structures)
    return replace(row, ct=found.ct.uid, pet=found.pet.uid, truth=truth)


def _single_studies(folder: Path, members: Sequence[Series], contours: Sequence[Instance], *, deep: bool) -> list[Study]:
    """One study for each series that is, or was meant to be, a volume."""
    rows = []
    volumes = [one for one in members if one.usable or max(len(one.paths), len(one.planes)) >= FEWEST]
    for one in (volume for volume in volumes if volume.modality in ("CT", "MR")):
        row = Study(study="", kind=_KIND_OF[one.modality], path=_common(folder, one.paths), ct=one.uid)
        reason = one.reason
        if one.usable and deep:
            reason = _pixel_problem(one)
        truth = _truth(folder / row.path, [instance.path for instance in contours])
        status = "reject" if reason else "ok"
        rows.append(replace(row, truth=truth, status=status, reason=reason))
    return rows


def _pixel_problem(series: Series) -> str:
    try:
        read_series(series)
    except DataError as error:
        return str(error)
    return ""


def _common(folder: Path, paths: Iterable[Path]) -> str:
    """The deepest folder that holds all these files, relative to the scanned one."""
    return Path(os.path.relpath(os.path.commonpath([path.parent for path in paths]), folder)).as_posix()


def _truth(folder: Path, structures: Sequence[Path]) -> str:
    """What the study table says of contours: the file, or RTSTRUCT when several are to be searched."""
    if len(structures) == 1:
        return Path(os.path.relpath(structures[0], folder)).as_posix()
    return "RTSTRUCT" if structures else ""


def _people(series: Sequence[Series]) -> set[str]:
    """The words of names and numbers by which headers that were not de-identified know patients."""
    headers = [one.headers[0] for one in series if text(one.headers[0], "PatientIdentityRemoved").upper() != "YES"]
    told = " ".join(text(header, keyword) for header in headers for keyword in _IDENTIFYING)
    return set(re.findall(r"[a-z0-9]{4,}", told.lower()))


def _named(rows: Sequence[Study], people: set[str]) -> list[Study]:
    """The studies with unique names made of their folders, in the order of path and series."""
    rows = sorted(rows, key=lambda row: (row.path, row.kind, row.ct, row.pet))
    names = [_slug(row.path, people) for row in rows]
    return [
        replace(row, study=name if names.count(name) == 1 else f"{name}-{_short_hash(f'{row.ct}{row.pet}{index}')}")
        for index, (row, name) in enumerate(zip(rows, names))
    ]


def _slug(path: str, people: set[str]) -> str:
    """A name for a study from its folder; a short hash where the folder's name is not plain, or tells who the patient is."""
    plain = re.sub(r"(\.nii(\.gz)?)$", "", path)
    if any(word in path.lower() for word in people):
        return f"study-{_short_hash(path)}"
    if plain != "." and len(plain) <= 64 and re.fullmatch(r"[A-Za-z0-9_./-]+", plain) and "." not in plain:
        return re.sub(r"[_/]+", "-", plain).strip("-")
    return f"study-{_short_hash(path)}"


def _short_hash(content: str) -> str:
    return hashlib.sha256(content.encode("utf-8", "surrogateescape")).hexdigest()[:8]
