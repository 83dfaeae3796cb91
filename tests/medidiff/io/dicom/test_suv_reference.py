"""Which moment the activity refers to, when the header contradicts itself, and what is refused."""

import math

import numpy as np
import pytest
from pydicom.dataset import Dataset

from medidiff.errors import ConfigError, DataError
from medidiff.io.dicom.suv import suv_factors
from medidiff.io.dicom.suv_reference import mean_activity_time_s
from medidiff.io.dicom.suv_report import explain_suv


def factor_at(delay_s: float) -> float:
    return 70000 / (368.08e6 * 2 ** (-delay_s / 6586.2))


def test_mean_activity_time_is_where_the_decay_equals_its_mean_over_the_frame():
    t = np.linspace(0, 1200, 200001)
    mean = np.trapezoid(2 ** (-t / 1223.0), t) / 1200
    assert mean_activity_time_s(np.array([1200.0]), half_life_s=1223.0) == pytest.approx(-1223.0 * math.log2(mean), rel=1e-9)


def test_series_time_before_the_beds_agrees_with_their_frame_reference_times(pet_headers):
    beds = [f"11{minutes:02d}00" for minutes in (0, 5, 10, 15)]
    frames = [1000 * (300 * k + 149.2) for k in range(4)]
    suv = suv_factors(pet_headers(slices=4, AcquisitionTime=beds, FrameReferenceTime=frames))
    assert suv.factors == pytest.approx([factor_at(3600)] * 4, rel=1e-12)
    assert suv.warnings == ()


def test_back_computation_brings_later_beds_to_one_reference(pet_headers):
    beds, average = ["110000", "110500"], mean_activity_time_s(np.array([300.0]), half_life_s=6586.2)[0]
    frames = [1000 * average, 1000 * (300 + average)]
    suv = suv_factors(pet_headers(slices=2, SeriesTime="120000", AcquisitionTime=beds, FrameReferenceTime=frames))
    assert suv.factors == pytest.approx([factor_at(3600)] * 2, rel=1e-9)
    assert suv.report["decay"]["reference"] == "backcompute"


def test_frame_reference_time_of_ge_counts_to_the_start_of_the_frame(pet_headers):
    # as in STS_001, whose DecayFactor at FrameReferenceTime 0 is that of one frame from its start: λT/(1 - exp(-λT))
    beds = {"AcquisitionTime": ["110000", "110403", "110806"], "FrameReferenceTime": [0, 243000, 486000]}
    headers = pet_headers(slices=3, Manufacturer="GE MEDICAL SYSTEMS", SeriesTime="113000", ActualFrameDuration=240000, **beds)
    suv = suv_factors(headers)
    assert suv.report["decay"]["reference"] == "backcompute"
    assert suv.factors == pytest.approx([factor_at(3600)] * 3, rel=1e-12)


def test_beds_that_share_one_acquisition_time_do_not_overrule_the_series(pet_headers):
    suv = suv_factors(pet_headers(slices=3, FrameReferenceTime=[0, 729000, 1215000], ActualFrameDuration=240000))
    assert suv.factors == pytest.approx([factor_at(3600)] * 3, rel=1e-12)
    assert "AcquisitionTime is the same for frames of different FrameReferenceTime" in suv.warnings[0]


@pytest.mark.parametrize(
    ("reference", "delay_s"), [("series", 1800), ("acquisition", 3600), ("ge", 2700), ("backcompute", 3000 + 149.60536)]
)
def test_an_explicit_reference_is_taken_whatever_the_others_say(reference, delay_s, pet_headers):
    headers = pet_headers(SeriesTime="103000", FrameReferenceTime=600000.0)
    headers[0].private_block(0x0009, "GEMS_PETD_01", create=True).add_new(0x0D, "DT", "20250101104500")
    assert suv_factors(headers, reference=reference).factors == pytest.approx([factor_at(delay_s)], rel=1e-7)


def test_decay_correction_datetime_is_the_reference_where_it_exists(pet_headers):
    suv = suv_factors(pet_headers(DecayCorrectionDateTime="20250101101500"))
    assert suv.factors == pytest.approx([factor_at(900)], rel=1e-12)


@pytest.mark.parametrize("frame_reference", [None, 150000.0])
def test_times_more_than_ten_percent_apart_are_refused_with_every_candidate(frame_reference, pet_headers):
    headers = pet_headers(SeriesTime="103000", FrameReferenceTime=frame_reference)
    with pytest.raises(DataError, match=r"contradict each other .*`series` is used.*acquisition \+20\.9 %.*Choose one"):
        suv_factors(headers)


def test_times_more_than_one_percent_apart_are_a_warning_with_every_candidate(pet_headers):
    (warning,) = suv_factors(pet_headers(SeriesTime="105500")).warnings
    assert "`series` is used" in warning and "backcompute +3.2 %" in warning and "acquisition +3.2 %" in warning


def test_private_decay_datetime_of_siemens_is_the_reference(pet_headers):
    headers = pet_headers(SeriesTime="113000")
    headers[0].private_block(0x0071, "SIEMENS MED PT", create=True).add_new(0x22, "DT", "20250101102000.5")
    assert suv_factors(headers).factors == pytest.approx([factor_at(1200.5)], rel=1e-12)


def test_acquisition_datetime_stands_in_for_an_absent_acquisition_time(pet_headers):
    headers = pet_headers(SeriesTime="113000", FrameReferenceTime=0, AcquisitionTime=None, AcquisitionDateTime="20250101110000.0")
    assert suv_factors(headers).factors == pytest.approx([factor_at(3600)], rel=1e-12)


def test_offset_from_utc_counts_when_both_ends_carry_one(pet_headers):
    start = {"RadiopharmaceuticalStartTime": None, "RadiopharmaceuticalStartDateTime": "20250101090000+0000"}
    with_zone = suv_factors(pet_headers(TimezoneOffsetFromUTC="+0100", **start))
    without = suv_factors(pet_headers(**start))
    assert with_zone.factors == pytest.approx([factor_at(3600)], rel=1e-12)
    assert without.factors == pytest.approx([factor_at(7200)], rel=1e-12)


def test_a_start_time_after_the_scan_is_of_the_day_before(pet_headers):
    times = {"RadiopharmaceuticalStartDateTime": None, "SeriesTime": "003000", "AcquisitionTime": "003000"}
    suv = suv_factors(pet_headers(RadiopharmaceuticalStartTime="233000", **times))
    assert suv.factors == pytest.approx([factor_at(3600)], rel=1e-12)
    assert "taken as the day before, 60.0 min earlier" in suv.warnings[0]


@pytest.mark.parametrize("clock", ["233000", None])
def test_a_start_datetime_that_forgot_midnight_is_of_the_day_before(clock, pet_headers):
    scan = {"SeriesTime": "003000", "AcquisitionTime": "003000"}
    start = {"RadiopharmaceuticalStartDateTime": "20250101233000", "RadiopharmaceuticalStartTime": clock}
    suv = suv_factors(pet_headers(**scan, **start))
    assert suv.factors == pytest.approx([factor_at(3600)], rel=1e-12)
    assert "after the scan by its date only" in suv.warnings[0]


def test_a_long_lived_tracer_may_be_given_days_before(pet_headers):
    start = {"RadiopharmaceuticalStartDateTime": "20241229110000", "RadiopharmaceuticalStartTime": "110000"}
    suv = suv_factors(pet_headers(RadionuclideHalfLife=282276.0, **start))
    assert suv.factors == pytest.approx([70000 / (368.08e6 * 2 ** (-3 * 86400 / 282276))], rel=1e-12)


def test_series_before_midnight_and_acquisition_after_it_have_one_administration(pet_headers):
    headers = pet_headers(
        RadiopharmaceuticalStartDateTime=None,
        RadiopharmaceuticalStartTime="233000",
        SeriesTime="235959.5",
        AcquisitionDate="20250102",
        AcquisitionTime="000000.0",
    )
    assert suv_factors(headers).factors == pytest.approx([factor_at(1799.5)], rel=1e-9)


REFUSED = {
    "no dose": ({"RadionuclideTotalDose": None}, "RadionuclideTotalDose is absent.*dose_bq"),
    "a dose of 0": ({"RadionuclideTotalDose": 0}, "RadionuclideTotalDose is 0.*dose_bq"),
    "no weight": ({"PatientWeight": None}, "PatientWeight is absent.*weight_kg"),
    "a weight of 0": ({"PatientWeight": 0}, "PatientWeight is 0.*weight_kg"),
    "no half-life": ({"RadionuclideHalfLife": None}, "RadionuclideHalfLife is absent.*half_life_s"),
    "no start": (
        {"RadiopharmaceuticalStartTime": None, "RadiopharmaceuticalStartDateTime": ""},
        "StartDateTime and RadiopharmaceuticalStartTime are absent.*delay_s",
    ),
    "no scan times": ({"SeriesTime": None, "AcquisitionTime": None}, "no time of the decay reference `auto`.*delay_s"),
    "no unit": ({"Units": None}, "Units absent has no validated conversion; expected BQML"),
    "counts per second": ({"Units": "CPS"}, "Units CPS has no validated conversion"),
    "proportional counts": ({"Units": "PROPCNTS"}, "Units PROPCNTS has no validated conversion"),
    "counts without factors": ({"Units": "CNTS"}, r"Units CNTS without the Philips factors \(7053,1000\) or \(7053,1009\)"),
    "an unknown SUV type": ({"Units": "GML", "SUVType": "XYZ"}, "SUVType XYZ, expected one of BW, LBM"),
    "surface in g/ml": ({"Units": "GML", "SUVType": "BSA"}, "SUVType BSA, expected one of BW"),
    "body weight in cm2/ml": ({"Units": "CM2ML", "SUVType": "BW"}, "CM2ML with SUVType BW, expected BSA"),
    "lean mass without sex": ({"Units": "GML", "SUVType": "LBM", "PatientSex": ""}, "PatientSex is absent or unknown"),
    "lean mass without height": ({"Units": "GML", "SUVType": "LBM", "PatientSize": None}, "PatientSize is absent.*height_m"),
    "surface without height": ({"Units": "CM2ML", "SUVType": None, "PatientSize": 0}, "PatientSize is 0.*height_m"),
    "a negative lean mass": (
        {"Units": "GML", "SUVType": "LBM", "PatientSex": "F", "PatientSize": 1.0, "PatientWeight": 90},
        "LBM mass of a patient of 90 kg and 1 m is -23",
    ),
    "no attenuation correction": ({"CorrectedImage": ["NORM", "DECY"]}, "lacks ATTN, found NORM, DECY"),
    "no decay correction": ({"CorrectedImage": ["ATTN"]}, "lacks DECY, found ATTN"),
    "no corrections": ({"CorrectedImage": None}, "lacks ATTN and DECY, found absent"),
    "no kind of decay": ({"DecayCorrection": None}, r"DecayCorrection \(0054,1102\) is absent, expected START"),
    "an unknown kind of decay": ({"DecayCorrection": "SCAN"}, r"DecayCorrection \(0054,1102\) is SCAN"),
    "an intercept": ({"RescaleIntercept": -10}, "RescaleIntercept is 10, expected 0"),
    "undecayed without duration": ({"DecayCorrection": "NONE", "ActualFrameDuration": None}, "ActualFrameDuration is absent"),
    "undecayed without acquisition": ({"DecayCorrection": "NONE", "AcquisitionTime": None}, "AcquisitionTime is absent"),
    "a start datetime after the scan": (
        {"RadiopharmaceuticalStartDateTime": "20250101120000"},
        r"StartDateTime is -60\.0 min before the scan, RadiopharmaceuticalStartTime is 60\.0 min before it",
    ),
    "both starts after the scan": (
        {"RadiopharmaceuticalStartDateTime": "20250101110500", "RadiopharmaceuticalStartTime": "110500"},
        r"StartDateTime is -5\.0 min before the scan",
    ),
    "a start of another day": (
        {"RadiopharmaceuticalStartDateTime": "20241229100000"},
        r"StartDateTime is 4380\.0 min before the scan, RadiopharmaceuticalStartTime is 60\.0 min before it",
    ),
    "a long-lived tracer without a date": (
        {"RadionuclideHalfLife": 282276, "RadiopharmaceuticalStartDateTime": None},
        "StartDateTime is absent; with a half-life of 78.4 h",
    ),
    "a long-lived tracer given after the scan": (
        {
            "RadionuclideHalfLife": 282276,
            "RadiopharmaceuticalStartDateTime": "20250101120000",
            "RadiopharmaceuticalStartTime": None,
        },
        r"StartDateTime is -60\.0 min before the scan",
    ),
    "a start time just after the scan": (
        {"RadiopharmaceuticalStartDateTime": None, "RadiopharmaceuticalStartTime": "110500"},
        "13.1 half-lives pass before the scan; expected less than 5",
    ),
    "text for a number": ({"PatientSize": None, "FrameReferenceTime": "nan"}, "FrameReferenceTime is 'nan', expected a number"),
}


@pytest.mark.filterwarnings("ignore:Invalid value for VR DS")
@pytest.mark.parametrize("name", REFUSED)
def test_what_is_absent_or_contradicts_itself_is_refused_and_never_guessed(name, pet_headers):
    changes, message = REFUSED[name]
    with pytest.raises(DataError, match=message):
        suv_factors(pet_headers(**changes))


@pytest.mark.parametrize("reference", ["ge", "backcompute"])
def test_an_explicit_reference_that_the_header_lacks_is_refused(reference, pet_headers):
    with pytest.raises(DataError, match=f"reference `{reference}` .* allows: series, acquisition"):
        suv_factors(pet_headers(FrameReferenceTime=0), reference=reference)


def test_slices_of_two_units_are_refused(pet_headers):
    with pytest.raises(DataError, match="Units differs between slices"):
        suv_factors(pet_headers(slices=2, Units=["BQML", "GML"]))


def test_two_tracers_in_one_series_are_refused(pet_headers):
    headers = pet_headers()
    headers[0].RadiopharmaceuticalInformationSequence.append(Dataset())
    with pytest.raises(DataError, match="2 radiopharmaceuticals"):
        suv_factors(headers)


def test_a_series_without_slices_is_refused():
    with pytest.raises(DataError, match="no slices"):
        suv_factors([])


@pytest.mark.parametrize(
    ("overrides", "message"), [({"weight": 70}, "weight: unknown"), ({"dose_bq": 0}, "dose_bq: 0, expected more")]
)
def test_overrides_that_are_unknown_or_not_positive_are_refused(overrides, message, pet_headers):
    with pytest.raises(ConfigError, match=message):
        suv_factors(pet_headers(), overrides=overrides)


@pytest.mark.parametrize(
    ("code", "half_life_s"), [(("C-111A1", "x"), 6586.2), (("35337001", "x"), 4057.7), (("local", "^11^Carbon"), 1223.0)]
)
def test_an_absent_half_life_comes_from_the_nuclide_that_the_header_names(code, half_life_s, pet_headers):
    headers = pet_headers(RadionuclideHalfLife=None)
    named = Dataset()
    named.CodeValue, named.CodeMeaning = code
    headers[0].RadiopharmaceuticalInformationSequence[0].RadionuclideCodeSequence = [named]
    suv = suv_factors(headers)
    assert suv.factors == pytest.approx([70000 / (368.08e6 * 2 ** (-3600 / half_life_s))], rel=1e-12)
    assert f"{half_life_s:g} s of " in suv.warnings[0]


UNUSUAL = {
    "a dose in MBq": ({"RadionuclideTotalDose": 368.08}, 1.0, "RadionuclideTotalDose is 368.08"),
    "a weight in g": ({"PatientWeight": 70000}, 1.0, "PatientWeight is 70000"),
    "a heavy patient": ({"PatientWeight": 420}, 6.0, "PatientWeight is 420 kg, usually"),
    "a small dose": ({"RadionuclideTotalDose": 18.404e6}, 20.0, "RadionuclideTotalDose is 18.404 MBq, usually"),
    "a long uptake": (
        {"RadiopharmaceuticalStartTime": "040000", "RadiopharmaceuticalStartDateTime": "20250101040000"},
        2 ** (6 * 3600 / 6586.2),
        "7.00 h from administration",
    ),
}


@pytest.mark.parametrize("name", UNUSUAL)
def test_unusual_values_are_used_with_a_warning(name, pet_headers):
    changes, ratio, warning = UNUSUAL[name]
    suv = suv_factors(pet_headers(**changes))
    assert suv.factors == pytest.approx([ratio * factor_at(3600)], rel=1e-9)
    assert any(warning in text for text in suv.warnings)


def test_a_height_in_cm_gives_the_surface_of_the_height_in_m(pet_headers):
    of_cm, of_m = (suv_factors(pet_headers(Units="CM2ML", SUVType=None, PatientSize=size)).factors for size in (175, 1.75))
    assert of_cm == pytest.approx(of_m, rel=1e-12)


def test_explanation_names_every_candidate_and_the_factor(pet_headers):
    suv = suv_factors(pet_headers(SeriesTime="105500"))
    text = explain_suv(suv.report)
    assert "* series" in text and "backcompute" in text and "acquisition" in text and "warning:" in text
    assert f"value x {suv.factors[0]:.8g}" in text
