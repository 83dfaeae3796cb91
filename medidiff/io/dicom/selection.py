"""Which PET and which CT of a folder belong together; a tie is an error that names the candidates, never a guess."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medidiff.errors import DataError
from medidiff.io.dicom.fields import text, value
from medidiff.io.dicom.grouping import group_series
from medidiff.io.dicom.imageseries import Series
from medidiff.io.dicom.index import Instance, index_folder
from medidiff.io.dicom.series import series_grid
from medidiff.io.dicom.tilt import accept_tilt

FEWEST_SLICES, THICKEST_MM = 8, 10.0  # below and above, a "volume" is a localiser or a few test images
TIE = 0.01  # two CTs whose overlap with the PET differs by less than this fraction of the larger are equally good


@dataclass(frozen=True, eq=False)
class PetCt:
    """One PET, the CT of the same examination, and the contours drawn on them."""

    ct: Series
    pet: Series
    structures: tuple[Path, ...]  # RTSTRUCT files of the same study, in the order of their names
    notes: tuple[str, ...] = ()  # what was chosen from, and what is odd about it


def find_pet(folder: Path, *, pet: str = "") -> Series:
    """The PET of a folder: the one with this SeriesInstanceUID, or the one that `find_petct` would choose."""
    series = group_series(*index_folder(folder))
    return _named(series, pet, "PT") if pet else _choose_pet(series)


def find_petct(folder: Path, *, ct: str = "", pet: str = "", allow_tilt: bool = False) -> PetCt:
    """The PET, its CT and the contours of one study folder.

    folder       any tree with one PET/CT examination
    ct, pet      SeriesInstanceUIDs that decide; "" chooses
    allow_tilt   take a series with a gantry tilt too; its affine is sheared (`tilt.upright` resamples it)

    PET: corrected for attenuation, then most slices, then the latest. CT: same study and frame of reference, then the
    largest overlap with the PET. Raises DataError when either is missing, not usable, not of the same patient, or when two
    are equally good.
    """
    instances, skipped = index_folder(folder)
    series = group_series(instances, skipped)
    if allow_tilt:
        series = [accept_tilt(one) for one in series]
    return choose_petct(series, instances, ct=ct, pet=pet)


def choose_petct(series: Sequence[Series], instances: Sequence[Instance], *, ct: str = "", pet: str = "") -> PetCt:
    """As `find_petct`, among series and instances that were indexed before."""
    chosen_pet = _named(series, pet, "PT") if pet else _choose_pet(series)
    chosen_ct = _named(series, ct, "CT") if ct else _choose_ct(series, chosen_pet)
    _check_pair(chosen_ct, chosen_pet)
    structures = tuple(
        instance.path
        for instance in instances
        if text(instance.header, "Modality") == "RTSTRUCT" and text(instance.header, "StudyInstanceUID") == chosen_pet.study_uid
    )
    notes = tuple(f"{one.modality}: {note}" for one in (chosen_ct, chosen_pet) for note in one.notes)
    return PetCt(chosen_ct, chosen_pet, structures, notes + _coverage_notes(chosen_ct, chosen_pet))


def is_attenuation_corrected(pet: Series) -> bool:
    """Whether the headers say that the PET was corrected for attenuation."""
    header = pet.headers[0]
    return "ATTN" in text(header, "CorrectedImage").upper().split("\\") or text(header, "AttenuationCorrected") == "YES"


def describe(series: Series) -> str:
    """Modality, uid and number of slices, for messages; nothing that names the patient."""
    return f"{series.modality} {series.uid} ({len(series.planes) or len(series.paths)} slices)"


def _named(series: Sequence[Series], uid: str, modality: str) -> Series:
    found = [one for one in series if one.uid == uid]
    if not found:
        raise DataError(f"no series {uid} in the folder; found {_listed(series)}. Correct the study table.")
    usable = [one for one in found if one.usable]
    if not usable:
        raise DataError(f"series {describe(found[0])}: {found[0].reason}")
    if len(usable) > 1:
        raise DataError(
            f"series {uid} is mixed and holds {_listed(usable)}, each a volume of its own. Export the one that is meant."
        )
    if usable[0].modality != modality:
        raise DataError(f"series {uid} has modality {usable[0].modality}, expected {modality}. Correct the study table.")
    return usable[0]


def _choose_pet(series: Sequence[Series]) -> Series:
    pets = [one for one in series if one.modality == "PT"]
    usable = [one for one in pets if one.usable]
    if not pets:
        raise DataError(f"no PET series; found {_listed(series)}. Put the PET of the examination into the folder.")
    if not usable:
        raise DataError(f"no usable PET series. {_reasons(pets)}")
    corrected = [one for one in usable if is_attenuation_corrected(one)]
    if not corrected:
        raise DataError(
            f"no PET corrected for attenuation (CorrectedImage lacks ATTN): {_listed(usable)}. Export the corrected series, "
            "or name the one to use in the column pet of the study table."
        )
    if len({one.study_uid for one in corrected}) > 1:
        raise DataError(
            f"PET series of several studies in one folder: {_listed(corrected)}. Give each study its own folder, "
            "or name the series in the column pet of the study table."
        )
    best = max(_pet_rank(one) for one in corrected)
    tied = [one for one in corrected if _pet_rank(one) == best]
    if len(tied) > 1:
        raise DataError(
            f"{len(tied)} PET series are equally good: {_listed(tied)}. Name one in the column pet of the study table."
        )
    return tied[0]


def _pet_rank(pet: Series) -> tuple[int, str]:
    header = pet.headers[0]
    day = text(header, "SeriesDate") or text(header, "AcquisitionDate")
    return len(pet.planes), day + (text(header, "SeriesTime") or text(header, "AcquisitionTime"))


def _choose_ct(series: Sequence[Series], pet: Series) -> Series:
    cts = [one for one in series if one.modality == "CT"]
    if not cts:
        raise DataError(f"no CT series; found {_listed(series)}. Put the CT of the examination into the folder.")
    beside = [one for one in cts if (one.study_uid, one.frame_of_reference_uid) == (pet.study_uid, pet.frame_of_reference_uid)]
    if not beside:
        raise DataError(
            f"no CT shares study and frame of reference with the {describe(pet)}: {_listed(cts)}. PET and CT must come from one "
            "examination; export its CT."
        )
    usable = [one for one in beside if one.usable and _is_volume(one)]
    if not usable:
        raise DataError(f"no usable CT series beside the PET. {_reasons(beside)}")
    overlaps = [float(np.prod(_covered(one, pet))) for one in usable]
    tied = [one for one, overlap in zip(usable, overlaps) if overlap >= (1 - TIE) * max(overlaps)]
    if len(tied) > 1:
        tied = [one for one in tied if "REFORMATTED" not in text(one.headers[0], "ImageType")] or tied
    if len(tied) > 1:
        raise DataError(
            f"{len(tied)} CT series cover the PET equally well: {_listed(tied)}. Name one in the column ct of the study table."
        )
    return tied[0]


def _is_volume(series: Series) -> bool:
    return len(series.planes) >= FEWEST_SLICES and series_grid(series).spacing_mm[2] <= THICKEST_MM


def _check_pair(ct: Series, pet: Series) -> None:
    for keyword in ("PatientID", "PatientName", "PatientBirthDate"):
        mine, other = text(ct.headers[0], keyword), text(pet.headers[0], keyword)
        if mine and other and mine != other:
            raise DataError(
                f"{keyword} differs between the {describe(ct)} and the {describe(pet)}: two patients. "
                "Keep one patient in a folder."
            )
    for keyword, mine, other in (
        ("StudyInstanceUID", ct.study_uid, pet.study_uid),
        ("FrameOfReferenceUID", ct.frame_of_reference_uid, pet.frame_of_reference_uid),
    ):
        if mine != other or not mine:
            raise DataError(
                f"{keyword} of the {describe(ct)} is {mine or 'missing'}, that of the {describe(pet)} is {other or 'missing'}: "
                "the two do not share coordinates. Choose CT and PET of one examination."
            )
    covered = _covered(ct, pet)
    length = covered[2] if covered.all() else 0.0
    if length < 0.5:
        raise DataError(
            f"the {describe(ct)} covers {length:.0%} of the length of the {describe(pet)}, expected at least half. "
            "Choose the CT of the same region."
        )


def _extent(series: Series, pet: Series) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest voxel index (3,) of the PET that another series reaches."""
    corners = series_grid(series).corners()
    from_ras = np.linalg.inv(series_grid(pet).affine)
    index = corners @ from_ras[:3, :3].T + from_ras[:3, 3]
    return index.min(axis=0), index.max(axis=0)


def _covered(ct: Series, pet: Series) -> np.ndarray:
    """Fraction (3,) of the PET along each of its axes that the CT reaches."""
    low, high = _extent(ct, pet)
    shape = np.array(series_grid(pet).shape)
    return np.clip(np.minimum(high, shape - 0.5) - np.maximum(low, -0.5), 0, None) / shape


def _coverage_notes(ct: Series, pet: Series) -> tuple[str, ...]:
    (*_, low), (*_, high) = _extent(ct, pet)
    grid = series_grid(pet)
    outside = max(0.0, -0.5 - low) + max(0.0, high - grid.shape[2] + 0.5)
    return (f"{outside * grid.spacing_mm[2]:.1f} mm of the length of the CT lie outside the PET",) if outside > 1 else ()


def _listed(series: Sequence[Series]) -> str:
    images = [one for one in series if value(one.headers[0], "Rows") is not None]
    return "; ".join(describe(one) for one in images) or "no image series at all"


def _reasons(series: Sequence[Series]) -> str:
    return " ".join(
        f"{describe(one)}: {one.reason or f'expected at least {FEWEST_SLICES} slices of at most {THICKEST_MM:g} mm.'}"
        for one in series
    )
