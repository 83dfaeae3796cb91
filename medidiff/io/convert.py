"""A PET/CT study, DICOM or NIfTI, as CT in HU and PET in SUV, and its reference as masks on both grids."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from medidiff.errors import DataError
from medidiff.io.dicom.clock import DAY_S, date_seconds
from medidiff.io.dicom.fields import text
from medidiff.io.dicom.geometry import is_sheared
from medidiff.io.dicom.grouping import Series
from medidiff.io.dicom.pet import read_suv
from medidiff.io.dicom.rtstruct import read_contours
from medidiff.io.dicom.series import read_series, series_grid
from medidiff.io.dicom.suv_reference import Reference
from medidiff.io.dicom.tilt import upright, upright_grid
from medidiff.io.nifti import read_nifti
from medidiff.io.petct_checks import check_content, coverage, grid_summary, implausible_suv
from medidiff.io.petct_nifti import PetUnit, labels_on, nifti_pair, read_labels, read_pair
from medidiff.io.resample import resample_mask
from medidiff.io.scan import find_petct
from medidiff.io.truth import DrawnRoi, choose_rois, mask_on
from medidiff.io.volume import Volume


@dataclass(frozen=True, eq=False)
class Converted:
    """CT and PET of one examination, each on its own grid in stored voxel order."""

    ct: Volume  # HU, float32
    pet: Volume  # SUV by body weight, g/ml, float32
    report: dict  # JSON: geometry, how SUV was computed, how the two fit; no dates, no identifiers
    warnings: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Truth:
    """The reference on both grids."""

    ct: Volume  # uint8, 0 and 1
    pet: Volume
    report: dict
    warnings: tuple[str, ...]


def convert_petct(
    folder: str | Path,
    *,
    ct: str = "",
    pet: str = "",
    suv_reference: Reference = "auto",
    suv_overrides: Mapping[str, float] | None = None,
    pet_unit: PetUnit = "",
    allow_tilt: bool = False,
) -> Converted:
    """CT in HU and PET in SUVbw of one study folder.

    folder           DICOM in any tree, or NIfTI files
    ct, pet          SeriesInstanceUIDs, or NIfTI file names below the folder; "" takes the only ones that fit
    suv_reference    which time the activity refers to, see `suv_factors`
    suv_overrides    SUV values stated by the user, see `suv_factors`
    pet_unit         "suv" states that a NIfTI PET is SUVbw where its name does not
    allow_tilt       resample series of a tilted gantry to a right-angled grid instead of refusing them

    Raises DataError where the study does not give both, they do not belong together, or SUV cannot be computed.
    """
    folder = Path(folder)
    pair = nifti_pair(folder, ct=ct, pet=pet)
    if pair:
        return _converted(*read_pair(*pair, pet_unit), source="nifti", notes={}, warnings=[])
    found = find_petct(folder, ct=ct, pet=pet, allow_tilt=allow_tilt)
    pet_volume, suv = read_suv(found.pet, root=folder, reference=suv_reference, overrides=suv_overrides)
    ct_volume = read_series(found.ct, root=folder)
    notes = {"suv": suv.report, "notes": list(found.notes)}
    warnings = [*found.notes, *suv.warnings, *_odd_headers(found.ct, found.pet)]
    ct_volume, pet_volume = upright(ct_volume, fill=-1024), upright(pet_volume, fill=0)
    return _converted(ct_volume, pet_volume, source="dicom", notes=notes, warnings=warnings)


def convert_truth(
    folder: str | Path,
    *,
    ct: str = "",
    pet: str = "",
    structures: Sequence[Path] = (),
    roi: str = "",
    allow_tilt: bool = False,
) -> Truth:
    """The reference of one study folder as masks on the grids of its CT and its PET.

    folder        as for `convert_petct`, likewise ct, pet and allow_tilt
    structures    RTSTRUCT or label files; none searches the folder
    roi           name of the region, or number of the label; `*` stands for any characters, `|` separates several that are
                  united; "" takes the only one

    Contours are put on each grid by themselves, never resampled but from a tilted stack. Raises DataError where there is no
    reference, the choice is not unique, or a label lies on neither grid.
    """
    folder = Path(folder)
    pair = nifti_pair(folder, ct=ct, pet=pet)
    if pair:
        grids = [read_nifti(path).grid for path in pair]
        return _truth(*labels_on(read_labels(folder, *pair, structures), *grids, roi))
    found = find_petct(folder, ct=ct, pet=pet, allow_tilt=allow_tilt)
    paths = list(structures) or list(found.structures)
    if not paths:
        raise DataError(f"{folder.name}: no RTSTRUCT of the examination. Name the reference as truth in the study table.")
    regions = [DrawnRoi(name, one) for path in paths for name in [_name(path, folder)] for one in read_contours(path, name=name)]
    masks, origin, warnings = [], {}, []
    for side, series in (("ct", found.ct), ("pet", found.pet)):
        chosen = choose_rois(regions, roi, series)
        mask, notes = mask_on(chosen, series_grid(series), (found.ct, found.pet))
        masks.append(resample_mask(mask, upright_grid(mask.grid)) if is_sheared(mask.affine) else mask)
        origin[side] = ", ".join(one.roi.name for one in chosen)  # not the file: its name may be that of the patient
        warnings += [f"{side.upper()}: {note}" for note in notes]
    return _truth(*masks, origin, warnings)


def _converted(ct: Volume, pet: Volume, *, source: str, notes: dict, warnings: list[str]) -> Converted:
    check_content(ct, "CT")
    check_content(pet, "PET")
    warnings = warnings + implausible_suv(pet.array)
    report = {
        "source": source,
        "ct": grid_summary(ct.grid) | _range(ct, "hu"),
        "pet": grid_summary(pet.grid) | _range(pet, "suv"),
        "coverage": coverage(ct.grid, pet.grid),
        **notes,
        "warnings": warnings,
    }
    return Converted(ct, pet, report, tuple(warnings))


def _truth(ct: Volume, pet: Volume, origin: dict[str, str], warnings: list[str]) -> Truth:
    report = {
        side: {"origin": origin[side], "voxels": int(volume.array.sum()), "ml": float(volume.array.sum() * volume.grid.voxel_ml)}
        for side, volume in (("ct", ct), ("pet", pet))
    }
    return Truth(ct, pet, report | {"warnings": warnings}, tuple(warnings))


def _range(volume: Volume, unit: str) -> dict[str, float]:
    return {f"lowest_{unit}": float(volume.array.min()), f"highest_{unit}": float(volume.array.max())}


def _odd_headers(ct: Series, pet: Series) -> list[str]:
    """Warnings about a CT with contrast agent, and about one taken on another day."""
    warnings = []
    if text(ct.headers[0], "ContrastBolusAgent"):
        warnings.append("the CT was taken with contrast agent: HU of vessels and organs are raised")
    days = [date_seconds(text(series.headers[0], "SeriesDate") or text(series.headers[0], "StudyDate")) for series in (ct, pet)]
    if None not in days and abs(days[0] - days[1]) > DAY_S:
        warnings.append(f"CT and PET were taken {abs(days[0] - days[1]) / DAY_S:.0f} days apart")
    return warnings


def _name(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.name
