"""A case of a segmentation challenge as it lies on disk: the images and the labels."""

import itertools
from dataclasses import dataclass
from pathlib import Path

from medidiff.errors import DataError
from medidiff.io.layouts.challenge import unique_names
from medidiff.studies import Study


@dataclass(frozen=True)
class SegmentationCase:
    """One case of a challenge folder.

    name      stem of its prediction's file, unique in the folder
    patient   cases of one patient share it
    ct        HU, on its own grid or that of the PET; None: the challenge has none
    pet       SUV; None: the challenge has none
    truth     label map; None: the challenge keeps it
    split     train, test or empty
    """

    name: str
    patient: str
    ct: Path | None
    pet: Path | None
    truth: Path | None
    split: str = ""


def existing(path: Path) -> Path | None:
    """The path when a file is there, else None."""
    return path if path.is_file() else None


def listed(cases: list[SegmentationCase], folder: Path, expected: str) -> list[SegmentationCase]:
    """The cases by name. Raises DataError where there is none, or two share a name."""
    if not cases:
        raise DataError(f"{folder.name}: found no case of the challenge, expected {expected}. Unpack it here.")
    names = sorted(case.name for case in cases)
    twice = sorted({name for name, other in itertools.pairwise(names) if name == other})
    if twice:
        raise DataError(
            f"{folder.name}: found {', '.join(twice[:5])} more than once, expected one place for each. Name one part."
        )
    return sorted(cases, key=lambda case: case.name)


def petct_studies(cases: list[SegmentationCase], folder: Path) -> list[Study]:
    """The cases as lines of a study table; those that lack CT or PET are rejected there.

    folder   of the challenge; files are named from it on
    """
    return [_study(case, name, Path(folder)) for case, name in zip(cases, unique_names(case.name for case in cases))]


def _study(case: SegmentationCase, name: str, folder: Path) -> Study:
    ct, pet, truth = (path.relative_to(folder).as_posix() if path is not None else "" for path in (case.ct, case.pet, case.truth))
    absent = [word for word, path in (("CT", case.ct), ("PET", case.pet)) if path is None or not path.is_file()]
    status, reason = ("reject", f"no {' and no '.join(absent)}") if absent else ("ok", "")
    return Study(name, "petct", str(folder.resolve()), ct, pet, truth, status, reason, case.split)
