"""Low-dose CT of the Mayo Clinic: the grand challenge of 2016 and LDCT-and-Projection-data of the Cancer Imaging Archive."""

import re
from collections import defaultdict
from pathlib import Path

from medidiff.errors import DataError
from medidiff.io.layouts.challenge import ChallengeStudy

_PATIENT = re.compile(r"[CLN]\d{3}")
_FULL = re.compile(r"full|(?<![A-Za-z])FD(?![A-Za-z])")
_LOW = re.compile(r"low|quarter|(?<![A-Za-z])QD(?![A-Za-z])")
_SLICE_MM = re.compile(r"(\d+)\s?mm")


def list_mayo(folder: Path) -> list[ChallengeStudy]:
    """The studies of every patient below the folder, by name.

    Projections are `Full dose projections`, `Low dose projections`, `DICOM-CT-PD_FD` and the like: one study for each dose, with
    the full-dose images as reference. A patient without projections becomes one study of full-dose images to simulate from, the
    thinnest slices of them, which are its reference too. Patients are known by their folder (L067), never by their headers.
    Raises DataError where there is none.
    """
    folder = Path(folder)
    patients = defaultdict(lambda: defaultdict(list))
    for place in sorted(path for path in folder.rglob("*") if path.is_dir() and _has_files(path)):
        patient = next((part for part in reversed(place.relative_to(folder.parent).parts) if _PATIENT.fullmatch(part)), "")
        role = _role(place.name)
        if patient and role:
            patients[patient][role].append(place)
    studies = [study for patient in sorted(patients) for study in _studies(patient, patients[patient])]
    if not studies:
        expected = "folders such as L067/full_3mm or L067/*/1.000000-Full dose projections-*"
        raise DataError(f"{folder.name}: found no patient of the challenge, expected {expected}. Unpack it here.")
    return studies


def _studies(patient: str, roles: dict[tuple[str, str], list[Path]]) -> list[ChallengeStudy]:
    images = sorted(roles.get(("images", "full"), []), key=_thickness)
    reference = images[0] if images else None
    found = [
        ChallengeStudy(f"{patient}-{dose}", "ct", roles[("projections", dose)][0], "ct-pd", reference=reference)
        for dose in ("full", "low")
        if ("projections", dose) in roles
    ]
    if not found and images:
        return [ChallengeStudy(patient, "ct", images[0], "images", reference=images[0])]
    return found


def _role(name: str) -> tuple[str, str] | None:
    """("projections" or "images", "full" or "low") by the name of a folder; None for another one."""
    plain = name if "FD" in name or "QD" in name else name.lower()
    dose = "full" if _FULL.search(plain) else "low" if _LOW.search(plain) else ""
    lowered = name.lower()
    kind = "projections" if "projection" in lowered or "ct-pd" in lowered else ""
    if not kind and ("images" in lowered or _SLICE_MM.search(lowered)):
        kind = "images"
    return (kind, dose) if kind and dose else None


def _thickness(path: Path) -> tuple[int, str]:
    match = _SLICE_MM.search(path.name.lower())
    return (int(match[1]) if match else 0), str(path)


def _has_files(folder: Path) -> bool:
    return any(entry.is_file() and not entry.name.startswith(".") for entry in folder.iterdir())
