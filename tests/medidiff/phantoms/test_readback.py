"""Written patients through the readers of `medidiff.io.dicom`: the whole way there and back."""

import shutil

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from medidiff.errors import DataError
from medidiff.io.convert import convert_truth
from medidiff.io.dicom.contours import contours_to_mask
from medidiff.io.dicom.grouping import group_series
from medidiff.io.dicom.index import index_folder
from medidiff.io.dicom.rtstruct import find_roi, read_contours
from medidiff.io.dicom.selection import find_petct
from medidiff.io.dicom.series import read_series
from medidiff.io.dicom.suv import suv_factors
from medidiff.phantoms.anatomy import LABELS
from medidiff.phantoms.faults import FAULTS, TOLERATED

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
    {"turn_deg": (7, -11, 13)},
]


def read_study(folder):
    """HU, SUV and what was said about it."""
    found = find_petct(folder)
    ct, pet = read_series(found.ct), read_series(found.pet)
    suv = suv_factors(found.pet.headers)
    return ct, pet.with_array(pet.array * suv.factors), suv, found


@pytest.mark.parametrize("changes", SCANNERS, ids=lambda changes: "-".join(map(str, changes.values())))
def test_hounsfield_suv_and_place_are_those_of_the_patient(written, changes):
    patient, manifest, folder = written(**changes)
    ct, pet, _, found = read_study(folder)
    assert ct.grid.agrees_with(patient.ct.grid, tolerance_mm=1e-4) and pet.grid.agrees_with(patient.pet.grid, tolerance_mm=1e-4)
    assert np.abs(ct.array - patient.ct.array).max() <= manifest.rounding_hu
    rounding = np.array([manifest.rounding_suv[path.name] for path in found.pet.paths])
    assert (np.abs(pet.array - patient.pet.array) <= rounding * 1.0001 + 1e-6 * patient.pet.array).all()


@pytest.mark.parametrize("changes", [{}, {"turn_deg": (7, -11, 13)}, {"turn_deg": (7, -11, 13), "tilt_deg": -14.0}])
def test_contours_become_the_truth_voxel_for_voxel(written, changes):
    patient, _, folder = written(**changes)
    for name, truth in (("CT", patient.truth_ct), ("PET", patient.truth_pet)):
        rois = read_contours(folder / "RTSTRUCT" / f"{name}.dcm")
        for label, number in LABELS.items():
            mask = contours_to_mask(find_roi(rois, label), truth.grid)
            np.testing.assert_array_equal(mask, truth.array == number)


@pytest.mark.parametrize("changes", [{}, {"turn_deg": (7, -11, 13)}, {"primaries": (0, 0)}])
def test_conversion_gives_all_tumours_on_both_grids(written, changes):
    patient, manifest, folder = written(**changes)
    truth = convert_truth(folder, roi="GTVp|GTVn")
    np.testing.assert_array_equal(truth.ct.array > 0, patient.truth_ct.array > 0)
    np.testing.assert_array_equal(truth.pet.array > 0, patient.truth_pet.array > 0)
    assert np.isclose(truth.report["pet"]["ml"], sum(manifest.truth_ml["pet"].values()))


def test_a_patient_without_tumours_has_empty_regions(written):
    folder = written(primaries=(0, 0), nodes=(0, 0))[2]
    assert [(roi.name, roi.contours) for roi in read_contours(folder / "RTSTRUCT" / "CT.dcm")] == [("GTVp", ()), ("GTVn", ())]


def test_a_tilted_ct_is_refused_for_its_tilt_alone(written):
    series = group_series(*index_folder(written(turn_deg=(7, -11, 13), tilt_deg=-14.0)[2]))
    ct = next(one for one in series if one.modality == "CT")
    assert ct.is_tilted and not ct.usable and "14.00 degrees" in ct.reason


@pytest.mark.parametrize("modality", ["CT", "PT"])
def test_an_oblique_ramp_keeps_its_value_at_every_place(tmp_path, ramp_series, modality):
    turn = Rotation.from_euler("xyz", [17, -23, 31], degrees=True).as_matrix()
    volume, written_series = ramp_series(tmp_path, turn * [1.23456789, 2.3456789, 3.456789], modality=modality)
    (series,) = group_series(*index_folder(tmp_path))
    read = read_series(series)
    assert read.grid.agrees_with(volume.grid, tolerance_mm=1e-4)
    rounding = np.array(written_series.half_units) * (1 + 1e-6) + 1e-6 * volume.array
    assert (np.abs(read.array - volume.array) <= rounding).all()


REFUSALS = {
    "missing-ct-slice": "1 slice is missing .* between CT/",
    "missing-pet-slice": "1 slice is missing .* between PET/",
    "contradicting-slice": "hold up to 2 different images",
    "varying-spacing": "distance between slices varies from 7",
    "gantry-tilt": "gantry tilt of 15",
    "coarser-slice": "1 slice is missing",
    "truncated-file": "bytes of pixel data, expected",
    "empty-file": "1 slice is missing",
    "no-pixels": "no pixel data",
    "swollen-header": "expected .* for 65535 x 65535 pixels",
    "wrong-modality": "no PET series; found OT",
    "second-pet": "2 PET series are equally good",
    "other-patient": "PatientID differs",
    "other-frame-of-reference": "no CT shares study and frame of reference",
    "missing-weight": "PatientWeight is absent",
    "zero-weight": "PatientWeight is 0",
    "missing-dose": "RadionuclideTotalDose is absent",
    "zero-dose": "RadionuclideTotalDose is 0",
    "missing-injection-time": "StartTime are absent",
    "injection-after-scan": "expected an administration within the day before",
    "missing-half-life": "RadionuclideHalfLife is absent",
    "missing-injection": "RadionuclideTotalDose is absent",
    "missing-units": "Units absent",
    "counts-per-second": "Units CPS has no validated conversion",
    "counts-without-factors": "without the Philips factors",
    "pet-intercept": "RescaleIntercept is .*12, expected 0",
    "not-attenuation-corrected": "CorrectedImage lacks ATTN",
}


@pytest.fixture
def damaged(written, tmp_path):
    def damage(name):
        folder = tmp_path / "study"
        shutil.copytree(written()[2], folder)
        FAULTS[name](folder)
        return folder

    return damage


def test_every_fault_is_refused_or_tolerated():
    assert set(REFUSALS) == set(FAULTS) - TOLERATED


@pytest.mark.parametrize("name", REFUSALS)
def test_a_damaged_study_gets_one_clear_error(damaged, name):
    folder = damaged(name)
    with pytest.raises(DataError, match=REFUSALS[name]) as caught:
        read_study(folder)
    assert "PHANTOM-" not in str(caught.value) and str(folder) not in str(caught.value)


@pytest.mark.parametrize("name", sorted(TOLERATED))
def test_a_tolerated_fault_changes_no_voxel(written, damaged, name):
    patient, manifest, _ = written()
    ct, pet, suv, found = read_study(damaged(name))
    assert ct.grid.agrees_with(patient.ct.grid, tolerance_mm=1e-4) and pet.grid.agrees_with(patient.pet.grid, tolerance_mm=1e-4)
    assert np.abs(ct.array - patient.ct.array).max() <= manifest.rounding_hu
    np.testing.assert_allclose(pet.array, patient.pet.array, atol=max(manifest.rounding_suv.values()) * 1.0001, rtol=1e-6)
    remarks = " ".join([*suv.warnings, *found.notes])
    assert {"weight-in-grams": "PatientWeight", "dose-in-megabecquerel": "Dose", "repeated-slice": "dropped"}.get(
        name, ""
    ) in remarks
