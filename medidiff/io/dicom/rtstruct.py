"""Regions of interest out of an RTSTRUCT file."""

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

from medidiff.errors import DataError

_LPS_TO_RAS = np.array([-1.0, -1.0, 1.0])
_CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")
_ADVICE = "Export the structure set again."


@dataclass(frozen=True, eq=False)
class Roi:
    """One named region: closed planar contours in the patient, and what they were drawn on."""

    name: str
    contours: tuple[np.ndarray, ...]  # each (n, 3), RAS millimetres, n >= 3
    frame_of_reference_uid: str
    series_uids: frozenset[str]  # series that the structure set refers to
    instance_uids: frozenset[str]  # slices that the contours refer to
    skipped: int  # contours with fewer than three points, or points and open lines, which enclose nothing


def read_contours(path: str | Path, *, name: str = "") -> list[Roi]:
    """Every region of an RTSTRUCT file, in the order of the file.

    path       file
    name       what messages call it, relative to the study's folder; the file's own name by default

    Raises DataError where the file cannot be read, is no RTSTRUCT, or holds coordinates that are no points.
    """
    name = name or Path(path).name
    try:
        with warnings.catch_warnings():  # pydicom reports oddities of values; what matters is checked below
            warnings.simplefilter("ignore")
            dataset = pydicom.dcmread(path)
            modality = str(dataset.get("Modality", ""))
            rois = _rois(dataset, name) if modality == "RTSTRUCT" else []
    except DataError:
        raise
    except Exception as error:  # a damaged file makes a parser fail in any way it likes
        raise DataError(f"{name}: cannot be read as RTSTRUCT ({type(error).__name__}). {_ADVICE}") from error
    if modality != "RTSTRUCT":
        raise DataError(
            f"{name}: Modality is {modality[:16] or 'absent'}, expected RTSTRUCT. Name the structure set of the study."
        )
    if not rois:
        raise DataError(f"{name}: no region of interest in the structure set, expected at least one. {_ADVICE}")
    return rois


def find_roi(rois: Iterable[Roi], name: str) -> Roi:
    """The region of this name. Raises DataError that lists the names where there is none, or several."""
    rois = list(rois)
    found = [roi for roi in rois if roi.name == name]
    if len(found) != 1:
        raise DataError(f"region {name!r}: {len(found)} found, expected one. There are: {roi_names(rois)}.")
    return found[0]


def roi_names(rois: Iterable[Roi]) -> str:
    """The names of regions, quoted, for messages."""
    return ", ".join(repr(roi.name) for roi in rois) or "none"


def _rois(dataset: Dataset, name: str) -> list[Roi]:
    contours = {str(item.get("ReferencedROINumber")): item for item in dataset.get("ROIContourSequence") or []}
    series = frozenset(
        str(item.get("SeriesInstanceUID"))
        for frame in dataset.get("ReferencedFrameOfReferenceSequence") or []
        for study in frame.get("RTReferencedStudySequence") or []
        for item in study.get("RTReferencedSeriesSequence") or []
    )
    return [
        _roi(item, list((contours.get(str(item.get("ROINumber"))) or Dataset()).get("ContourSequence") or []), series, name)
        for item in dataset.get("StructureSetROISequence") or []
    ]


def _roi(item: Dataset, sequence: list[Dataset], series: frozenset[str], file_name: str) -> Roi:
    roi_name = "".join(c if c.isprintable() else "?" for c in str(item.get("ROIName", "")).strip())
    closed = [c for c in sequence if str(c.get("ContourGeometricType", "CLOSED_PLANAR")) in _CLOSED]
    points = [_points(contour, roi_name, file_name) for contour in closed]
    kept = tuple(array * _LPS_TO_RAS for array in points if len(array) >= 3)
    instances = frozenset(
        str(image.get("ReferencedSOPInstanceUID")) for contour in closed for image in contour.get("ContourImageSequence") or []
    )
    frame = str(item.get("ReferencedFrameOfReferenceUID", ""))
    return Roi(roi_name, kept, frame, series, instances, skipped=len(sequence) - len(kept))


def _points(contour: Dataset, roi_name: str, file_name: str) -> np.ndarray:
    """LPS millimetres (n, 3); parsed from the raw text, as an object per number takes minutes for large sets."""
    element = contour.get_item("ContourData")
    raw = element.value if element is not None else None
    texts = raw.split(b"\\") if isinstance(element, RawDataElement) and isinstance(raw, bytes) else (raw or [])
    try:
        numbers = np.array([float(text) for text in texts])
    except ValueError:
        numbers = np.array([np.nan])
    if len(numbers) % 3 or not np.isfinite(numbers).all():
        raise DataError(
            f"{file_name}: a contour of region {roi_name!r} holds {len(numbers)} values, expected finite numbers, three a point. "
            f"{_ADVICE}"
        )
    return numbers.reshape(-1, 3)
