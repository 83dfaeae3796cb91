"""Dehazed pictures as a DICOM ultrasound multi-frame image, derived from the clip they were made of."""

import hashlib
import re
import uuid
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, UltrasoundMultiFrameImageStorage
from pydicom.valuerep import format_number_as_ds

from medidiff.errors import DataError
from medidiff.io.atomic import atomic_path
from medidiff.io.dicom.fields import text
from medidiff.io.ultrasound.recording import Pixels

_COPIED = ("SpecificCharacterSet", "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime")
_COPIED += ("ReferringPhysicianName", "BurnedInAnnotation", "PatientOrientation", "SequenceOfUltrasoundRegions")
_SERIES = 903
_NOTICE = "Not for diagnosis: haze was estimated and removed by a model."


def write_dicom_clip(
    frames: np.ndarray,
    path: Path,
    *,
    method: str,
    version: str,
    geometry: Pixels,
    frame_rate_hz: float | None,
    source: Dataset | None = None,
) -> str:
    """Write frames (frame, row, column) of 8 bits, uncompressed, and return the SOPInstanceUID.

    method         what made them, and `version` of medidiff: DerivationDescription, SeriesDescription, SoftwareVersions
    geometry       of the pixels; where it has a size and the source has no regions, one region of cm is written
    frame_rate_hz  None writes no FrameTime
    source         header of the clip that they were made of: patient and study are its own, so the result is as identified

    UIDs follow from content, words and source alone, so equal input gives equal bytes. Raises DataError for words that DICOM
    cannot hold.
    """
    for name, word in {"method": method, "version": version}.items():
        if not 1 <= len(word) <= 48 or re.search(r"[\\\x00-\x1f]", word):
            raise DataError(f"{name} of the DICOM clip: found {word!r}, expected 1 to 48 characters, no backslash or control.")
    frames = np.ascontiguousarray(frames, np.uint8)
    known = source if source is not None else Dataset()
    content = hashlib.sha256(frames.tobytes()).hexdigest()
    seed = "|".join([method, version, text(known, "SOPInstanceUID"), str(frames.shape), content])
    image = _header(known, method, version, seed)
    image.update(_pixels(frames))
    _time(image, frame_rate_hz)
    if "SequenceOfUltrasoundRegions" not in image and geometry.row_m:
        image.SequenceOfUltrasoundRegions = [_region(geometry, frames.shape[1:])]
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    with atomic_path(path) as temporary:
        image.save_as(temporary, enforce_file_format=True)
    return str(image.SOPInstanceUID)


def _header(known: Dataset, method: str, version: str, seed: str) -> Dataset:
    image = Dataset()
    image.SpecificCharacterSet = "ISO_IR 192"
    for keyword in (
        "PatientName",
        "PatientID",
        "PatientBirthDate",
        "PatientSex",
        "StudyDate",
        "StudyTime",
        "ReferringPhysicianName",
        "PatientOrientation",
    ):
        setattr(image, keyword, None)
    for keyword in _COPIED:
        if keyword in known:
            image[keyword] = known[keyword]
    for keyword in ("StudyID", "AccessionNumber"):
        setattr(image, keyword, text(known, keyword)[:16])
    image.SOPClassUID, image.Modality = UltrasoundMultiFrameImageStorage, "US"
    image.SOPInstanceUID, image.SeriesInstanceUID = _uid("instance", seed), _uid("series", seed)
    image.StudyInstanceUID = text(known, "StudyInstanceUID") or _uid("study", seed)
    image.SeriesNumber, image.InstanceNumber, image.Laterality = _SERIES, 1, None
    image.ImageType = ["DERIVED", "SECONDARY"]
    image.SeriesDescription = f"medidiff dehaze {method}"[:64]
    image.DerivationDescription = f"Dehazed by medidiff {version}, method {method}. {_NOTICE}"
    image.ImageComments = _NOTICE
    image.Manufacturer = image.ManufacturerModelName = "medidiff"
    image.SoftwareVersions = version
    if text(known, "LossyImageCompression") == "01":
        image.LossyImageCompression = "01"  # of the source, which the result cannot undo
        if "LossyImageCompressionRatio" in known:
            image.LossyImageCompressionRatio = known.LossyImageCompressionRatio
    return image


def _pixels(frames: np.ndarray) -> Dataset:
    image = Dataset()
    image.NumberOfFrames, image.Rows, image.Columns = frames.shape
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated = image.BitsStored = 8
    image.HighBit, image.PixelRepresentation = 7, 0
    content = frames.tobytes()
    image.PixelData = content + b"\0" * (len(content) % 2)
    image["PixelData"].VR = "OB"
    return image


def _time(image: Dataset, frame_rate_hz: float | None) -> None:
    if frame_rate_hz:
        image.FrameTime = format_number_as_ds(1000 / frame_rate_hz)
        image.FrameIncrementPointer = 0x00181063


def _region(geometry: Pixels, shape: tuple[int, int]) -> Dataset:
    top, bottom, left, right = geometry.box or (0, shape[0], 0, shape[1])
    region = Dataset()
    region.RegionSpatialFormat = region.RegionDataType = 1
    region.RegionFlags = 0
    region.RegionLocationMinX0, region.RegionLocationMinY0 = left, top
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = right - 1, bottom - 1
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 3
    region.PhysicalDeltaX, region.PhysicalDeltaY = 100 * (geometry.column_m or geometry.row_m), 100 * geometry.row_m
    return region


def _uid(role: str, seed: str) -> str:
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, f'medidiff|dehazing {role}|{seed}').int}"
