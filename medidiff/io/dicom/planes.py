"""Image planes: where each frame of a file lies in the patient and how its stored numbers become values."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from medidiff.errors import DataError
from medidiff.io.dicom.fields import number, numbers, text, value, whole

FARTHEST_MM = 1e5  # from the scanner's origin

# What may tell images of one position apart, in the order in which it is asked.
LABELS = (
    "TemporalPositionIdentifier",
    "TriggerTime",
    "NominalPercentageOfCardiacPhase",
    "EchoTime",
    "EchoNumbers",
    "AcquisitionNumber",
    "InversionTime",
    "DiffusionBValue",
    "FrameReferenceTime",
    "ActualFrameDuration",
    "AcquisitionDateTime",
    "AcquisitionTime",
    "ContentTime",
)


@dataclass(frozen=True)
class Plane:
    """One image plane of a series."""

    path: Path
    name: str  # of the file, relative to the indexed folder
    frame: int  # 0 for a file of one image
    shape: tuple[int, int]  # rows, columns
    position: tuple[float, float, float]  # centre of the first pixel, LPS mm
    orientation: tuple[float, ...]  # six cosines: of a growing column index, of a growing row index
    spacing: tuple[float, float]  # between rows, between columns; mm
    slope: float = 1.0
    intercept: float = 0.0
    identity: str = ""  # SOPInstanceUID and frame
    labels: tuple[tuple[str, str], ...] = ()  # what may tell images of one position apart

    @property
    def normal(self) -> np.ndarray:
        """Unit vector (3,) LPS across the plane: cosines of the columns times cosines of the rows."""
        normal = np.cross(self.orientation[:3], self.orientation[3:])
        return normal / np.linalg.norm(normal)

    @property
    def place(self) -> str:
        """The file, and the frame where it has several; for messages."""
        return f"{self.name} frame {self.frame + 1}" if self.frame else self.name


def single_plane(header: Dataset, *, path: Path, name: str) -> Plane:
    """The plane of a file that holds one image.

    header    classic image header: ImagePositionPatient, ImageOrientationPatient, PixelSpacing, rescale
    path      of the file
    name      of the file, for messages

    Raises DataError when position, orientation, spacing or rescale is missing or makes no sense.
    """
    slope, intercept = rescale(header, name=name)
    return Plane(
        path=path,
        name=name,
        frame=0,
        shape=(whole(header, "Rows", name=name), whole(header, "Columns", name=name)),
        position=checked_position(numbers(header, "ImagePositionPatient", 3, name=name), name=name),
        orientation=checked_orientation(numbers(header, "ImageOrientationPatient", 6, name=name), name=name),
        spacing=checked_spacing(numbers(header, "PixelSpacing", 2, name=name), name=name),
        slope=slope,
        intercept=intercept,
        identity=text(header, "SOPInstanceUID"),
        labels=labels_of(header),
    )


def labels_of(*headers: Dataset) -> tuple[tuple[str, str], ...]:
    """The elements of these headers that may tell two images of one position apart, with their text."""
    return tuple((keyword, found) for keyword in LABELS for header in headers if (found := text(header, keyword)))


def checked_position(position: tuple[float, ...], *, name: str) -> tuple[float, ...]:
    """The three coordinates; DataError where one lies farther from the scanner than any patient."""
    if max(map(abs, position)) > FARTHEST_MM:
        shown = ", ".join(f"{x:g}" for x in position)
        raise DataError(
            f"{name}: ImagePositionPatient is ({shown}) mm, expected at most {FARTHEST_MM:g}. Export the series again."
        )
    return position


def checked_orientation(cosines: tuple[float, ...], *, name: str) -> tuple[float, ...]:
    """The six cosines with rounding taken out of their lengths; DataError unless two perpendicular unit vectors."""
    row, column = np.array(cosines[:3]), np.array(cosines[3:])
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    if max(abs(lengths[0] - 1), abs(lengths[1] - 1), abs(row @ column)) > 1e-3:
        shown = ", ".join(f"{cosine:g}" for cosine in cosines)
        raise DataError(
            f"{name}: ImageOrientationPatient is ({shown}), expected two perpendicular vectors of length 1. "
            "Export the series again."
        )
    return tuple(float(cosine) for cosine in (*(row / lengths[0]), *(column / lengths[1])))


def checked_spacing(spacing: tuple[float, float], *, name: str) -> tuple[float, float]:
    """The two pixel distances; DataError unless both lie between 1 micrometre and 1 metre."""
    if not all(1e-3 <= distance <= 1e3 for distance in spacing):
        raise DataError(
            f"{name}: PixelSpacing is {spacing[0]:g} x {spacing[1]:g} mm, expected 0.001 to 1000. Export the series again."
        )
    return spacing


def rescale(header: Dataset, *, name: str) -> tuple[float, float]:
    """Slope and intercept that turn stored numbers into HU (CT), activity or SUV (PT), or nothing (MR without RescaleType).

    CT and PT must state both; MR files carry them for display unless RescaleType says what they mean. Raises DataError when
    they are missing, zero, or give something else than HU for CT.
    """
    modality, kind = text(header, "Modality"), text(header, "RescaleType")
    if modality not in ("CT", "PT"):
        if not kind or value(header, "RescaleSlope") is None:
            return 1.0, 0.0
    elif value(header, "RescaleSlope") is None or value(header, "RescaleIntercept") is None:
        raise DataError(
            f"{name}: RescaleSlope or RescaleIntercept is missing, so that stored numbers have no unit; "
            f"a {modality} file must have both. Export the series again from the scanner or the archive."
        )
    if modality == "CT" and kind not in ("", "HU", "US"):
        raise DataError(f"{name}: RescaleType is {kind!r}, expected HU. Choose the series in Hounsfield units.")
    slope, intercept = number(header, "RescaleSlope", name=name), number(header, "RescaleIntercept", name=name)
    if slope == 0:
        raise DataError(f"{name}: RescaleSlope is 0, so that every voxel would be equal. Export the series again.")
    return slope, intercept
