"""SUV of enhanced multi-frame PET: units, corrections and times come from functional groups."""

import math

import numpy as np
import pytest
from pydicom.dataset import Dataset

from medidiff.errors import DataError
from medidiff.io.dicom.enhanced_pet import classic_headers
from medidiff.io.dicom.suv import suv_factors

STARTS = ("20250101110000", "20250101110500", "20250101111000")


def item(**values: object) -> Dataset:
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


def enhanced(*, unit: str = "Bq/ml", intercept: float = 0.0, **changes: object) -> Dataset:
    """Three frames of five minutes; 368.08 MBq one hour before the first, corrected for decay to half past ten."""
    tracer = item(RadionuclideTotalDose=368.08e6, RadionuclideHalfLife=6586.2, RadiopharmaceuticalStartDateTime="20250101100000")
    code = item(CodeValue=unit) if len(unit) <= 16 else item(LongCodeValue=unit)
    mapping = item(RealWorldValueSlope=2.5, RealWorldValueIntercept=intercept, MeasurementUnitsCodeSequence=[code])
    values = {
        "Modality": "PT",
        "NumberOfFrames": 3,
        "PatientWeight": 70,
        "PatientSize": 1.75,
        "PatientSex": "M",
        "SeriesDate": "20250101",
        "SeriesTime": "120000",
        "AttenuationCorrected": "YES",
        "DecayCorrected": "YES",
        "DecayCorrectionDateTime": "20250101103000",
        "RadiopharmaceuticalInformationSequence": [tracer],
        "SharedFunctionalGroupsSequence": [item(RealWorldValueMappingSequence=[mapping])],
        "PerFrameFunctionalGroupsSequence": [
            item(FrameContentSequence=[item(FrameAcquisitionDateTime=start, FrameAcquisitionDuration=300000.0)])
            for start in STARTS
        ],
    }
    return item(**{keyword: value for keyword, value in (values | changes).items() if value is not None})


def test_activity_is_referred_to_the_decay_correction_datetime():
    suv = suv_factors([enhanced()])
    assert suv.factors == pytest.approx([70000 / (368.08e6 * 2 ** (-1800 / 6586.2))] * 3, rel=1e-12)
    assert suv.report["decay"]["reference"] == "decay_datetime"


def test_uncorrected_frames_grow_back_each_from_its_own_start():
    factors = suv_factors([enhanced(DecayCorrected="NO", DecayCorrectionDateTime=None)]).factors
    exponent = math.log(2) / 6586.2 * 300
    expected = 70000 / 368.08e6 * exponent / -math.expm1(-exponent) * 2 ** (np.array([3600, 3900, 4200]) / 6586.2)
    np.testing.assert_allclose(factors, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("unit", "factor"),
    [
        ("g/ml{SUVbw}", 1.0),
        ("g/ml{SUVlbm}", 70 / (1.10 * 70 - 120 * 0.16)),
        ("g/ml{SUVlbm(James128)}", 70 / (1.10 * 70 - 128 * 0.16)),
        ("g/ml{SUVibw}", 70 / (48 + 1.06 * 23)),
        ("cm2/ml{SUVbsa}", 7 / (0.007184 * 175**0.725 * 70**0.425)),
    ],
)
def test_real_world_units_of_suv_become_body_weight(unit, factor):
    assert suv_factors([enhanced(unit=unit)]).factors == pytest.approx([factor] * 3, rel=1e-12)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"unit": "{propcounts}"}, r"Units \{PROPCOUNTS\} has no validated conversion"),
        ({"intercept": 3.0}, "RescaleIntercept is 3, expected 0"),
        ({"AttenuationCorrected": "NO"}, "lacks ATTN, found DECY"),
        ({"DecayCorrected": None}, "lacks DECY, found ATTN"),
    ],
)
def test_frames_without_a_clear_unit_or_correction_are_refused(changes, message):
    with pytest.raises(DataError, match=message):
        suv_factors([enhanced(**changes)])


def test_a_frame_has_the_values_of_the_whole_and_its_own(pet_headers):
    frames = classic_headers([enhanced()])
    assert [frame.AcquisitionDateTime for frame in frames] == list(STARTS)
    assert {frame.PatientWeight for frame in frames} == {70}
    classic = pet_headers(slices=2)
    assert classic_headers(classic) == classic
