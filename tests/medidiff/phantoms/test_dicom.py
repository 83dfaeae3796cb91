import hashlib
import json
from datetime import datetime, timedelta

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from medidiff.errors import DataError
from medidiff.phantoms.dicom import write_patient
from medidiff.phantoms.manifest import Manifest

SCANNERS = [
    {"vendor": "siemens"},
    {"vendor": "siemens", "decay": "admin"},
    {"vendor": "siemens", "decay": "none"},
    {"vendor": "siemens", "crosses_midnight": True},
    {"vendor": "ge"},
    {"vendor": "ge", "crosses_midnight": True},
    {"vendor": "ge", "decay": "none", "crosses_midnight": True},
    {"vendor": "philips-cnts"},
    {"vendor": "philips-bqml"},
    {"vendor": "philips-bqml", "crosses_midnight": True},
    {"vendor": "gml"},
]
NAMES = ["-".join(str(v) for v in changes.values()) for changes in SCANNERS]


def clock(date: str, time: str) -> datetime:
    return datetime.strptime(date + time, "%Y%m%d%H%M%S.%f")


def acquired(header) -> datetime:
    return clock(header.AcquisitionDate, header.AcquisitionTime)


def injected(header) -> datetime:
    """The last moment before the frame at which the injection clock showed its time."""
    moment = clock(header.AcquisitionDate, header.RadiopharmaceuticalInformationSequence[0].RadiopharmaceuticalStartTime)
    return moment if moment < acquired(header) else moment - timedelta(days=1)


def reference(header, vendor: str) -> datetime:
    """What decay correction START refers to, by each vendor's own habit."""
    if vendor == "ge":
        text = header[0x0009, 0x100D].value
        return clock(text[:8], text[8:])
    if vendor == "philips-bqml":
        half_life = float(header.RadiopharmaceuticalInformationSequence[0].RadionuclideHalfLife)
        duration = float(header.ActualFrameDuration) / 1000
        rate = np.log(2) / half_life
        mean = np.log(rate * duration / (1 - np.exp(-rate * duration))) / rate
        return acquired(header) + timedelta(seconds=mean - float(header.FrameReferenceTime) / 1000)
    return clock(header.SeriesDate, header.SeriesTime)


def suv_factor(header, vendor: str) -> float:
    """SUV per stored value of a slice, straight from the definition."""
    if header.Units == "GML":
        return 1.0
    if header.Units == "CNTS":
        return float(header[0x7053, 0x1000].value)
    injection = header.RadiopharmaceuticalInformationSequence[0]
    half_life, per_dose = (
        float(injection.RadionuclideHalfLife),
        1000 * float(header.PatientWeight) / float(injection.RadionuclideTotalDose),
    )
    if header.DecayCorrection == "ADMIN":
        return per_dose
    if header.DecayCorrection == "START":
        return per_dose * 2 ** ((reference(header, vendor) - injected(header)).total_seconds() / half_life)
    duration = float(header.ActualFrameDuration) / 1000
    times = (acquired(header) - injected(header)).total_seconds() + np.linspace(0, duration, 20_001)
    return per_dose / (np.trapezoid(2 ** (-times / half_life), times) / duration)


@pytest.mark.parametrize("changes", SCANNERS, ids=NAMES)
def test_suv_from_the_headers_is_the_suv_of_the_patient(written, read_plainly, changes):
    patient, manifest, folder = written(**changes)
    plain = read_plainly(folder / "PET")
    suv = plain.values * [suv_factor(header, changes["vendor"]) for header in plain.headers]
    rounding = [manifest.rounding_suv[header.filename.rsplit("/")[-1]] for header in plain.headers]
    assert (np.abs(suv - patient.pet.array) <= np.array(rounding) * 1.0001 + 2e-7 * patient.pet.array).all()
    assert max(rounding) < 2e-4 * patient.pet.array.max()


def test_counts_convert_through_activity_as_well_as_directly(written, read_plainly):
    _, _, folder = written(vendor="philips-cnts")
    header = read_plainly(folder / "PET").headers[3]
    as_activity = float(header[0x7053, 0x1009].value)
    assert header[0x7053, 0x0010].value == "Philips PET Private Group"
    header.Units = "BQML"
    assert np.isclose(as_activity * suv_factor(header, "siemens"), float(header[0x7053, 0x1000].value), rtol=1e-8)


def test_midnight_lies_between_injection_and_scan_only_when_asked(written, read_plainly):
    for crosses in (True, False):
        header = read_plainly(written(vendor="ge", crosses_midnight=crosses)[2] / "PET").headers[0]
        assert (injected(header).date() < acquired(header).date()) == crosses


def test_late_series_times_would_mislead_by_more_than_ten_percent(written, read_plainly):
    header = read_plainly(written(vendor="ge")[2] / "PET").headers[0]
    late = (clock(header.SeriesDate, header.SeriesTime) - reference(header, "ge")).total_seconds()
    assert 2 ** (late / 6586.2) > 1.1


@pytest.mark.parametrize("turned", [{}, {"turn_deg": (7, -11, 13)}, {"turn_deg": (7, -11, 13), "tilt_deg": -14.0}])
def test_both_grids_and_ct_values_come_back_through_pydicom_alone(written, read_plainly, turned):
    patient, manifest, folder = written(**turned)
    for name, volume in (("CT", patient.ct), ("PET", patient.pet)):
        plain = read_plainly(folder / name)
        np.testing.assert_allclose(plain.affine, volume.affine, atol=1e-6)
    assert (np.abs(read_plainly(folder / "CT").values - patient.ct.array) <= manifest.rounding_hu).all()


def test_simpleitk_reads_the_ct_in_place(written):
    patient, manifest, folder = written(turn_deg=(7, -11, 13))
    image = sitk.ReadImage(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder / "CT")))
    assert (np.abs(sitk.GetArrayFromImage(image).T - patient.ct.array) <= manifest.rounding_hu).all()
    far = np.diag([-1, -1, 1, 1]) @ patient.ct.affine @ [63, 63, 15, 1]
    np.testing.assert_allclose(image.TransformIndexToPhysicalPoint((63, 63, 15)), far[:3], atol=1e-4)


def test_equal_settings_give_equal_bytes_and_another_seed_other_ones(written, small, tmp_path):
    patient, manifest, folder = written()
    again = write_patient(patient, tmp_path / "elsewhere")
    assert again == manifest
    for path in folder.rglob("*"):
        if path.is_file():
            assert path.read_bytes() == (tmp_path / "elsewhere" / path.relative_to(folder)).read_bytes()
    other = written(seed=6)[1]
    assert not set(other.files.values()) & set(manifest.files.values())


def test_the_manifest_names_every_file_with_its_hash_and_reads_back(written):
    _, manifest, folder = written()
    on_disk = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert on_disk == {*manifest.files, "manifest.json"} and len(on_disk) == 16 + 20 + 2 + 1
    for name, digest in manifest.files.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    assert Manifest.model_validate(json.loads((folder / "manifest.json").read_text())) == manifest


def test_every_uid_is_valid_and_instance_uids_are_unique(written):
    seen = []
    for changes in ({}, {"seed": 6}, {"vendor": "ge"}):
        headers = [pydicom.dcmread(path, stop_before_pixels=True) for path in written(**changes)[2].rglob("*.dcm")]
        seen += [header.SOPInstanceUID for header in headers]
        assert len({header.StudyInstanceUID for header in headers}) == 1
        assert len({header.FrameOfReferenceUID for header in headers}) == 1
        assert len({header.SeriesInstanceUID for header in headers}) == 4
        for header in headers:
            for element in header.iterall():
                assert element.VR != "UI" or element.value.is_valid, element
    assert len(set(seen)) == len(seen)


def test_the_patient_is_clearly_artificial(written):
    for path in written()[2].rglob("*.dcm"):
        header = pydicom.dcmread(path, stop_before_pixels=True)
        assert str(header.PatientName).startswith("Phantom") and header.PatientID.startswith("PHANTOM-")
        assert "no human being" in header.PatientComments and header.PatientBirthDate == ""


def test_an_earlier_patient_is_replaced_and_nothing_else_is_touched(written, small, tmp_path):
    patient = written()[0]
    folder = tmp_path / "study"
    (folder / "CT").mkdir(parents=True)
    (folder / "CT" / "stale.dcm").write_text("from an earlier run")
    manifest = write_patient(patient, folder)
    assert not (folder / "CT" / "stale.dcm").exists() and len(manifest.files) == 38
    assert [path.name for path in tmp_path.iterdir()] == ["study"]
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match=r"holds 1 entries that no digital patient has \(notes.txt\)"):
        write_patient(patient, folder)
    assert (folder / "notes.txt").read_text() == "mine"


def test_an_interrupted_write_leaves_no_folder(written, tmp_path, monkeypatch):
    monkeypatch.setattr("medidiff.phantoms.dicom.hash_files", lambda folder: 1 / 0)
    with pytest.raises(ZeroDivisionError, match="division"):
        write_patient(written()[0], tmp_path / "study")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_one_clear_error(written, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match=r"file/study: could not be written \(Not a directory\)"):
        write_patient(written()[0], tmp_path / "file" / "study")


@pytest.mark.parametrize("vendor", ["siemens", "ge", "philips-bqml"])
@pytest.mark.parametrize("decay", ["start", "admin"])
def test_the_decay_factor_leads_back_to_the_undecayed_activity(written, read_plainly, vendor, decay):
    corrected, measured = (read_plainly(written(vendor=vendor, decay=d)[2] / "PET") for d in (decay, "none"))
    undone = corrected.values / [float(header.DecayFactor) for header in corrected.headers]
    slopes = [float(header.RescaleSlope) for header in measured.headers]
    assert (np.abs(undone - measured.values) <= np.array(slopes) * 1.01 + 1e-6 * measured.values).all()
    assert all(float(header.DecayFactor) > 1.007 for header in corrected.headers)
