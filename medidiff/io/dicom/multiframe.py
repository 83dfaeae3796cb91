"""Planes of enhanced multi-frame files (CT, PET, MR, also legacy converted) from their functional groups."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from medidiff.errors import DataError
from medidiff.io.dicom.fields import number, numbers, text, value, whole
from medidiff.io.dicom.planes import Plane, checked_orientation, checked_position, checked_spacing, labels_of

# Macros whose values tell frames of one position apart.
_LABEL_GROUPS = (
    "FrameContentSequence",
    "MREchoSequence",
    "MRDiffusionSequence",
    "CardiacSynchronizationSequence",
    "TemporalPositionSequence",
    "CTReconstructionSequence",
)


def is_enhanced(header: Dataset) -> bool:
    """Whether the file describes its frames by functional groups."""
    return value(header, "PerFrameFunctionalGroupsSequence") is not None


def frame_planes(header: Dataset, *, path: Path, name: str) -> list[Plane]:
    """The plane of each frame of an enhanced file, in stored order.

    header    with shared and per-frame functional groups: plane position, plane orientation, pixel measures and, where the
              numbers have a unit, pixel value transformation or real world value mapping
    path      of the file
    name      of the file, for messages

    (DICOM PS3.3 C.7.6.16.) Raises DataError when the number of frames and of groups differ or a needed macro is missing.
    """
    frames = list(value(header, "PerFrameFunctionalGroupsSequence"))
    stated = whole(header, "NumberOfFrames", name=name)
    if stated != len(frames):
        raise DataError(
            f"{name}: NumberOfFrames is {stated}, the functional groups describe {len(frames)} frames. "
            "The file is cut or damaged; export it again."
        )
    shared = value(header, "SharedFunctionalGroupsSequence")
    common = shared[0] if shared else Dataset()
    nowhere = Plane(
        path=path,
        name=name,
        frame=0,
        shape=(whole(header, "Rows", name=name), whole(header, "Columns", name=name)),
        position=(0.0, 0.0, 0.0),
        orientation=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
        spacing=(1.0, 1.0),
    )
    return [_placed(replace(nowhere, frame=index), header, own, common) for index, own in enumerate(frames)]


def _placed(plane: Plane, header: Dataset, own: Dataset, common: Dataset) -> Plane:
    """The plane with what its functional groups, else the shared ones, say of it."""
    place = f"{plane.name} frame {plane.frame + 1}"
    orientation = numbers(_macro(own, common, "PlaneOrientationSequence", place), "ImageOrientationPatient", 6, name=place)
    spacing = numbers(_macro(own, common, "PixelMeasuresSequence", place), "PixelSpacing", 2, name=place)
    position = numbers(_macro(own, common, "PlanePositionSequence", place), "ImagePositionPatient", 3, name=place)
    slope, intercept = _rescale(header, own, common, place)
    return replace(
        plane,
        position=checked_position(position, name=place),
        orientation=checked_orientation(orientation, name=place),
        spacing=checked_spacing(spacing, name=place),
        slope=slope,
        intercept=intercept,
        identity=f"{text(header, 'SOPInstanceUID')}#{plane.frame}",
        labels=labels_of(*_items(own, common, _LABEL_GROUPS)),
    )


def _macro(own: Dataset, common: Dataset, keyword: str, place: str) -> Dataset:
    """The one item of a functional group: of the frame, else shared by all frames."""
    found = _optional(own, common, keyword)
    if found is None:
        raise DataError(f"{place}: {keyword} is missing, so that the frame has no place in the patient. Export the series again.")
    return found


def _optional(own: Dataset, common: Dataset, keyword: str) -> Dataset | None:
    items = value(own, keyword) or value(common, keyword)
    return items[0] if items else None


def _items(own: Dataset, common: Dataset, keywords: tuple[str, ...]) -> list[Dataset]:
    return [item for keyword in keywords if (item := _optional(own, common, keyword)) is not None]


def _rescale(header: Dataset, own: Dataset, common: Dataset, place: str) -> tuple[float, float]:
    """Slope and intercept of one frame; both must be there for CT and PT, MR may go without."""
    modality = text(header, "Modality")
    mapping = _optional(own, common, "RealWorldValueMappingSequence")
    transform = _optional(own, common, "PixelValueTransformationSequence")
    if modality == "PT" and mapping is not None:
        result = number(mapping, "RealWorldValueSlope", name=place), number(mapping, "RealWorldValueIntercept", name=place)
    elif transform is not None:
        if modality == "CT" and text(transform, "RescaleType") not in ("", "HU", "US"):
            raise DataError(f"{place}: RescaleType is {text(transform, 'RescaleType')!r}, expected HU. Choose the series in HU.")
        result = number(transform, "RescaleSlope", name=place), number(transform, "RescaleIntercept", name=place)
    elif modality in ("CT", "PT"):
        raise DataError(f"{place}: no pixel value transformation, so that stored numbers have no unit. Export the series again.")
    else:
        return 1.0, 0.0
    if result[0] == 0 or not np.all(np.isfinite(result)):
        raise DataError(
            f"{place}: the rescale slope is {result[0]:g}, expected a finite number other than 0. Export the series again."
        )
    return result
