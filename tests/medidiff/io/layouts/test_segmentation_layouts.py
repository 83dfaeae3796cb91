"""Folders of segmentation challenges become cases with their files."""

import json

import numpy as np
import pytest

from medidiff.config import read_config
from medidiff.errors import DataError
from medidiff.io.convert import convert_petct, convert_truth
from medidiff.io.layouts.autopet import list_autopet
from medidiff.io.layouts.hecktor import list_hecktor2021, list_hecktor2022, list_hecktor2025
from medidiff.io.layouts.nnunet import list_nnunet
from medidiff.io.layouts.segmentation import petct_studies
from medidiff.io.nifti import write_nifti
from medidiff.io.volume import Volume
from medidiff.studies import read_studies, write_studies

AFFINE = np.array([[0.0, -2.5, 0.0, 7.0], [2.0, 0.0, 0.0, -9.0], [0.0, 0.0, 4.0, 30.0], [0.0, 0.0, 0.0, 1.0]])


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def put(path, shape=(3, 4, 5), affine=AFFINE):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_nifti(Volume(np.zeros(shape, np.uint8), affine), path)


def nnunet(folder, channel_names, **more):
    for name in ("case-2", "case-1"):
        for channel in ("0000", "0001"):
            put(folder / f"imagesTr/{name}_{channel}.nii.gz")
        put(folder / f"labelsTr/{name}.nii.gz")
    put(folder / "imagesTs/case-3_0000.nii.gz")
    put(folder / "imagesTs/case-3_0001.nii.gz")
    stated = {"labels": {"background": 0, "lesion": 1}, "file_ending": ".nii.gz", **more}
    (folder / "dataset.json").write_text(json.dumps(stated | ({"channel_names": channel_names} if channel_names else {})))
    return folder


def test_hecktor_2021_files_share_a_folder(tmp_path):
    touch(tmp_path / "hecktor_nii", *(f"CHUV002_{kind}.nii.gz" for kind in ("ct", "pt", "gtvt")), "CHUM001_ct.nii.gz")
    first, second = list_hecktor2021(tmp_path)
    assert (first.name, first.pet, first.truth) == ("CHUM001", None, None)
    assert [path.name for path in (second.ct, second.pet, second.truth)] == [
        "CHUV002_ct.nii.gz",
        "CHUV002_pt.nii.gz",
        "CHUV002_gtvt.nii.gz",
    ]


def test_hecktor_2022_labels_stand_beside_the_images_of_their_part(tmp_path):
    touch(tmp_path, "imagesTr/MDA-001__CT.nii.gz", "imagesTr/MDA-001__PT.nii.gz", "labelsTr/MDA-001.nii.gz")
    touch(tmp_path, "imagesTs/CHB-009__CT.nii.gz", "imagesTs/CHB-009__PT.nii.gz")
    test, train = list_hecktor2022(tmp_path)
    assert (test.name, test.split, test.truth, test.pet.name) == ("CHB-009", "test", None, "CHB-009__PT.nii.gz")
    assert (train.split, train.truth) == ("train", tmp_path / "labelsTr/MDA-001.nii.gz")


def test_hecktor_2025_has_one_folder_for_each_patient(tmp_path):
    touch(tmp_path / "Task 1", *(f"USZ-001/USZ-001{end}.nii.gz" for end in ("__CT", "__PT", "")), "stray/USZ-002__CT.nii.gz")
    (case,) = list_hecktor2025(tmp_path)
    assert (case.name, case.truth.name, case.pet.name) == ("USZ-001", "USZ-001.nii.gz", "USZ-001__PT.nii.gz")


def test_autopet_studies_of_one_patient_stay_together_and_the_resampled_ct_is_preferred(tmp_path):
    files = ("CT.nii.gz", "CTres.nii.gz", "PET.nii.gz", "SUV.nii.gz", "SEG.nii.gz")
    touch(tmp_path / "PETCT_a/2003", *files)
    touch(tmp_path / "PETCT_a/2005", "CT.nii.gz", "SUV.nii.gz")
    first, second = list_autopet(tmp_path)
    assert (first.name, first.patient, first.ct.name, first.pet.name) == ("PETCT_a_2003", "PETCT_a", "CTres.nii.gz", "SUV.nii.gz")
    assert (second.patient, second.ct.name, second.truth) == ("PETCT_a", "CT.nii.gz", None)


@pytest.mark.parametrize(
    ("names", "ct"), [({"0": "CT", "1": "PET"}, "0000"), ({"0": "SUV", "1": "CT"}, "0001"), ({"0": "pet_suv", "1": "ct"}, "0001")]
)
def test_nnunet_channels_are_those_that_the_dataset_names(tmp_path, names, ct):
    first, second, third = list_nnunet(nnunet(tmp_path, names))
    assert [case.name for case in (first, second, third)] == ["case-1", "case-2", "case-3"]
    assert first.ct.name == f"case-1_{ct}.nii.gz" and first.pet != first.ct
    assert (first.truth.name, first.split) == ("case-1.nii.gz", "train")
    assert (third.truth, third.split) == (None, "test")


def test_nnunet_without_names_of_its_channels_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"found no channel_names.*add them rather than guess"):
        list_nnunet(nnunet(tmp_path, None))


@pytest.mark.parametrize("names", [{"0": "CT", "1": "CT"}, {"0": "CT", "1": "T1"}, {"0": "PET/CT"}, {}])
def test_nnunet_channels_that_name_something_else_are_refused(tmp_path, names):
    folder = nnunet(tmp_path, {"0": "CT", "1": "PET"})
    (folder / "dataset.json").write_text(json.dumps({"channel_names": names}))
    with pytest.raises(DataError, match="expected one CT, one PET, or both"):
        list_nnunet(folder)


def test_nnunet_channels_and_labels_on_different_grids_are_an_error(tmp_path):
    folder = nnunet(tmp_path, {"0": "CT", "1": "PET"})
    moved = AFFINE.copy()
    moved[1, 3] += 0.5
    put(folder / "labelsTr/case-2.nii.gz", affine=moved)
    with pytest.raises(DataError, match=r"(?s)case-2: .*different grids.*-9\..*-8\.5"):
        list_nnunet(folder)
    (folder / "labelsTr/case-2.nii.gz").write_text("no image")
    with pytest.raises(DataError, match=r"case-2\.nii\.gz: the header could not be read"):
        list_nnunet(folder)


def test_nnunet_without_its_description_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"dataset\.json of .* could not be read"):
        list_nnunet(tmp_path)


@pytest.mark.parametrize("cases", [list_hecktor2021, list_hecktor2022, list_hecktor2025, list_autopet])
def test_a_folder_of_something_else_is_an_error(tmp_path, cases):
    touch(tmp_path, "notes.txt")
    with pytest.raises(DataError, match="found no case of the challenge, expected files such as"):
        cases(tmp_path)


def test_one_name_in_two_places_is_an_error(tmp_path):
    touch(tmp_path, "a/SUV_/p/s/SUV.nii.gz", "b/p/s/SUV.nii.gz")
    with pytest.raises(DataError, match="found p_s more than once"):
        list_autopet(tmp_path)


def test_cases_become_a_study_table_that_the_workflow_reads(tmp_path):
    folder = tmp_path / "hecktor"
    touch(folder, "imagesTr/MDA_001__CT.nii.gz", "imagesTr/MDA_001__PT.nii.gz", "labelsTr/MDA_001.nii.gz")
    touch(folder, "imagesTs/CHB-009__CT.nii.gz")
    table = tmp_path / "studies.tsv"
    table.write_text(write_studies(petct_studies(list_hecktor2022(folder), folder)))
    rejected, usable = read_studies(table).values()
    assert (rejected.study, rejected.status, rejected.reason) == ("CHB-009", "reject", "no PET")
    assert (usable.study, usable.ct, usable.pet) == ("MDA-001", "imagesTr/MDA_001__CT.nii.gz", "imagesTr/MDA_001__PT.nii.gz")
    assert (usable.path, usable.truth, usable.split) == (str(folder), "labelsTr/MDA_001.nii.gz", "train")


def test_a_study_of_the_table_converts_with_the_union_of_its_labels(tmp_path):
    ramp = np.arange(60, dtype=np.float32).reshape(3, 4, 5)
    truth = np.zeros((3, 4, 5), np.uint8)
    truth[0], truth[2, 0] = 1, 2
    for name, array in (("imagesTr/A__CT", ramp - 40), ("imagesTr/A__PT", ramp / 10), ("labelsTr/A", truth)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_nifti(Volume(array, AFFINE), tmp_path / f"{name}.nii.gz")
    (study,) = petct_studies(list_hecktor2022(tmp_path), tmp_path)
    found = convert_petct(study.path, ct=study.ct, pet=study.pet, pet_unit="suv")
    masks = convert_truth(study.path, ct=study.ct, pet=study.pet, structures=[tmp_path / study.truth], roi="1|2")
    assert found.pet.array == pytest.approx(ramp / 10)
    assert masks.ct.array.sum() == np.count_nonzero(truth)


@pytest.mark.parametrize("name", ["hecktor2021", "hecktor2022", "hecktor2025", "autopet", "autopet-nnunet"])
def test_the_configuration_of_each_challenge_is_in_order(request, name):
    config = read_config(request.config.rootpath / "configs" / f"{name}.yaml")
    assert (config.studies.table, config.convert.pet_unit) == (f"data/{name}.tsv", "suv")
