"""SUV in closed form: every unit, every decay correction, the published scenarios and the published vendor headers."""

import math

import numpy as np
import pytest
from pydicom.dataset import Dataset

from medidiff.io.dicom.suv import suv_factors

DOSE, WEIGHT_G, F18, GA68 = 368.08e6, 70000.0, 6586.2, 4057.7
T_S = 300.0  # frame duration


def decayed(delay_s: float, half_life_s: float = F18) -> float:
    return DOSE * 2 ** (-delay_s / half_life_s)


def with_private(headers: list[Dataset], tag: tuple[int, int], vr: str, value: object, creator: str = "") -> list[Dataset]:
    for header in headers:
        if creator:
            header.private_block(tag[0], creator, create=True).add_new(tag[1] & 0xFF, vr, value)
        else:
            header.add_new(tag, vr, value)
    return headers


# Tags that differ from the default object, and the factor in closed form: W 70 kg, H 175 cm, 368.08 MBq one hour before the scan.
# After the list of the IBSI objects (oncoray/suv_computation, CC BY 4.0); the half-hour and quarter-hour offsets are our own.
SPREAD_S = 150 - (math.log(math.log(2) / F18 * T_S / -math.expm1(-math.log(2) / F18 * T_S)) * F18 / math.log(2))
SCENARIOS = {
    "default": ({}, WEIGHT_G / decayed(3600)),
    "slope 4": ({"RescaleSlope": 4.0}, WEIGHT_G / decayed(3600)),
    "GML of body weight": ({"Units": "GML", "SUVType": "BW"}, 1.0),
    "GML without a type": ({"Units": "GML", "SUVType": None}, 1.0),
    "GML of lean mass, James, male": (
        {"Units": "GML", "SUVType": "LBMJAMES128", "PatientSex": "M"},
        70 / (1.10 * 70 - 128 * 0.4**2),
    ),
    "GML of ideal mass, other": (
        {"Units": "GML", "SUVType": "IBW"},
        70 / ((48 + 1.06 * 23 + 45.5 + 0.91 * 23) / 2),
    ),
    "CM2ML": ({"Units": "CM2ML", "SUVType": "BSA"}, 70000 / (0.007184 * 175**0.725 * 70**0.425 * 1e4)),
    "dose in MBq": ({"RadionuclideTotalDose": 368.08}, WEIGHT_G / decayed(3600)),
    "ADMIN": ({"DecayCorrection": "ADMIN"}, WEIGHT_G / DOSE),
    "series after acquisition": ({"SeriesTime": "113000"}, WEIGHT_G / decayed(3600 - SPREAD_S)),
    "only the start datetime": ({"RadiopharmaceuticalStartTime": None}, WEIGHT_G / decayed(3600)),
    "only the start time": ({"RadiopharmaceuticalStartDateTime": None}, WEIGHT_G / decayed(3600)),
    "midnight": (
        {
            "RadiopharmaceuticalStartDateTime": None,
            "RadiopharmaceuticalStartTime": "233000",
            "SeriesTime": "003000",
            "AcquisitionTime": "003000",
        },
        WEIGHT_G / decayed(3600),
    ),
    "midnight with a date that forgot it": (
        {
            "RadiopharmaceuticalStartDateTime": "20250101233000",
            "RadiopharmaceuticalStartTime": "233000",
            "SeriesTime": "003000",
            "AcquisitionTime": "003000",
        },
        WEIGHT_G / decayed(3600),
    ),
    "Ga-68": ({"RadionuclideHalfLife": GA68}, WEIGHT_G / decayed(3600, GA68)),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_factor_of_each_published_scenario_is_its_closed_form(name, pet_headers):
    changes, expected = SCENARIOS[name]
    assert suv_factors(pet_headers(**changes)).factors == pytest.approx([expected], rel=1e-10)


def test_stored_3600_of_the_default_object_is_an_suv_of_one(pet_headers):
    assert 3600 * suv_factors(pet_headers()).factors[0] == pytest.approx(1.0, abs=0.5 / 3600)


@pytest.mark.parametrize("creator", ["GEMS_PETD_01", ""])
@pytest.mark.parametrize(("vr", "value"), [("DT", "20250101103000.00"), ("UN", b"20250101103000.00 ")])
def test_scan_datetime_of_ge_is_the_reference_even_where_all_other_times_differ(creator, vr, value, pet_headers):
    headers = with_private(pet_headers(SeriesTime="113000"), (0x0009, 0x100D), vr, value, creator)
    suv = suv_factors(headers)
    assert suv.factors == pytest.approx([WEIGHT_G / decayed(1800)], rel=1e-10)
    assert "decay reference `ge` is used" in suv.warnings[0]


@pytest.mark.parametrize("creator", ["Philips PET Private Group", ""])
@pytest.mark.parametrize(("vr", "value"), [("DS", "0.000551"), ("UN", b"0.000551 ")])
def test_philips_suv_factor_turns_counts_into_suv_without_any_decay(creator, vr, value, pet_headers):
    headers = with_private(pet_headers(Units="CNTS", RadionuclideTotalDose=None), (0x7053, 0x1000), vr, value, creator)
    assert suv_factors(headers).factors == pytest.approx([0.000551], rel=1e-12)


@pytest.mark.parametrize("zero_first", [True, False])
def test_philips_activity_factor_turns_counts_into_activity(zero_first, pet_headers):
    headers = with_private(pet_headers(Units="CNTS"), (0x7053, 0x1009), "UN", b"1.602563")
    if zero_first:
        with_private(headers, (0x7053, 0x1000), "DS", "0")
    assert suv_factors(headers).factors == pytest.approx([1.602563 * WEIGHT_G / decayed(3600)], rel=1e-10)


def test_images_without_decay_correction_grow_back_slice_by_slice(pet_headers):
    times = ["110000", "110500", "111000.5"]
    headers = pet_headers(slices=3, DecayCorrection="NONE", AcquisitionTime=times, CorrectedImage=["ATTN"])
    delay = np.array([3600, 3900, 4200.5])
    exponent = math.log(2) / F18 * T_S
    expected = WEIGHT_G / DOSE * exponent / (1 - math.exp(-exponent)) * 2 ** (delay / F18)
    np.testing.assert_allclose(suv_factors(headers).factors, expected, rtol=1e-12)


def test_uncorrected_decay_of_a_constant_tracer_is_undone_to_the_dose(pet_headers):
    # activity that decays with the tracer, averaged over each frame by quadrature: SUV must be that of the undecayed tracer
    starts = np.array([3600.0, 5400.0])
    t = starts[:, None] + np.linspace(0, T_S, 20001)
    measured = np.trapezoid(2 ** (-t / F18), t, axis=1) / T_S * DOSE / WEIGHT_G
    headers = pet_headers(slices=2, DecayCorrection="NONE", AcquisitionTime=["110000", "113000"])
    np.testing.assert_allclose(measured * suv_factors(headers).factors, 1.0, rtol=1e-9)


@pytest.mark.parametrize(
    ("suv_type", "sex", "mass_kg"),
    [
        ("LBM", "M", 1.10 * 70 - 120 * 0.16),
        ("LBM", "F", 1.07 * 70 - 148 * 0.16),
        ("LBM", "O", (1.10 * 70 - 120 * 0.16 + 1.07 * 70 - 148 * 0.16) / 2),
        ("LBMJAMES128", "M", 1.10 * 70 - 128 * 0.16),
        ("LBMJAMES128", "F", 1.07 * 70 - 148 * 0.16),
        ("LBMJANMA", "M", 9270 * 70 / (6680 + 216 * 70 / 1.75**2)),
        ("LBMJANMA", "F", 9270 * 70 / (8780 + 244 * 70 / 1.75**2)),
        ("IBW", "M", 48 + 1.06 * 23),
        ("IBW", "F", 45.5 + 0.91 * 23),
    ],
)
def test_suv_by_another_mass_becomes_suv_by_body_weight(suv_type, sex, mass_kg, pet_headers):
    suv = suv_factors(pet_headers(Units="GML", SUVType=suv_type, PatientSex=sex))
    assert suv.factors == pytest.approx([70 / mass_kg], rel=1e-12)


@pytest.mark.parametrize("unit", ["BQML", "CNTS"])
@pytest.mark.parametrize(("decay", "dose"), [("START", decayed(3600)), ("ADMIN", DOSE), ("NONE", None)])
def test_every_activity_unit_goes_with_every_decay_correction(unit, decay, dose, pet_headers):
    headers = with_private(pet_headers(Units=unit, DecayCorrection=decay), (0x7053, 0x1009), "DS", "2.5")
    exponent = math.log(2) / F18 * T_S
    dose = dose or DOSE * 2 ** (-3600 / F18) * -math.expm1(-exponent) / exponent
    scale = 2.5 if unit == "CNTS" else 1.0
    assert suv_factors(headers).factors == pytest.approx([scale * WEIGHT_G / dose], rel=1e-10)


# Headers of scanners and the factors expected for them: cornerstonejs/calculate-suv (MIT), commit dc72aa1,
# test/metadata and test/calculateSUV_SampleData.test.ts.
VENDORS = {
    "siemens": (0.00042748316187, "M", 67, 374e6, 6586.2, "083045", "104829", "104830.351370", 38513.36, 74324),
    "ge": (0.00053673876818, "F", 52, 152022720, 6586.2001953125, "084500.00", "095621", "095621", 0, 120000),
    "philips": (0.00074637470139, "F", 64, 126e6, 6586.199707, "100058", "110155", "110156", 1328700, 120700),
    "time only": (0.00037210892028, "M", 102, 412e6, 6586.2, "125000", "135431.843", "141555.687", 1372857.9232493, 180000),
    "5 µs early": (0.00040691568540, "M", 65, 225e6, 6586.2, "114100", "123515", "123514.999995", 59936.854672596, 120000),
    "cps": (0.00026503312764, "M", 69, 388e6, 6586.2, "120037", "134918", "130348.234", 0, 180000),
}


@pytest.mark.parametrize("name", VENDORS)
def test_factor_of_each_vendor_header_is_the_published_one(name, pet_headers):
    expected, sex, weight, dose, half_life, start, series, acquisition, frame_reference, duration = VENDORS[name]
    suv = suv_factors(
        pet_headers(
            PatientSex=sex,
            PatientWeight=weight,
            RadionuclideTotalDose=dose,
            RadionuclideHalfLife=half_life,
            RadiopharmaceuticalStartDateTime=None,
            RadiopharmaceuticalStartTime=start,
            SeriesTime=series,
            AcquisitionTime=acquisition,
            FrameReferenceTime=frame_reference,
            ActualFrameDuration=duration,
        )
    )
    # the source reads seconds from a clock of milliseconds: "5 µs early" is 1e-8 apart
    assert suv.factors == pytest.approx([expected], rel=1e-6)


def test_report_holds_no_date_and_no_identifier(pet_headers):
    headers = pet_headers(PatientName="Canary^Jane", PatientID="CANARY-7")
    text = str(suv_factors(headers).report)
    assert "Canary" not in text and "CANARY" not in text and "2025" not in text


def test_user_values_replace_the_header_and_are_reported(pet_headers):
    overrides = {"weight_kg": 80.0, "dose_bq": 300e6, "half_life_s": 6000.0, "delay_s": 1800.0}
    headers = pet_headers(PatientWeight=None, RadionuclideTotalDose=None, RadiopharmaceuticalStartTime="", SeriesTime=None)
    suv = suv_factors(headers, overrides=overrides)
    assert suv.factors == pytest.approx([80000 / (300e6 * 2 ** (-0.3))], rel=1e-12)
    assert suv.report["overrides"] == overrides


def test_stated_delay_counts_from_the_first_acquisition_of_undecayed_images(pet_headers):
    headers = pet_headers(slices=2, DecayCorrection="NONE", AcquisitionTime=["110000", "111000"])
    factors = suv_factors(headers, overrides={"delay_s": 3600.0}).factors
    np.testing.assert_allclose(factors, suv_factors(headers).factors, rtol=1e-12)
