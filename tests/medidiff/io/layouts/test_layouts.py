"""Folders of challenges, as they are unpacked, become studies with measurement, split and reference."""

import h5py
import numpy as np
import pytest

from medidiff.config import read_config
from medidiff.errors import DataError
from medidiff.io.layouts.challenge import read_reference, unique_names
from medidiff.io.layouts.fastmri import list_fastmri
from medidiff.io.layouts.lodopab import list_lodopab
from medidiff.io.layouts.mayo import list_mayo
from medidiff.io.projections.lodopab import write_lodopab
from medidiff.studies import STUDY_NAME

HEADER = """<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD"><encoding>
<encodedSpace><matrixSize><x>16</x><y>12</y><z>1</z></matrixSize><fieldOfView_mm><x>40</x><y>30</y><z>5</z></fieldOfView_mm>
</encodedSpace><reconSpace><matrixSize><x>8</x><y>8</y><z>1</z></matrixSize>
<fieldOfView_mm><x>20</x><y>20</y><z>5</z></fieldOfView_mm></reconSpace></encoding></ismrmrdHeader>"""


def volume(path, **more):
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["kspace"] = np.ones((2, 3, 16, 12), np.complex64)
        file["ismrmrd_header"] = HEADER
        for name, values in more.items():
            file[name] = values


def test_fastmri_files_have_the_split_of_their_folder_and_the_reference_they_hold(tmp_path):
    volume(tmp_path / "knee/multicoil_val/file1000001.h5", reconstruction_rss=np.full((2, 8, 8), 3, np.float32))
    volume(tmp_path / "knee/multicoil_test_v2/file1000001.h5", mask=np.ones(12, np.uint8))
    with h5py.File(tmp_path / "knee/other.h5", "w") as file:
        file["x"] = 1
    test, val = list_fastmri(tmp_path)
    assert (test.name, test.split, test.reference) == ("file1000001", "test", None)
    assert (val.name, val.split, val.format, val.kind) == ("file1000001-2", "val", "fastmri", "mr")
    reference = read_reference(val)
    assert reference.array.shape == (8, 8, 2) and reference.grid.spacing_mm == pytest.approx((2.5, 2.5, 5))
    with pytest.raises(DataError, match=r"file1000001: found no reference"):
        read_reference(test)


def test_lodopab_samples_are_counted_through_the_parts_that_are_there(tmp_path):
    write_lodopab(tmp_path, np.zeros((2, 1000, 513)), np.full((2, 362, 362), 0.25), part="validation")
    write_lodopab(tmp_path, np.zeros((1, 1000, 513)), np.zeros((1, 362, 362)))
    (tmp_path / "ground_truth_test_000.hdf5").unlink()
    found = list_lodopab(tmp_path)
    assert [(one.name, one.item, one.split) for one in found] == [
        ("lodopab-validation-00000", 0, "val"),
        ("lodopab-validation-00001", 1, "val"),
        ("lodopab-test-00000", 0, "test"),
    ]
    assert found[2].reference is None
    assert read_reference(found[1]).array.mean() == pytest.approx(1000 * (0.25 * 81.35858 - 20) / 20, abs=0.01)


def test_patients_of_the_archive_have_projections_of_both_doses_and_full_dose_images(tmp_path, stack, save):
    root = tmp_path / "LDCT-and-Projection-data"
    for name in ("Full dose projections-24362", "Low dose projections-29838"):
        save(root / "L004/08-21-2018-NA-NA-10971" / f"1.000000-{name}", stack().headers()[:1])
    save(root / "L004/12-23-2021-NA-NA-40641/1.000000-Full Dose Images-63186", stack().headers())
    save(root / "L004/12-23-2021-NA-NA-40641/1.000000-Low Dose Images-11111", stack(series="2").headers())
    full, low = list_mayo(root)
    assert (full.name, low.name, full.format) == ("L004-full", "L004-low", "ct-pd")
    assert full.path.name == "1.000000-Full dose projections-24362" and low.path.name == "1.000000-Low dose projections-29838"
    assert low.reference.name == "1.000000-Full Dose Images-63186"
    assert read_reference(low).array.shape == stack().shape


def test_patients_of_the_grand_challenge_are_found_by_their_folders(tmp_path, stack, save):
    for name in ("full_3mm", "full_1mm", "quarter_3mm"):
        save(tmp_path / "L067" / name, stack().headers(), stem="L067_FD.IMA")
    save(tmp_path / "L096/DICOM-CT-PD_QD", stack().headers()[:1])
    save(tmp_path / "other/full_3mm", stack().headers())
    images, projections = list_mayo(tmp_path)
    assert (images.name, images.format, images.path.name) == ("L067", "images", "full_1mm")
    assert (projections.name, projections.format, projections.reference) == ("L096-low", "ct-pd", None)
    assert list_mayo(tmp_path / "L067")[0].name == "L067"


def test_a_reference_of_two_series_is_refused(tmp_path, stack, save):
    save(tmp_path / "L067/full_3mm", stack().headers())
    save(tmp_path / "L067/full_3mm", stack(series="2").headers(), stem="B")
    (found,) = list_mayo(tmp_path)
    with pytest.raises(DataError, match=r"full_3mm: found .*, expected one usable series of CT images"):
        read_reference(found)


@pytest.mark.parametrize(
    "lister, message",
    [
        (list_fastmri, r"found no HDF5 file with kspace and ismrmrd_header"),
        (list_lodopab, r"found no observation_test_000\.hdf5"),
        (list_mayo, r"found no patient of the challenge"),
    ],
)
def test_a_folder_without_studies_says_what_was_expected(tmp_path, lister, message):
    with pytest.raises(DataError, match=message):
        lister(tmp_path)


def test_names_are_plain_and_unique():
    names = unique_names(["file_brain AXT2/1", "a.b", "a-b", "..", "a_b"])
    assert names == ["file-brain-AXT2-1", "a-b", "a-b-2", "study", "a-b-3"]
    assert all(STUDY_NAME.fullmatch(name) for name in names)


@pytest.mark.parametrize("name", ["aapm", "lodopab", "fastmri-knee", "fastmri-brain"])
def test_the_configuration_of_each_challenge_is_in_order(request, name):
    config = read_config(request.config.rootpath / "configs" / f"{name}.yaml")
    assert config.studies.measurements or config.studies.scans
