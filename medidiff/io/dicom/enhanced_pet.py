"""Enhanced multi-frame PET headers as one classic header per frame, so that SUV has one path."""

from collections.abc import Sequence

from pydicom.dataset import Dataset
from pydicom.tag import Tag

from medidiff.io.dicom.fields import number, text, value

_SHARED, _PER_FRAME = "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"
_LEFT_OUT = {Tag(keyword) for keyword in (_SHARED, _PER_FRAME, "PixelData")}

# UCUM code of the real-world value: Units and SUVType of a classic header (DICOM CID 84 and 85)
_UNITS = {
    "Bq/ml": ("BQML", ""),
    "{counts}": ("CNTS", ""),
    "g/ml": ("GML", ""),
    "g/ml{SUVbw}": ("GML", "BW"),
    "g/ml{SUVlbm}": ("GML", "LBM"),
    "g/ml{SUVlbm(James128)}": ("GML", "LBMJAMES128"),
    "g/ml{SUVlbm(Janma)}": ("GML", "LBMJANMA"),
    "g/ml{SUVibw}": ("GML", "IBW"),
    "cm2/ml{SUVbsa}": ("CM2ML", "BSA"),
}
_ITEMS = (
    "RealWorldValueMappingSequence",
    "PixelValueTransformationSequence",
    "FrameContentSequence",
    "UnassignedSharedConvertedAttributesSequence",
    "UnassignedPerFrameConvertedAttributesSequence",
)


def classic_headers(headers: Sequence[Dataset]) -> list[Dataset]:
    """The headers with every enhanced multi-frame object replaced by one classic header per frame, in stored order.

    Units come from the real-world value mapping, CorrectedImage from the correction flags, times from the frame content.
    """
    return [classic for header in headers for classic in (_frames(header) if _PER_FRAME in header else [header])]


def _frames(whole: Dataset) -> list[Dataset]:
    shared = (value(whole, _SHARED) or [Dataset()])[0]
    return [_frame_header(whole, shared, frame) for frame in value(whole, _PER_FRAME) or []]


def _frame_header(whole: Dataset, shared: Dataset, frame: Dataset) -> Dataset:
    flat = Dataset()
    for tag in whole.keys() - _LEFT_OUT:
        flat[tag] = whole.get_item(tag)  # as it stands in the file: what nobody asks for is never parsed
    items = {name: (value(frame, name) or value(shared, name) or [Dataset()])[0] for name in _ITEMS}
    for name in ("UnassignedSharedConvertedAttributesSequence", "UnassignedPerFrameConvertedAttributesSequence"):
        flat.update(items[name])
    mapping, transformation = items["RealWorldValueMappingSequence"], items["PixelValueTransformationSequence"]
    intercepts = value(mapping, "RealWorldValueIntercept"), value(transformation, "RescaleIntercept"), 0
    flat.RescaleIntercept = next(found for found in intercepts if found is not None)
    if "Units" not in flat and "MeasurementUnitsCodeSequence" in mapping:
        code = (value(mapping, "MeasurementUnitsCodeSequence") or [Dataset()])[0]
        unit = text(code, "CodeValue") or text(code, "LongCodeValue")
        units, flat.SUVType = _UNITS.get(unit, (unit, ""))
        flat.add_new("Units", "LO", units)  # an unknown code may not be legal as CS, and is to be named in the error
    _set_corrections(flat)
    _set_times(flat, items["FrameContentSequence"])
    return flat


def _set_corrections(flat: Dataset) -> None:
    if "CorrectedImage" not in flat:
        flags = {"ATTN": "AttenuationCorrected", "DECY": "DecayCorrected", "SCAT": "ScatterCorrected", "RAN": "RandomsCorrected"}
        flat.CorrectedImage = [name for name, keyword in flags.items() if value(flat, keyword) == "YES"]
    if "DecayCorrection" not in flat and "DecayCorrected" in flat:
        flat.DecayCorrection = "START" if value(flat, "DecayCorrected") == "YES" else "NONE"


def _set_times(flat: Dataset, content: Dataset) -> None:
    stamp = value(content, "FrameAcquisitionDateTime") or value(flat, "AcquisitionDateTime")
    if stamp and "AcquisitionTime" not in flat:
        flat.AcquisitionDateTime = stamp
    if "ActualFrameDuration" not in flat and "FrameAcquisitionDuration" in content:
        flat.ActualFrameDuration = round(number(content, "FrameAcquisitionDuration", name="PET frame"))
