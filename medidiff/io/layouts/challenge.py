"""A study of a public challenge as it lies on disk: what was measured, and the image it is compared with."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from medidiff.errors import DataError
from medidiff.io.dicom.grouping import group_series
from medidiff.io.dicom.index import index_folder
from medidiff.io.dicom.selection import describe
from medidiff.io.dicom.series import read_series
from medidiff.io.kspace.fastmri import read_fastmri_reference
from medidiff.io.projections.lodopab import read_lodopab_truth
from medidiff.io.volume import Volume


@dataclass(frozen=True)
class ChallengeStudy:
    """One study of a challenge folder.

    name        letters, digits and hyphens, unique in the folder
    kind        ct or mr
    path        of the measurement; of images where the challenge has none and it must be simulated
    format      lodopab, fastmri or ct-pd, as `medidiff acquire` calls them; images: a DICOM folder to simulate from
    item        of a folder of many samples: which
    split       train, val, test or empty
    reference   file or folder that holds the image to compare with; None: the challenge keeps it
    """

    name: str
    kind: Literal["ct", "mr"]
    path: Path
    format: Literal["lodopab", "fastmri", "ct-pd", "images"]
    item: int = 0
    split: str = ""
    reference: Path | None = None


def read_reference(study: ChallengeStudy) -> Volume:
    """The image that a study is compared with: HU, or magnitudes.

    Raises DataError where the challenge keeps it, or the files are damaged.
    """
    if study.reference is None:
        raise DataError(f"{study.name}: found no reference, expected one. This part of the challenge keeps it.")
    if study.format == "lodopab":
        return read_lodopab_truth(study.reference, study.item, part={"val": "validation"}.get(study.split, study.split))
    if study.format == "fastmri":
        found = read_fastmri_reference(study.reference)
        if found is None:
            raise DataError(f"{study.reference.name}: found no reconstruction_rss or reconstruction_esc, expected one of them.")
        return found
    return _images(study.reference)


def unique_names(texts: Iterable[str]) -> list[str]:
    """Names of letters, digits and hyphens in the same order; equal ones are numbered."""
    names: list[str] = []
    for text in texts:
        plain = re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-") or "study"
        name, count = plain, 1
        while name in names:
            count += 1
            name = f"{plain}-{count}"
        names.append(name)
    return names


def _images(folder: Path) -> Volume:
    series = [one for one in group_series(*index_folder(folder)) if one.modality == "CT"]
    usable = [one for one in series if one.usable]
    if len(usable) != 1:
        listed = "; ".join(map(describe, usable)) or "; ".join(one.reason for one in series) or "none"
        raise DataError(f"{folder.name}: found {listed}, expected one usable series of CT images. Name its folder.")
    return read_series(usable[0], root=folder)
