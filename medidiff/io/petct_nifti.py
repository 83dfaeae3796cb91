"""A PET/CT study that is NIfTI already: CT in HU, PET in stated SUV, labels on the grid of one of them."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from medidiff.errors import DataError
from medidiff.io.listing import is_nifti_name, nifti_studies
from medidiff.io.nifti import read_nifti
from medidiff.io.resample import resample_mask
from medidiff.io.volume import Grid, Volume

PetUnit = Literal["", "suv"]
_LABEL = re.compile(r"(gtv|mask|seg|label|roi|lesion|tumou?r)", re.IGNORECASE)


def nifti_pair(folder: Path, *, ct: str = "", pet: str = "") -> tuple[Path, Path] | None:
    """The files of CT and PET of a folder of NIfTI files; None where the names, or the folder, speak of DICOM.

    ct, pet    file names below the folder, series uids, or "" for the pair that the names of the files make clear
    """
    if is_nifti_name(ct) and is_nifti_name(pet):
        return folder / ct, folder / pet
    if ct or pet or not folder.is_dir():
        return None
    rows = [row for row in nifti_studies(folder, _names(folder), deep=False) if row.kind == "petct"]
    return (folder / rows[0].ct, folder / rows[0].pet) if rows else None


def read_pair(ct: Path, pet: Path, unit: PetUnit) -> tuple[Volume, Volume]:
    """CT and PET. Raises DataError where neither the user nor the name of the PET says that it is SUV."""
    if unit != "suv" and not re.search(r"suv", pet.name, re.IGNORECASE):
        raise DataError(
            f"{pet.name}: NIfTI does not say its unit, expected SUV. If it is SUV by body weight, put suv into its name or "
            "state the unit; otherwise give the DICOM series."
        )
    volumes = read_nifti(ct), read_nifti(pet)
    return tuple(volume.with_array(volume.array.astype(np.float32)) for volume in volumes)


def read_labels(folder: Path, ct: Path, pet: Path, paths: Sequence[Path]) -> list[Path]:
    """The label files: those stated, else the files of the folder whose names say mask or label."""
    found = list(paths) or [folder / name for name in _names(folder) if _LABEL.search(name) and folder / name not in (ct, pet)]
    if not found:
        raise DataError(f"{folder.name}: no label file beside {ct.name} and {pet.name}. Name it as truth in the study table.")
    return found


def labels_on(labels: Sequence[Path], ct: Grid, pet: Grid, label: str) -> tuple[Volume, Volume, dict[str, str], list[str]]:
    """Masks on both grids, where each comes from, and warnings.

    labels     files, each on the grid of CT or of PET
    label      which of several label numbers is the reference, `|` separates several; "" where there is only one. A map may lack
               some of them (no nodes), or hold none at all (no lesion): then the reference is empty

    A grid without its own file gets the other's mask, interpolated and cut at one half. Raises DataError for a file on neither
    grid (with the affines), two files on one grid, and values that are no labels.
    """
    masks: dict[str, Volume] = {}
    warnings: list[str] = []
    origin: dict[str, str] = {}
    grids = {"ct": ct, "pet": pet}
    for path in labels:
        volume = read_nifti(path)
        side = next((side for side, grid in grids.items() if volume.grid.agrees_with(grid)), "")
        if not side:
            raise DataError(
                f"{path.name}: its grid is neither that of the CT nor that of the PET (to 0.001 mm).\n"
                f"label {volume.grid.shape}\n{volume.affine[:3]}\nCT {ct.shape}\n{ct.affine[:3]}\n"
                f"PET {pet.shape}\n{pet.affine[:3]}\nResample the label onto one of them first."
            )
        if side in masks:
            raise DataError(f"{path.name} and {origin[side]} both lie on the grid of the {side.upper()}. Name one as truth.")
        mask = _label_mask(volume.array, path.name, label)
        if not mask.any():
            warnings.append(f"{path.name}: no voxel of label {label or 'any'}: the reference is empty")
        masks[side], origin[side] = Volume(mask, grids[side].affine), path.name
    for side, other in (("ct", "pet"), ("pet", "ct")):
        if side not in masks:
            masks[side] = resample_mask(masks[other], grids[side])
            origin[side] = f"{origin[other]}, resampled"
    return masks["ct"], masks["pet"], origin, warnings


def _label_mask(array: np.ndarray, name: str, label: str) -> np.ndarray:
    rounded = np.round(array)
    values = np.unique(rounded)
    if np.abs(array - rounded).max() > 1e-3 or values[0] < 0 or values[-1] > 255:
        shown = ", ".join(f"{value:g}" for value in np.unique(array)[:8])
        raise DataError(f"{name}: values {shown} ..., expected whole numbers from 0 to 255. Give a label map, not a probability.")
    present = [int(value) for value in values if value]
    wanted = [text.strip() for text in label.split("|")] if label else []
    # a case without nodes, or without any lesion, lacks their number; a map with several other numbers is another map
    if wanted and not all(text.isdigit() and int(text) for text in wanted):
        raise DataError(f"{name}: roi is {label!r}, expected numbers above 0, several as 1|2. Correct roi.")
    if wanted and len(present) > 1 and not set(present) & set(map(int, wanted)):
        raise DataError(f"{name}: labels {present}, expected {label}. Correct roi.")
    if not wanted and len(present) > 1:
        raise DataError(
            f"{name}: labels {present}, which is the reference? Name one in roi, or several as {present[0]}|{present[1]}."
        )
    return np.isin(rounded, [int(text) for text in wanted] or present).astype(np.uint8)


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_file() and is_nifti_name(path.name))
