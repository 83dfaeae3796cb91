"""A reconstructed volume as a DICOM series: CT in HU, or MR magnitudes."""

import hashlib
import re
import uuid
from pathlib import Path
from typing import Literal

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, MRImageStorage
from pydicom.valuerep import format_number_as_ds

from medidiff.errors import DataError
from medidiff.io.atomic_folder import atomic_folder
from medidiff.io.dicom.fields import text
from medidiff.io.dicom.geometry import LPS_TO_RAS
from medidiff.io.dicom.imageseries import Series
from medidiff.io.volume import Volume

_PATIENT = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex")
_STUDY = ("StudyDate", "StudyTime", "ReferringPhysicianName")
_AT_MOST_16 = ("StudyID", "AccessionNumber")  # real files exceed it, and a series must be valid
_CLASSES = {"CT": CTImageStorage, "MR": MRImageStorage}
_SHEAR = 1e-4
_INT16, _UINT16 = np.iinfo(np.int16), np.iinfo(np.uint16)


def write_series(
    volume: Volume,
    folder: Path,
    *,
    modality: Literal["CT", "MR"],
    method: str,
    version: str,
    source: Series | None = None,
) -> str:
    """Write one file for each slice k of a volume, all or nothing, and return the SeriesInstanceUID.

    volume     CT: HU; MR: magnitudes, not negative; slices at right angles to columns i and rows j
    folder     `0001.dcm` and so on, in the order of k; an earlier series of ours there is replaced
    modality   CT: stored numbers are rounded HU; MR: 65535 steps from 0 to the largest magnitude, with RescaleSlope
    method     what made the volume, and `version` of medidiff: DerivationDescription, SeriesDescription, SoftwareVersions
    source     series of the same patient in the same frame of reference; without one both are new, and the patient is empty

    UIDs follow from content, words and source alone, so equal input gives equal bytes. Patient and study are those of the
    source: the result is as identified as it. Raises DataError for values that are not finite or not in 16 bits, slices that
    lean, and words that DICOM cannot hold.
    """
    for name, word in {"method": method, "version": version}.items():
        if not 1 <= len(word) <= 48 or re.search(r"[\\\x00-\x1f]", word):
            raise DataError(f"{name} of the DICOM series: found {word!r}, expected 1 to 48 characters, no backslash or control.")
    stored, slope = (_hounsfield if modality == "CT" else _magnitudes)(volume.array)
    frame = _frame(volume)
    content = hashlib.sha256(stored.tobytes() + np.round(volume.affine, 6).tobytes()).hexdigest()
    seed = "|".join([modality, method, version, source.uid if source else "", content, f"{slope:.9g}"])
    header = _series_header(modality, method, version, source, seed)
    header.update(_stored_as(modality, stored, slope))
    with atomic_folder(folder, pattern="[0-9][0-9][0-9][0-9].dcm") as temporary:
        for k in range(stored.shape[2]):
            image = _image(header, frame, k, seed)
            image.PixelData = np.ascontiguousarray(stored[:, :, k].T).tobytes()
            image.save_as(temporary / f"{k + 1:04d}.dcm", enforce_file_format=True)
    return str(header.SeriesInstanceUID)


def _hounsfield(values: np.ndarray) -> tuple[np.ndarray, float]:
    _check_finite(values)
    rounded = np.round(values)
    if rounded.min() < _INT16.min or rounded.max() > _INT16.max:
        found = f"{rounded.min():g} to {rounded.max():g} HU"
        raise DataError(f"volume: found {found}, expected {_INT16.min} to {_INT16.max}. Are these Hounsfield units?")
    return rounded.astype("<i2"), 1.0


def _magnitudes(values: np.ndarray) -> tuple[np.ndarray, float]:
    _check_finite(values)
    if values.min() < 0:
        raise DataError(f"volume: found {values.min():g}, expected magnitudes from 0. Take the absolute value.")
    slope = float(f"{max(float(values.max()), 1e-30) * (1 + 1e-8) / _UINT16.max:.9e}")
    return np.clip(np.round(values / slope), 0, _UINT16.max).astype("<u2"), slope


def _check_finite(values: np.ndarray) -> None:
    if values.ndim != 3 or not values.size or len(values.T) > 9999 or max(values.shape[:2]) > _UINT16.max:
        raise DataError(f"volume: found the shape {values.shape}, expected (columns, rows, up to 9999 slices).")
    wrong = int((~np.isfinite(values)).sum())
    if wrong:
        raise DataError(f"volume: found {wrong} of {values.size} voxels not finite, expected numbers. Reconstruct it again.")


def _frame(volume: Volume) -> tuple[np.ndarray, np.ndarray]:
    """LPS affine and its unit vectors. Raises DataError for slices that lean."""
    affine = LPS_TO_RAS @ volume.affine
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    if np.abs(axes.T @ axes - np.eye(3)).max() > _SHEAR:
        raise DataError("volume: found axes that are not at right angles, expected upright slices. Resample it to such a grid.")
    return affine, axes


def _series_header(modality: str, method: str, version: str, source: Series | None, seed: str) -> Dataset:
    header, known = Dataset(), source.headers[0] if source else Dataset()
    header.SpecificCharacterSet = known.get("SpecificCharacterSet", "ISO_IR 192")
    for keyword in (*_PATIENT, *_STUDY):
        setattr(header, keyword, known.get(keyword))
    for keyword in _AT_MOST_16:
        setattr(header, keyword, text(known, keyword)[:16])
    header.SOPClassUID, header.Modality = _CLASSES[modality], modality
    header.ImageType = ["DERIVED", "SECONDARY", "AXIAL" if modality == "CT" else "OTHER"]
    header.StudyInstanceUID = source.study_uid if source else _uid("study", seed)
    header.SeriesInstanceUID, header.SeriesNumber = _uid("series", seed), 902
    header.FrameOfReferenceUID = (source.frame_of_reference_uid if source else "") or _uid("frame", seed)
    header.PositionReferenceIndicator = known.get("PositionReferenceIndicator")
    header.PatientPosition, header.Laterality = text(known, "PatientPosition") or None, None
    header.SeriesDescription = f"medidiff {method}"[:64]
    header.DerivationDescription = f"Reconstructed by medidiff {version}, method {method}"
    header.Manufacturer = header.ManufacturerModelName = "medidiff"
    header.SoftwareVersions, header.AcquisitionNumber = version, None
    if modality == "CT":
        header.KVP = None
    else:
        header.ScanningSequence, header.SequenceVariant, header.ScanOptions = "RM", "NONE", None
        header.MRAcquisitionType, header.EchoTime, header.EchoTrainLength, header.RepetitionTime = "2D", None, None, None
    return header


def _stored_as(modality: str, stored: np.ndarray, slope: float) -> Dataset:
    header = Dataset()
    header.Columns, header.Rows = stored.shape[:2]
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.BitsAllocated = header.BitsStored = 16
    header.HighBit, header.PixelRepresentation = 15, int(modality == "CT")
    header.RescaleIntercept, header.RescaleSlope = "0", format_number_as_ds(slope)
    header.RescaleType = "HU" if modality == "CT" else "US"
    return header


def _image(header: Dataset, frame: tuple[np.ndarray, np.ndarray], k: int, seed: str) -> Dataset:
    affine, axes = frame
    image = Dataset()
    image.update(header)
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.SOPInstanceUID, image.InstanceNumber = _uid(f"instance {k}", seed), k + 1
    column_mm, row_mm, slice_mm = np.linalg.norm(affine[:3, :3], axis=0)
    image.PixelSpacing = [format_number_as_ds(float(row_mm)), format_number_as_ds(float(column_mm))]
    image.SliceThickness = image.SpacingBetweenSlices = format_number_as_ds(float(slice_mm))
    image.ImageOrientationPatient = [format_number_as_ds(float(cosine)) for cosine in (*axes[:, 0], *axes[:, 1])]
    corner = affine[:3, 3] + k * affine[:3, 2]
    image.ImagePositionPatient = [format_number_as_ds(float(place)) for place in corner]
    return image


def _uid(role: str, seed: str) -> str:
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, f'medidiff|reconstruction {role}|{seed}').int}"
