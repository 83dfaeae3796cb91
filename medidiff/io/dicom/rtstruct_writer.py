"""Masks or probabilities as contours on the slices of a series: a DICOM RT Structure Set."""

import hashlib
import re
import uuid
from collections.abc import Mapping
from pathlib import Path

import nibabel
import numpy as np
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian, RTStructureSetStorage
from skimage.measure import find_contours

from medidiff.errors import DataError
from medidiff.io.atomic import atomic_path
from medidiff.io.dicom.fields import text
from medidiff.io.dicom.grouping import Series
from medidiff.io.dicom.series import series_grid
from medidiff.io.volume import Volume

_STUDY_CLASS = "1.2.840.10008.3.1.2.3.1"  # Detached Study Management: the value that the standard fixes here
_COPIED = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
    *("StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName"),
    *("FrameOfReferenceUID", "PositionReferenceIndicator"),
)
_CONTOUR_DATA = Tag(0x3006, 0x0050)
_COLOURS = ([220, 40, 40], [40, 160, 220], [230, 170, 30], [60, 180, 80])


def write_rtstruct(regions: Mapping[str, Volume], series: Series, path: Path, *, label: str, version: str) -> None:
    """Write regions as an RT Structure Set, all or nothing, the same bytes for the same content.

    regions    name -> mask (0 and 1) or probability on the grid of the series, voxel axes in any order and direction
    series     usable series of single-frame files that the regions were drawn on
    label      StructureSetLabel and SeriesDescription
    version    SoftwareVersions

    Contours run in the slice planes where the value is interpolated to 0.5, between voxel centres, so that the even-odd rule on
    voxel centres gives `value >= 0.5` back exactly; a hole is a contour of its own. Every contour encloses a voxel centre and has
    four points or more. The patient and study modules are copied: the result is as identified as its source. Raises DataError
    where a region lies on another grid or the label is too long.
    """
    if not 1 <= len(label) <= 64 or re.search(r"[\\\x00-\x1f]", label):
        raise DataError(f"label of the structure set is {label!r}, expected 1 to 64 characters without backslash or control.")
    if len(series.paths) != len(series.planes):
        raise DataError(f"{series.planes[0].name}: contours can refer to single-frame files only. Export the series as such.")
    outlines = {name: _outlines(_on_grid(region, series, name).array) for name, region in regions.items()}
    content = hashlib.sha256(
        repr([(n, [(k, o.tobytes()) for k, o in found]) for n, found in outlines.items()]).encode()
    ).hexdigest()
    seed = "|".join([series.uid, label, version, content])
    structures = _frame_of_set(series, seed, label=label, version=version)
    structures.StructureSetROISequence = [_region(n, name, series) for n, name in enumerate(outlines, 1)]
    structures.ROIContourSequence = [_contours(n, found, series) for n, found in enumerate(outlines.values(), 1)]
    structures.RTROIObservationsSequence = [_observation(n) for n in range(1, len(outlines) + 1)]
    with atomic_path(path) as temporary:
        structures.save_as(temporary, enforce_file_format=True)


def _on_grid(region: Volume, series: Series, name: str) -> Volume:
    grid = series_grid(series)
    turn = nibabel.io_orientation(np.linalg.inv(grid.affine) @ region.affine)
    array = nibabel.apply_orientation(region.array, turn)
    aligned = Volume(array, region.affine @ nibabel.orientations.inv_ornt_aff(turn, region.array.shape))
    if not aligned.grid.agrees_with(grid):
        raise DataError(
            f"region {name!r} {region.grid.shape} does not lie on the images {grid.shape}, expected to 0.001 mm:\n"
            f"region\n{aligned.affine[:3]}\nimages\n{grid.affine[:3]}\nResample it onto their grid first."
        )
    return aligned


def _outlines(values: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """(slice, polygon (n, 2) in pixels) of one region."""
    found = []
    for k in np.flatnonzero((values >= 0.5).any(axis=(0, 1))):
        level = 2 * values[:, :, k].astype(np.float64) - 1
        # a centre that is all but on the contour is moved off it, to its own side
        level = np.where(level >= 0, 1, -1) * np.clip(np.abs(level), 0.05, 1.0)
        found += [(int(k), polygon[:-1] - 1) for polygon in find_contours(np.pad(level, 1, constant_values=-1.0), 0.0)]
    return found


def _frame_of_set(series: Series, seed: str, *, label: str, version: str) -> Dataset:
    header, structures = series.headers[0], Dataset()
    for keyword in _COPIED:
        setattr(structures, keyword, header.get(keyword))
    structures.SpecificCharacterSet = header.get("SpecificCharacterSet")
    structures.SOPClassUID, structures.SOPInstanceUID = RTStructureSetStorage, _uid("instance", seed)
    structures.Modality, structures.SeriesInstanceUID, structures.SeriesNumber = "RTSTRUCT", _uid("series", seed), 901
    structures.SeriesDescription, structures.OperatorsName, structures.InstanceNumber = label, None, 1
    structures.Manufacturer = structures.ManufacturerModelName = "medidiff"
    structures.SoftwareVersions, structures.DeviceSerialNumber = version, "0"
    structures.StructureSetLabel, structures.ApprovalStatus = label[:16].strip(), "UNAPPROVED"
    structures.StructureSetDate = text(header, "SeriesDate") or text(header, "StudyDate")
    structures.StructureSetTime = text(header, "SeriesTime") or text(header, "StudyTime")
    structures.ReferencedFrameOfReferenceSequence = [_referenced_frame(series)]
    structures.file_meta = FileMetaDataset()
    structures.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return structures


def _referenced_frame(series: Series) -> Dataset:
    images, study, frame = Dataset(), Dataset(), Dataset()
    images.SeriesInstanceUID = series.uid
    images.ContourImageSequence = [_image(series, k) for k in range(len(series.planes))]
    study.ReferencedSOPClassUID, study.ReferencedSOPInstanceUID = _STUDY_CLASS, series.study_uid
    study.RTReferencedSeriesSequence = [images]
    frame.FrameOfReferenceUID, frame.RTReferencedStudySequence = series.frame_of_reference_uid, [study]
    return frame


def _image(series: Series, k: int) -> Dataset:
    header = series.headers[series.paths.index(series.planes[k].path)]
    image = Dataset()
    image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = header.SOPClassUID, header.SOPInstanceUID
    return image


def _region(number: int, name: str, series: Series) -> Dataset:
    region = Dataset()
    region.ROINumber, region.ROIName, region.ROIGenerationAlgorithm = number, name[:64], "AUTOMATIC"
    region.ReferencedFrameOfReferenceUID = series.frame_of_reference_uid
    return region


def _contours(number: int, found: list[tuple[int, np.ndarray]], series: Series) -> Dataset:
    grid, contours = series_grid(series), Dataset()
    contours.ReferencedROINumber, contours.ROIDisplayColor = number, _COLOURS[(number - 1) % len(_COLOURS)]
    sequence = []
    for k, polygon in found:
        points = grid.positions(np.column_stack([polygon, np.full(len(polygon), k)])) * [-1, -1, 1]
        contour = Dataset()
        contour.ContourImageSequence = [_image(series, k)]
        contour.ContourGeometricType, contour.NumberOfContourPoints = "CLOSED_PLANAR", len(points)
        contour[_CONTOUR_DATA] = _decimal_strings(points.ravel())
        sequence.append(contour)
    if sequence:
        contours.ContourSequence = sequence
    return contours


def _decimal_strings(values: np.ndarray) -> DataElement:
    """ContourData: numbers to a millionth as DS of at most 16 characters; one text, since an object per number takes minutes."""
    text = "\\".join(f"{value:.6f}".rstrip("0").rstrip(".") for value in values)
    return DataElement(_CONTOUR_DATA, "DS", text, already_converted=True)


def _observation(number: int) -> Dataset:
    observation = Dataset()
    observation.ObservationNumber = observation.ReferencedROINumber = number
    observation.RTROIInterpretedType, observation.ROIInterpreter = "GTV", None
    return observation


def _uid(role: str, seed: str) -> str:
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, f'medidiff|rtstruct {role}|{seed}').int}"
