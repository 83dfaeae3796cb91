"""PET headers as five vendors write them: units, private tags, and what their clocks mean."""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from medidiff.phantoms.identity import dicom_date, dicom_time
from medidiff.phantoms.planes import decimal_strings
from medidiff.phantoms.scan import (
    FRAME_S,
    HALF_LIFE_S,
    Scan,
    activity_per_suv,
    decay_constant,
    mean_activity_delay_s,
    mean_activity_factor,
)

PHILIPS_SUV_PER_COUNT = 0.00043  # (7053,1000); any positive number will do


@dataclass(frozen=True)
class Vendor:
    """How a vendor's PET headers must be read."""

    manufacturer: str
    units: str  # BQML, CNTS or GML
    series_delay_s: float  # SeriesTime after the reference time; above the lag, it is not the reference
    lag_s: float  # first frame after the reference time
    has_frame_reference: bool  # FrameReferenceTime counts from the reference time; else it is 0
    has_start_datetime: bool  # injection carries its date


VENDORS = {
    # SeriesTime is the reference time
    "siemens": Vendor("SIEMENS", "BQML", 0.0, 0.0, True, True),
    # the series is dated when it was reconstructed; the private scan time is the reference
    "ge": Vendor("GE MEDICAL SYSTEMS", "BQML", 2400.0, 45.0, False, False),
    # counts; private factors to SUV and to Bq/ml
    "philips-cnts": Vendor("Philips Medical Systems", "CNTS", 0.0, 0.0, True, True),
    # dated late; the reference follows from each frame's own time and FrameReferenceTime
    "philips-bqml": Vendor("Philips Medical Systems", "BQML", 1800.0, 60.0, True, False),
    # already SUV
    "gml": Vendor("medidiff", "GML", 0.0, 0.0, True, True),
}


def stored_per_suv(vendor: Vendor, scan: Scan, *, slices: int, decay: str) -> np.ndarray:
    """Value (slices,) in the header's Units where SUV is 1."""
    if vendor.units == "GML":
        return np.ones(slices)
    if vendor.units == "CNTS":
        return np.full(slices, 1 / PHILIPS_SUV_PER_COUNT)
    return np.array([activity_per_suv(scan, k, decay=decay) for k in range(slices)])


def pet_header(vendor: Vendor, scan: Scan, *, slices: int, decay: str) -> Dataset:
    """Elements of all slices: equipment, PET series, PET isotope, and the vendor's private ones."""
    header = Dataset()
    header.Manufacturer, header.ManufacturerModelName = vendor.manufacturer, "digital phantom"
    header.SeriesDescription = "PET digital phantom"
    moment = scan.reference + timedelta(seconds=vendor.series_delay_s)
    header.SeriesDate, header.SeriesTime = dicom_date(moment), dicom_time(moment)
    header.Units, header.CountsSource, header.SeriesType = vendor.units, "EMISSION", ["WHOLE BODY", "IMAGE"]
    header.NumberOfSlices = slices
    header.CorrectedImage = [*(["DECY"] if decay != "none" else []), "ATTN", "SCAT", "DTIM", "RAN", "NORM"]
    header.DecayCorrection = decay.upper()
    header.RandomsCorrectionMethod, header.ScatterCorrectionMethod = "DLYD", "model"
    header.AttenuationCorrectionMethod, header.CollimatorType = "CT", "NONE"
    header.RadiopharmaceuticalInformationSequence = Sequence([_injection(vendor, scan)])
    posture = _code("102538003", "recumbent")
    posture.PatientOrientationModifierCodeSequence = Sequence([_code("40199007", "supine")])
    header.PatientOrientationCodeSequence = Sequence([posture])
    header.PatientGantryRelationshipCodeSequence = Sequence([_code("102540008", "headfirst")])
    if vendor.units == "GML":
        header.SUVType = "BW"
    if vendor.units == "CNTS":
        block = header.private_block(0x7053, "Philips PET Private Group", create=True)
        to_activity = PHILIPS_SUV_PER_COUNT * activity_per_suv(scan, 0, decay="start")
        block.add_new(0x00, "DS", decimal_strings([PHILIPS_SUV_PER_COUNT])[0])
        block.add_new(0x09, "DS", decimal_strings([to_activity])[0])
    if vendor.manufacturer.startswith("GE"):
        block = header.private_block(0x0009, "GEMS_PETD_01", create=True)
        block.add_new(0x0D, "DT", dicom_date(scan.reference) + dicom_time(scan.reference))
    return header


def pet_slice_header(vendor: Vendor, scan: Scan, *, k: int, decay: str) -> Dataset:
    """Elements of slice k: when its bed position was measured and how its decay was corrected."""
    header, begin = Dataset(), scan.frame_start(k)
    header.AcquisitionDate = header.ContentDate = dicom_date(begin)
    header.AcquisitionTime = header.ContentTime = dicom_time(begin)
    header.ActualFrameDuration = str(int(FRAME_S * 1000))
    header.ImageIndex = k + 1
    after_reference = (begin - scan.reference).total_seconds()
    frame_reference_ms = 1000 * (after_reference + mean_activity_delay_s()) if vendor.has_frame_reference else 0
    header.FrameReferenceTime = decimal_strings([frame_reference_ms])[0]
    if decay != "none":
        elapsed = after_reference if decay == "start" else scan.seconds_after_injection(begin)
        header.DecayFactor = decimal_strings([np.exp(decay_constant() * elapsed) / mean_activity_factor()])[0]
    return header


def _injection(vendor: Vendor, scan: Scan) -> Dataset:
    injection = Dataset()
    injection.Radiopharmaceutical = "Fluorodeoxyglucose"
    injection.RadiopharmaceuticalRoute = "IV"
    injection.RadiopharmaceuticalStartTime = dicom_time(scan.injected)
    if vendor.has_start_datetime:
        injection.RadiopharmaceuticalStartDateTime = dicom_date(scan.injected) + dicom_time(scan.injected)
    injection.RadionuclideTotalDose = str(int(scan.dose_bq))
    injection.RadionuclideHalfLife = str(HALF_LIFE_S)
    injection.RadionuclidePositronFraction = "0.97"
    injection.RadionuclideCodeSequence = Sequence([_code("77004003", "^18^Fluorine")])
    return injection


def _code(value: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, "SCT", meaning
    return code
