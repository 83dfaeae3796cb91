"""Whole studies, DICOM and NIfTI, to volumes and masks: digital patients with known truth, bad inputs, published patients."""

import json
import re
import shutil

import nibabel
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from medidiff.errors import DataError
from medidiff.io.convert import convert_petct, convert_truth
from medidiff.io.nifti import write_nifti
from medidiff.io.resample import resample_mask
from medidiff.io.volume import Volume
from medidiff.phantoms.dicom import write_patient
from medidiff.phantoms.faults import FAULTS
from medidiff.phantoms.petct import make_patient
from medidiff.phantoms.settings import PetCtPhantom

SMALL = {
    "seed": 5,
    "primaries": (1, 1),
    "nodes": (2, 3),
    "ct_matrix": 64,
    "ct_slices": 16,
    "ct_spacing_mm": (2.5, 2.6, 7.0),
    "pet_matrix": 30,
    "pet_slices": 20,
    "pet_spacing_mm": (5.4, 5.2, 5.0),
    "turn_deg": (7.0, -11.0, 13.0),
}
SCANNERS = [
    {"vendor": "siemens"},
    {"vendor": "siemens", "decay": "admin"},
    {"vendor": "siemens", "decay": "none", "crosses_midnight": True},
    {"vendor": "ge", "crosses_midnight": True},
    {"vendor": "ge", "decay": "none"},
    {"vendor": "philips-cnts"},
    {"vendor": "philips-bqml", "crosses_midnight": True},
    {"vendor": "gml"},
]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Settings -> patient, manifest, folder; each is made once."""
    made = {}

    def write(**changes):
        settings = PetCtPhantom(**(SMALL | changes))
        if settings not in made:
            folder, patient = tmp_path_factory.mktemp("patient") / "study", make_patient(settings)
            made[settings] = patient, write_patient(patient, folder), folder
        return made[settings]

    return write


@pytest.fixture
def study(written, tmp_path):
    """A copy of one written patient, to be damaged."""
    return shutil.copytree(written()[2], tmp_path / "study")


@pytest.fixture
def nifti_study(written, tmp_path):
    """The same patient as NIfTI files with a label map on the CT grid."""
    patient, folder = written()[0], tmp_path / "nifti"
    for name, volume in (("ct", patient.ct), ("pet_suv", patient.pet), ("gtv", patient.truth_ct)):
        write_nifti(volume, folder / f"{name}.nii.gz")
    return folder


def change_pet(folder, change) -> None:
    for path in (folder / "PET").iterdir():
        header = pydicom.dcmread(path)
        change(header)
        header.save_as(path)


@pytest.mark.parametrize("changes", SCANNERS, ids=lambda changes: "-".join(map(str, changes.values())))
def test_a_written_patient_comes_back_with_its_values_and_places(changes, written):
    patient, manifest, folder = written(**changes)
    found = convert_petct(folder)
    np.testing.assert_allclose(found.ct.affine, patient.ct.affine, atol=1e-4)
    np.testing.assert_allclose(found.pet.affine, patient.pet.affine, atol=1e-4)
    assert np.abs(found.ct.array - patient.ct.array).max() <= 1.01 * manifest.rounding_hu
    rounding = np.array([manifest.rounding_suv[name] for name in sorted(manifest.rounding_suv)])
    assert (np.abs(found.pet.array - patient.pet.array).max(axis=(0, 1)) <= 1.01 * rounding.max() + 1e-6).all()


def test_contours_of_a_written_patient_are_its_truth_on_both_grids(written):
    patient, _, folder = written()
    found = convert_truth(folder, roi="GTV*")
    np.testing.assert_array_equal(found.ct.array, patient.truth_ct.array > 0)
    np.testing.assert_array_equal(found.pet.array, patient.truth_pet.array > 0)
    nodes = convert_truth(folder, roi="GTVn")
    np.testing.assert_array_equal(nodes.pet.array, patient.truth_pet.array == 2)
    both = convert_truth(folder, roi="GTVp|GTVn")
    np.testing.assert_array_equal(both.ct.array, found.ct.array)


def test_contours_drawn_on_the_ct_give_a_mask_on_the_pet_too(written):
    patient, _, folder = written()
    found = convert_truth(folder, structures=[folder / "RTSTRUCT" / "CT.dcm"], roi="GTV*")
    np.testing.assert_array_equal(found.ct.array, patient.truth_ct.array > 0)
    assert found.report["pet"]["ml"] == pytest.approx(found.report["ct"]["ml"], rel=0.1)
    truth, mask = patient.truth_pet.array > 0, found.pet.array > 0
    assert 2 * (truth & mask).sum() / (truth.sum() + mask.sum()) > 0.8


def test_a_patient_without_tumour_has_an_empty_reference_and_a_warning(written):
    found = convert_truth(written(primaries=(0, 0), nodes=(0, 0))[2])
    assert found.ct.array.sum() == found.pet.array.sum() == 0
    assert "no region has a contour" in found.warnings[0]


def test_the_report_is_json_without_patient_and_dates(study):
    def identify(header):
        header.PatientName, header.PatientID, header.PatientBirthDate = "Canary^Jane", "CANARY-7", "19330311"

    for path in (study / "CT").iterdir():
        header = pydicom.dcmread(path)
        identify(header)
        header.save_as(path)
    change_pet(study, identify)
    date = pydicom.dcmread(next((study / "PET").iterdir())).AcquisitionDate
    report = json.dumps(convert_petct(study).report) + json.dumps(convert_truth(study, roi="GTV*").report)
    assert all(text not in report for text in ("Canary", "CANARY", "19330311", date))


def test_the_report_says_how_much_of_the_ct_lies_outside_the_pet(written):
    patient, _, folder = written(turn_deg=(0.0, 0.0, 0.0))
    cover = convert_petct(folder).report["coverage"]
    ct, pet = (grid.corners()[:, 2] for grid in (patient.ct.grid, patient.pet.grid))
    outside = max(0, pet.min() - ct.min()) + max(0, ct.max() - pet.max())
    assert cover["ct_first_mm"] + cover["ct_last_mm"] == pytest.approx(outside, abs=1e-3)


REFUSED = {
    "missing-weight": r"PET/.*PatientWeight is absent.*weight_kg",
    "zero-weight": "PatientWeight is 0",
    "missing-dose": "RadionuclideTotalDose is absent.*dose_bq",
    "zero-dose": "RadionuclideTotalDose is 0",
    "missing-injection-time": "RadiopharmaceuticalStartTime are absent.*delay_s",
    "injection-after-scan": "RadiopharmaceuticalStartDateTime is -.* min before the scan",
    "missing-half-life": "RadionuclideHalfLife is absent",
    "missing-injection": "is absent, expected a value above 0",
    "missing-units": "Units absent",
    "counts-per-second": "Units CPS has no validated conversion",
    "counts-without-factors": "Units CNTS without the Philips factors",
    "pet-intercept": "RescaleIntercept is 12, expected 0",
    "not-attenuation-corrected": "ATTN",
    "other-frame-of-reference": "frame of reference",
}


@pytest.mark.parametrize("fault", REFUSED)
def test_a_damaged_study_is_one_clear_error(fault, study):
    FAULTS[fault](study)
    with pytest.raises(DataError, match=f"(?s){REFUSED[fault]}"):
        convert_petct(study)


@pytest.mark.parametrize(
    ("fault", "warning"), [("weight-in-grams", "PatientWeight is .* taken as"), ("dose-in-megabecquerel", "Dose is .* taken as")]
)
def test_values_in_another_unit_give_the_same_suv_and_a_warning(fault, warning, study):
    expected = convert_petct(study).pet.array
    FAULTS[fault](study)
    found = convert_petct(study)
    np.testing.assert_allclose(found.pet.array, expected, rtol=1e-5)
    assert any(re.search(warning, text) for text in found.warnings)


def test_a_value_stated_by_the_user_stands_in_for_a_missing_one(study):
    weight = float(pydicom.dcmread(next((study / "PET").iterdir())).PatientWeight)
    expected = convert_petct(study).pet.array
    FAULTS["missing-weight"](study)
    found = convert_petct(study, suv_overrides={"weight_kg": weight})
    np.testing.assert_allclose(found.pet.array, expected, rtol=1e-6)
    assert found.report["suv"]["overrides"] == {"weight_kg": weight}


def test_values_of_a_wrong_dose_are_warned_of(study):
    change_pet(study, lambda header: setattr(header.RadiopharmaceuticalInformationSequence[0], "RadionuclideTotalDose", 2e5))
    assert any("largest SUV is" in warning for warning in convert_petct(study).warnings)


def test_contrast_and_days_between_ct_and_pet_are_warned_of(study):
    for path in (study / "CT").iterdir():
        header = pydicom.dcmread(path)
        header.ContrastBolusAgent, header.SeriesDate = "yes", "20010101"
        header.save_as(path)
    warnings = convert_petct(study).warnings
    assert any("contrast agent" in text for text in warnings) and any("days apart" in text for text in warnings)


def test_an_image_of_one_value_is_refused(study):
    def blank(header: Dataset) -> None:
        header.PixelData = bytes(len(header.PixelData))

    change_pet(study, blank)
    with pytest.raises(DataError, match="PET: all voxels have the value 0"):
        convert_petct(study)


def test_several_regions_and_no_choice_is_an_error_that_lists_them(study):
    with pytest.raises(DataError, match=r"2 regions, which is the reference\? There are: 'GTVp' in RTSTRUCT/CT.dcm, 'GTVn'"):
        convert_truth(study)


def test_a_region_that_is_not_there_is_an_error_that_lists_the_others(study):
    with pytest.raises(DataError, match=r"no region 'Tumour'\. There are: 'GTVp' in RTSTRUCT/CT\.dcm"):
        convert_truth(study, roi="GTV*|Tumour")


def test_a_region_in_two_structure_sets_of_one_series_is_ambiguous(study):
    shutil.copy(study / "RTSTRUCT" / "CT.dcm", study / "RTSTRUCT" / "again.dcm")
    with pytest.raises(DataError, match=r"region 'GTVn' stands in several structure sets"):
        convert_truth(study, roi="GTVn")


def test_a_study_without_contours_is_an_error_that_says_so(study):
    shutil.rmtree(study / "RTSTRUCT")
    with pytest.raises(DataError, match="no RTSTRUCT of the examination"):
        convert_truth(study)


def test_contours_of_another_frame_of_reference_are_refused(study):
    path = study / "RTSTRUCT" / "CT.dcm"
    header = pydicom.dcmread(path)
    for item in header.StructureSetROISequence:
        item.ReferencedFrameOfReferenceUID = "1.2.3"
    header.save_as(path)
    with pytest.raises(DataError, match=r"RTSTRUCT/CT\.dcm: region 'GTVp' lies in another frame of reference"):
        convert_truth(study, roi="GTV*", structures=[path])


def test_nifti_files_are_taken_as_they_are(nifti_study, written):
    patient = written()[0]
    found = convert_petct(nifti_study)
    np.testing.assert_allclose(found.ct.array, patient.ct.array, atol=1e-3)
    np.testing.assert_allclose(found.pet.array, patient.pet.array, atol=1e-5)
    named = convert_petct(nifti_study, ct="ct.nii.gz", pet="pet_suv.nii.gz")
    np.testing.assert_array_equal(named.pet.array, found.pet.array)


def test_a_label_map_becomes_masks_on_both_grids_and_says_which_was_resampled(nifti_study, written):
    patient = written()[0]
    found = convert_truth(nifti_study, roi="1|2")
    np.testing.assert_array_equal(found.ct.array, patient.truth_ct.array > 0)
    assert (found.report["ct"]["origin"], found.report["pet"]["origin"]) == ("gtv.nii.gz", "gtv.nii.gz, resampled")
    expected = resample_mask(patient.truth_ct.with_array(patient.truth_ct.array > 0), patient.pet.grid)
    np.testing.assert_array_equal(found.pet.array, expected.array)
    np.testing.assert_array_equal(convert_truth(nifti_study, roi="2").ct.array, patient.truth_ct.array == 2)


def test_a_label_of_its_own_on_the_pet_is_used_there(nifti_study, written):
    patient = written()[0]
    write_nifti(patient.truth_pet, nifti_study / "gtv_pet.nii.gz")
    found = convert_truth(nifti_study, roi="1|2")
    np.testing.assert_array_equal(found.pet.array, patient.truth_pet.array > 0)


def test_a_pet_in_nifti_without_a_unit_is_refused_until_the_user_states_it(nifti_study):
    (nifti_study / "pet_suv.nii.gz").rename(nifti_study / "pet.nii.gz")
    with pytest.raises(DataError, match=r"pet\.nii\.gz: NIfTI does not say its unit, expected SUV"):
        convert_petct(nifti_study)
    assert convert_petct(nifti_study, pet_unit="suv").pet.array.max() > 1


def test_a_label_on_neither_grid_is_refused_with_the_affines(nifti_study, written):
    truth = written()[0].truth_ct
    shifted = truth.affine.copy()
    shifted[0, 3] += 0.01
    write_nifti(Volume(truth.array, shifted), nifti_study / "gtv.nii.gz")
    with pytest.raises(DataError, match=r"(?s)gtv\.nii\.gz: its grid is neither .*label \(64.*CT \(64.*PET \(30"):
        convert_truth(nifti_study)


def test_label_values_are_rounded_when_they_are_whole_numbers_up_to_rounding(nifti_study, written):
    truth = written()[0].truth_ct
    write_nifti(truth.with_array(truth.array * np.float32(0.9996)), nifti_study / "gtv.nii.gz")
    np.testing.assert_array_equal(convert_truth(nifti_study, roi="1|2").ct.array, truth.array > 0)


@pytest.mark.parametrize(
    ("scale", "roi", "message"),
    [
        (0.5, "", r"gtv\.nii\.gz: values 0, 0\.5, 1 .* expected whole numbers"),
        (1.0, "", r"gtv\.nii\.gz: labels \[1, 2\], which is the reference"),
        (1.0, "3", r"gtv\.nii\.gz: labels \[1, 2\], expected 3"),
    ],
)
def test_labels_that_leave_open_what_is_meant_are_refused(scale, roi, message, nifti_study, written):
    truth = written()[0].truth_ct
    write_nifti(truth.with_array(truth.array * np.float32(scale)), nifti_study / "gtv.nii.gz")
    with pytest.raises(DataError, match=message):
        convert_truth(nifti_study, roi=roi)


@pytest.mark.parametrize(
    ("present", "roi", "empty"),
    [((1, 2), "1|2", False), ((1,), "1|2", False), ((1,), "2", True), ((), "1|2", True), ((), "", True)],
)
def test_a_case_without_nodes_or_without_any_lesion_has_a_reference_all_the_same(present, roi, empty, nifti_study, written):
    labels = written()[0].truth_ct
    kept = np.where(np.isin(labels.array, present), labels.array, 0)
    write_nifti(labels.with_array(kept.astype(np.uint8)), nifti_study / "gtv.nii.gz")
    found = convert_truth(nifti_study, roi=roi)
    wanted = np.isin(kept, [int(number) for number in roi.split("|") if number])
    np.testing.assert_array_equal(found.ct.array > 0, wanted)
    assert found.ct.array.any() != empty
    assert [warning for warning in found.warnings if "the reference is empty" in warning] == list(found.warnings)
    assert bool(found.warnings) == empty


def test_a_label_that_is_no_number_is_refused(nifti_study):
    with pytest.raises(DataError, match=r"roi is 'GTV\*', expected numbers above 0"):
        convert_truth(nifti_study, roi="GTV*")


def test_two_labels_on_one_grid_are_ambiguous(nifti_study, written):
    write_nifti(written()[0].truth_ct, nifti_study / "mask.nii.gz")
    with pytest.raises(DataError, match=r"mask\.nii\.gz and gtv\.nii\.gz both lie on the grid of the CT"):
        convert_truth(nifti_study, roi="1|2")


def test_nifti_without_label_is_an_error_that_says_so(nifti_study):
    (nifti_study / "gtv.nii.gz").unlink()
    with pytest.raises(DataError, match=r"no label file beside ct\.nii\.gz and pet_suv\.nii\.gz"):
        convert_truth(nifti_study)


def test_a_ct_of_another_region_is_refused_with_both_affines(nifti_study, written):
    ct = written()[0].ct
    moved = ct.affine.copy()
    moved[:3, 3] += 9 * ct.affine[:3, 2]
    write_nifti(Volume(ct.array, moved), nifti_study / "ct.nii.gz")
    with pytest.raises(DataError, match=r"(?s)the CT covers \d+% of the length of the PET.*CT \(64.*PET \(30"):
        convert_petct(nifti_study)


@pytest.mark.realdata
@pytest.mark.parametrize("patient", ["STS_002", "STS_008", "STS_019"])
def test_a_published_patient_comes_out_as_published(mirror, patient):
    volumes, truth = (f(mirror / "petct_sts" / "dicom" / patient) for f in (convert_petct, convert_truth))
    for name, volume, mask, tolerance in (("CT", volumes.ct, truth.ct, 0.0), ("PET", volumes.pet, truth.pet, 1e-4)):
        folder = mirror / "petct_sts" / "nifti_native" / patient
        image, label = (nibabel.load(folder / f"{name}_{kind}.nii.gz") for kind in ("image", "mask"))
        np.testing.assert_allclose(volume.affine, image.affine, atol=1e-3)
        assert np.abs(volume.array - np.asarray(image.dataobj)).max() <= tolerance
        assert int((mask.array != (np.asarray(label.dataobj) > 0)).sum()) == 0


@pytest.mark.realdata
def test_published_nifti_of_a_patient_is_taken_with_both_labels(mirror):
    folder = mirror / "petct_sts" / "nifti" / "STS_002"
    truth = convert_truth(folder)
    assert (truth.report["ct"]["origin"], truth.report["pet"]["origin"]) == ("gtv_ct.nii.gz", "gtv_pet.nii.gz")
    assert convert_petct(folder).pet.grid.agrees_with(truth.pet.grid)
