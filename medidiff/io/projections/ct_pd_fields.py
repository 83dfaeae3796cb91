"""Private elements of DICOM-CT-PD (Chen et al. 2015; Moen et al. 2021, table IV): where they are, and what they hold."""

import math
import struct

from pydicom.dataset import Dataset
from pydicom.tag import Tag

from medidiff.errors import DataError
from medidiff.io.dicom.fields import value

# name -> (group, element), type, number of values; None: one for each detector column
FIELDS = {
    "DetectorElementTransverseSpacing": (0x7029, 0x1002, "FL", 1),
    "DetectorElementAxialSpacing": (0x7029, 0x1006, "FL", 1),
    "DetectorShape": (0x7029, 0x100B, "CS", 1),
    "NumberofDetectorRows": (0x7029, 0x1010, "US", 1),
    "NumberofDetectorColumns": (0x7029, 0x1011, "US", 1),
    "DetectorFocalCenterAngularPosition": (0x7031, 0x1001, "FL", 1),
    "DetectorFocalCenterAxialPosition": (0x7031, 0x1002, "FL", 1),
    "DetectorFocalCenterRadialDistance": (0x7031, 0x1003, "FL", 1),
    "ConstantRadialDistance": (0x7031, 0x1031, "FL", 1),
    "DetectorCentralElement": (0x7031, 0x1033, "FL", 2),
    "SourceAngularPositionShift": (0x7033, 0x100B, "FL", 1),
    "SourceAxialPositionShift": (0x7033, 0x100C, "FL", 1),
    "SourceRadialDistanceShift": (0x7033, 0x100D, "FL", 1),
    "FlyingFocalSpotMode": (0x7033, 0x100E, "CS", 1),
    "PhotonStatistics": (0x7033, 0x1065, "FL", None),
    "TypeofProjectionData": (0x7037, 0x1009, "CS", 1),
    "LogFlag": (0x7039, 0x1009, "CS", 1),
    "WaterAttenuationCoefficient": (0x7041, 0x1001, "DS", 1),
}
CREATORS = {
    0x7029: "DetectorSystemArchitectureModule",
    0x7031: "DetectorDynamicsModule",
    0x7033: "SourceDynamicsModule",
    0x7037: "ProjectionTypeModule",
    0x7039: "PreprocessingModule",
    0x7041: "CalibrationModule",
}
_PACKED = {"FL": ("<f", 4), "US": ("<H", 2)}


def tag_of(field: str) -> Tag:
    """The tag of a private element."""
    return Tag(*FIELDS[field][:2])


def has_field(header: Dataset, field: str) -> bool:
    """Whether the header has the element, with a value."""
    return _value(header, field) not in (None, "", b"")


def words(header: Dataset, field: str, *, default: str) -> str:
    """Text of an element in capitals, `default` where it is missing."""
    if not has_field(header, field):
        return default
    found = _value(header, field)
    text = found.decode("ascii", "replace") if isinstance(found, bytes) else str(found)
    return text.strip("\0 ").upper()


def numbers(header: Dataset, field: str, *, name: str, count: int = 1) -> tuple[float, ...]:
    """Finite numbers of an element, whether its type was written down or not.

    Files with implicit types, as the published ones, hold packed little-endian numbers or text. Raises DataError, which names
    file, field, found and expected, unless there are `count` finite ones.
    """
    group, element, kind, _ = FIELDS[field]
    found = _value(header, field)
    try:
        values = tuple(float(part) for part in _parts(found, kind))
    except (TypeError, ValueError, struct.error):
        values = ()
    if len(values) != count or not all(map(math.isfinite, values)):
        shown = "nothing" if found is None else f"{len(values)} numbers" if values else "no number"
        raise DataError(
            f"{name}: ({group:04X},{element:04X}) {field}: found {shown}, expected {count} finite. Is it a DICOM-CT-PD file?"
        )
    return values


def number(header: Dataset, field: str, *, name: str, default: float | None = None) -> float:
    """One finite number, `default` where the element is missing and a default is given; DataError as of `numbers`."""
    if default is not None and not has_field(header, field):
        return default
    return numbers(header, field, name=name)[0]


def _value(header: Dataset, field: str) -> object:
    element = value(header, FIELDS[field][:2])
    return None if element is None else element.value


def _parts(found: object, kind: str) -> list:
    if isinstance(found, bytes) and kind in _PACKED:
        code, size = _PACKED[kind]
        return [value for (value,) in struct.iter_unpack(code, found)] if len(found) % size == 0 else []
    if isinstance(found, bytes):
        return found.decode("ascii", "replace").strip("\0 ").split("\\")
    return list(found) if hasattr(found, "__iter__") and not isinstance(found, str) else [found]
