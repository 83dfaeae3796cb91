"""Enhanced multi-frame PET headers as one classic header per frame, so that SUV has one path."""

from collections.abc import Sequence

from pydicom.dataset import Dataset

from medidiff.errors import DataError

_SHARED, _PER_FRAME = "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"
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
    """The headers themselves where they are classic; one header per frame of the one enhanced multi-frame object.

    Units come from the real-world value mapping, CorrectedImage from the correction flags, times from the frame content.
    Raises DataError where the mapping and the pixel value transformation give different values.
    """
    if len(headers) != 1 or _PER_FRAME not in headers[0]:
        return list(headers)
    whole = headers[0]
    shared = (whole.get(_SHARED) or [Dataset()])[0]
    return [_frame_header(whole, shared, frame) for frame in whole[_PER_FRAME].value]


def _frame_header(whole: Dataset, shared: Dataset, frame: Dataset) -> Dataset:
    flat = Dataset()
    for element in whole:
        if element.keyword not in (_SHARED, _PER_FRAME, "PixelData"):
            flat[element.tag] = element
    items = {name: (frame.get(name) or shared.get(name) or [Dataset()])[0] for name in _ITEMS}
    for name in ("UnassignedSharedConvertedAttributesSequence", "UnassignedPerFrameConvertedAttributesSequence"):
        flat.update(items[name])
    flat.RescaleIntercept = items["PixelValueTransformationSequence"].get("RescaleIntercept", 0)
    _set_units(flat, items["RealWorldValueMappingSequence"], items["PixelValueTransformationSequence"])
    _set_corrections(flat)
    _set_times(flat, items["FrameContentSequence"])
    return flat


def _set_units(flat: Dataset, mapping: Dataset, transformation: Dataset) -> None:
    if "Units" in flat or "MeasurementUnitsCodeSequence" not in mapping:
        return
    code = str(mapping.MeasurementUnitsCodeSequence[0].get("CodeValue", ""))
    flat.Units, flat.SUVType = _UNITS.get(code, (code, ""))
    real, stored = mapping.get("RealWorldValueSlope"), transformation.get("RescaleSlope")
    if real is not None and stored is not None and abs(float(real) - float(stored)) > 1e-6 * abs(float(real)):
        raise DataError(
            f"PET series: the real-world value slope is {float(real):g} and the rescale slope {float(stored):g}, expected "
            "the same. Which of them gives the unit is unclear; export the series as classic PET."
        )


def _set_corrections(flat: Dataset) -> None:
    if "CorrectedImage" not in flat:
        flags = {"ATTN": "AttenuationCorrected", "DECY": "DecayCorrected", "SCAT": "ScatterCorrected", "RAN": "RandomsCorrected"}
        flat.CorrectedImage = [name for name, keyword in flags.items() if flat.get(keyword) == "YES"]
    if "DecayCorrection" not in flat and "DecayCorrected" in flat:
        flat.DecayCorrection = "START" if flat.DecayCorrected == "YES" else "NONE"


def _set_times(flat: Dataset, content: Dataset) -> None:
    stamp = content.get("FrameAcquisitionDateTime") or flat.get("AcquisitionDateTime")
    if stamp and "AcquisitionTime" not in flat:
        flat.AcquisitionDateTime = stamp
    if "ActualFrameDuration" not in flat and "FrameAcquisitionDuration" in content:
        flat.ActualFrameDuration = round(float(content.FrameAcquisitionDuration))
