"""Which PET and which CT belong together: by attenuation, frame of reference and overlap; a tie is never guessed."""

import re

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ImplicitVRLittleEndian

from medidiff.errors import DataError
from medidiff.io.dicom.selection import find_pet, find_petct

PET_SPACING = dict(spacing=(4.1, 3.9, 3.3), shape=(9, 7, 12))


def contours(study: str = "1", uid: str = "1.2.3.77") -> Dataset:
    header = Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    header.SOPClassUID = header.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.481.3"
    header.SOPInstanceUID = header.file_meta.MediaStorageSOPInstanceUID = uid
    header.Modality, header.SeriesInstanceUID = "RTSTRUCT", "1.2.3.78"
    header.StudyInstanceUID = f"1.2.826.0.1.3680043.8.498.{study}"
    return header


@pytest.fixture
def pair(stack, save, tmp_path):
    """A folder with a PET and the CT of the same examination; further series may be added."""
    pet = stack(modality="PT", series="2", gradient=(0.02, 0.03, 0.01), offset=30.0, **PET_SPACING)
    ct = stack(series="1", spacing=(2.0, 1.9, 3.1), shape=(16, 14, 14))
    save(tmp_path / "PET", pet.headers())
    save(tmp_path / "CT", ct.headers())
    return tmp_path, ct, pet


def test_pet_its_ct_and_their_contours_are_found(pair, save):
    folder, _, _ = pair
    save(folder / "RS", [contours()], stem="b")
    save(folder / "other", [contours(study="9", uid="1.2.3.79")])

    found = find_petct(folder)

    assert (found.ct.modality, found.pet.modality) == ("CT", "PT")
    assert [path.relative_to(folder).as_posix() for path in found.structures] == ["RS/b000"]


def test_pet_without_attenuation_correction_is_left_out(pair, stack, save):
    folder, _, _ = pair
    raw = stack(modality="PT", series="5", gradient=(0.02, 0.03, 0.01), spacing=(4.1, 3.9, 3.3), shape=(9, 7, 16)).headers()
    for header in raw:
        header.CorrectedImage = ["DECY"]
    save(folder / "NAC", raw)

    assert find_petct(folder).pet.uid.endswith(".2")


def test_only_uncorrected_pet_is_an_error_that_names_it(pair):
    folder, _, _ = pair
    for path in (folder / "PET").iterdir():
        path.unlink()
    with pytest.raises(DataError, match=r"no PET series; found CT [0-9.]+ \(14 slices\)"):
        find_petct(folder)


def test_uncorrected_pet_alone_is_refused_and_can_be_named(pair, stack, save, tmp_path):
    raw = stack(modality="PT", series="2", gradient=(0.02, 0.03, 0.01), **PET_SPACING).headers()
    for header in raw:
        header.CorrectedImage = ["DECY"]
    save(tmp_path / "PET", raw)
    with pytest.raises(DataError, match="no PET corrected for attenuation"):
        find_petct(tmp_path)
    assert find_pet(tmp_path, pet=str(raw[0].SeriesInstanceUID)).usable


def test_two_equal_pets_are_a_tie_that_names_both(pair, stack, save):
    folder, _, _ = pair
    twin = stack(modality="PT", series="7", gradient=(0.02, 0.03, 0.01), offset=20.0, **PET_SPACING)
    save(folder / "PET2", twin.headers())

    with pytest.raises(DataError, match=r"2 PET series are equally good: PT \S+\.2 .*PT \S+\.7 .*study table"):
        find_petct(folder)
    assert find_petct(folder, pet=str(twin.headers()[0].SeriesInstanceUID)).pet.uid.endswith(".7")


def test_later_pet_is_taken_of_two_with_equally_many_slices(pair, stack, save):
    folder, _, _ = pair
    later = stack(modality="PT", series="7", gradient=(0.02, 0.03, 0.01), **PET_SPACING).headers()
    for header in later:
        header.SeriesTime = "123000"
    save(folder / "PET2", later)
    assert find_petct(folder).pet.uid.endswith(".7")


def test_ct_with_the_largest_overlap_is_taken(pair, stack, save):
    folder, _, _ = pair
    small = stack(series="3", spacing=(1.0, 1.0, 3.1), shape=(10, 10, 14))
    save(folder / "small", small.headers())
    assert find_petct(folder).ct.uid.endswith(".1")


def test_two_cts_that_cover_the_pet_equally_are_a_tie_that_names_both(pair, stack, save):
    folder, _, _ = pair
    kernel = stack(series="4", spacing=(2.0, 1.9, 3.1), shape=(16, 14, 14), offset=30.0)
    save(folder / "sharp", kernel.headers())
    with pytest.raises(DataError, match=r"2 CT series cover the PET equally well: CT \S+\.1 .*CT \S+\.4 "):
        find_petct(folder)
    assert find_petct(folder, ct=str(kernel.headers()[0].SeriesInstanceUID)).ct.uid.endswith(".4")


def test_ct_of_another_frame_of_reference_is_never_taken(pair, stack, save):
    folder, _, _ = pair
    for path in (folder / "CT").iterdir():
        path.unlink()
    moved = stack(series="3", frame="8", spacing=(2.0, 1.9, 3.1), shape=(16, 14, 14))
    save(folder / "moved", moved.headers())
    with pytest.raises(DataError, match="no CT shares study and frame of reference"):
        find_petct(folder)
    with pytest.raises(DataError, match=r"FrameOfReferenceUID .* do not share coordinates"):
        find_petct(folder, ct=str(moved.headers()[0].SeriesInstanceUID))


def test_ct_of_another_patient_is_refused_without_naming_either(pair):
    import pydicom

    folder, _, _ = pair
    for path in (folder / "CT").iterdir():
        header = pydicom.dcmread(path)
        header.PatientID = "OTHER-7"
        header.save_as(path)
    with pytest.raises(DataError, match=r"PatientID differs.*two patients") as error:
        find_petct(folder)
    assert not re.search("OTHER|CANARY|Secret", str(error.value))


def test_ct_that_covers_less_than_half_the_pet_is_refused(stack, save, tmp_path):
    pet = stack(modality="PT", gradient=(0.02, 0.03, 0.01), series="2", **PET_SPACING)
    start = pet.centre([0, 0, 8])
    short = stack(series="1", spacing=(2.0, 1.9, 3.1), shape=(16, 14, 14), origin=tuple(start))
    save(tmp_path / "PET", pet.headers())
    save(tmp_path / "CT", short.headers())
    with pytest.raises(DataError, match=r"covers \d+% of the length of the PT"):
        find_petct(tmp_path)


def test_few_or_thick_slices_are_no_ct(pair, stack, save):
    folder, _, _ = pair
    for path in (folder / "CT").iterdir():
        path.unlink()
    save(folder / "few", stack(series="3", spacing=(2.0, 1.9, 6.0), shape=(16, 14, 7)).headers(), stem="few")
    with pytest.raises(DataError, match=r"no usable CT series beside the PET.*at least 8 slices of at most 10 mm"):
        find_petct(folder)


def test_unusable_ct_is_named_with_its_reason(pair):
    folder, _, _ = pair
    find_petct(folder).ct.paths[3].unlink()
    with pytest.raises(DataError, match=r"no usable CT series beside the PET\. CT \S+ \(13 slices\): 1 slice is missing"):
        find_petct(folder)


def test_two_studies_in_one_folder_are_not_chosen_from(pair, stack, save):
    folder, _, _ = pair
    other = stack(modality="PT", study="2", gradient=(0.02, 0.03, 0.01), spacing=(4.1, 3.9, 3.3), shape=(9, 7, 20))
    save(folder / "other", other.headers())
    with pytest.raises(DataError, match="PET series of several studies in one folder"):
        find_petct(folder)


@pytest.mark.parametrize("wrong, reason", [("1.2.3", "no series 1.2.3 in the folder"), (None, "has modality PT, expected CT")])
def test_wrong_name_of_a_series_is_refused(pair, wrong, reason):
    folder, _, _ = pair
    with pytest.raises(DataError, match=reason):
        find_petct(folder, ct=wrong or find_petct(folder).pet.uid)


def test_positions_of_pet_and_ct_agree_with_what_made_them(pair):
    from medidiff.io.dicom.series import series_grid

    folder, ct, pet = pair
    found = find_petct(folder)
    np.testing.assert_allclose(series_grid(found.ct).affine, ct.ras(), atol=1e-4)
    np.testing.assert_allclose(series_grid(found.pet).affine, pet.ras(), atol=1e-4)
