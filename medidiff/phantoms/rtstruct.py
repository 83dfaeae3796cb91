"""Outlines of regions on the slices of a written series, as a DICOM RT Structure Set."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import RTStructureSetStorage

from medidiff.phantoms.contours import outline
from medidiff.phantoms.identity import dicom_date, dicom_time, make_uid
from medidiff.phantoms.planes import decimal_strings
from medidiff.phantoms.series import WrittenSeries, save_dicom

COLOURS = ([220, 40, 40], [40, 160, 220], [230, 170, 30], [60, 180, 80])
STUDY_CLASS = "1.2.840.10008.3.1.2.3.1"  # Detached Study Management, as the standard's enumerated value demands


def write_rtstruct(margins: Mapping[str, np.ndarray], series: WrittenSeries, path: Path, *, label: str) -> None:
    """A new RT Structure Set; every region is listed, and one that is empty has no contours.

    margins   name -> (i, j, k) on the series' grid, in pixels: positive inside; `mask - 0.5` does for a mask
    series    the images that were outlined
    label     StructureSetLabel and SeriesDescription

    Polygons lie in the slice planes, closed; a hole is a polygon of its own inside another, so that the even-odd rule
    (XOR) on pixel centres gives each region back voxel for voxel (see `contours.outline`).
    """
    structures = series.study.header()
    structures.SpecificCharacterSet = "ISO_IR 192"
    structures.SOPClassUID = RTStructureSetStorage
    structures.SeriesInstanceUID = make_uid(series.uid, label, "series")
    structures.SOPInstanceUID = make_uid(series.uid, label, "instance")
    structures.Modality, structures.Manufacturer, structures.OperatorsName = "RTSTRUCT", "medidiff", ""
    structures.SeriesNumber, structures.InstanceNumber, structures.SeriesDescription = 10, 1, label
    structures.StructureSetLabel = label[:16]
    structures.StructureSetDate = dicom_date(series.study.started)
    structures.StructureSetTime = dicom_time(series.study.started)
    structures.FrameOfReferenceUID, structures.PositionReferenceIndicator = series.study.frame_uid, ""
    structures.ApprovalStatus = "UNAPPROVED"
    structures.ReferencedFrameOfReferenceSequence = Sequence([_referenced_frame(series)])
    structures.StructureSetROISequence = Sequence([_roi(n, name, series=series) for n, name in enumerate(margins, 1)])
    structures.ROIContourSequence = Sequence(
        [_contours(n, margin, series=series) for n, margin in enumerate(margins.values(), 1)]
    )
    structures.RTROIObservationsSequence = Sequence([_observation(n) for n in range(1, len(margins) + 1)])
    save_dicom(structures, path)


def _referenced_image(series: WrittenSeries, k: int) -> Dataset:
    image = Dataset()
    image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = series.sop_class, series.sop_uids[k]
    return image


def _referenced_frame(series: WrittenSeries) -> Dataset:
    images, study, frame = Dataset(), Dataset(), Dataset()
    images.SeriesInstanceUID = series.uid
    images.ContourImageSequence = Sequence([_referenced_image(series, k) for k in range(len(series.sop_uids))])
    study.ReferencedSOPClassUID, study.ReferencedSOPInstanceUID = STUDY_CLASS, series.study.uid
    study.RTReferencedSeriesSequence = Sequence([images])
    frame.FrameOfReferenceUID = series.study.frame_uid
    frame.RTReferencedStudySequence = Sequence([study])
    return frame


def _roi(number: int, name: str, *, series: WrittenSeries) -> Dataset:
    roi = Dataset()
    roi.ROINumber, roi.ROIName, roi.ROIGenerationAlgorithm = number, name, "AUTOMATIC"
    roi.ReferencedFrameOfReferenceUID = series.study.frame_uid
    return roi


def _contours(number: int, margin: np.ndarray, *, series: WrittenSeries) -> Dataset:
    region = Dataset()
    region.ReferencedROINumber, region.ROIDisplayColor = number, COLOURS[(number - 1) % len(COLOURS)]
    polygons = [(k, polygon) for k in range(margin.shape[2]) for polygon in outline(margin[:, :, k])]
    if polygons:
        region.ContourSequence = Sequence([_contour(k, polygon, series=series) for k, polygon in polygons])
    return region


def _contour(k: int, polygon: np.ndarray, *, series: WrittenSeries) -> Dataset:
    contour = Dataset()
    contour.ContourImageSequence = Sequence([_referenced_image(series, k)])
    contour.ContourGeometricType, contour.NumberOfContourPoints = "CLOSED_PLANAR", len(polygon)
    points = series.planes.positions(np.column_stack([polygon, np.full(len(polygon), k)]))
    contour.ContourData = decimal_strings(points.ravel())
    return contour


def _observation(number: int) -> Dataset:
    observation = Dataset()
    observation.ObservationNumber = observation.ReferencedROINumber = number
    observation.RTROIInterpretedType, observation.ROIInterpreter = "GTV", ""
    return observation
