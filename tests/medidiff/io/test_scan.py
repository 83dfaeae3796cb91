"""`scan` lists every study of a folder once, with the reason where it cannot be used, under names without identifiers."""

import gzip
import re
import shutil

import nibabel
import numpy as np
import pydicom
import pytest

from medidiff.errors import DataError
from medidiff.io.scan import find_petct, scan
from medidiff.studies import read_studies, write_studies

AFFINE = np.array([[-1.9, 0.1, 0, 40], [0.1, -1.7, 0.2, 30], [0, 0.2, 3.1, -90], [0, 0, 0, 1]])


def petct(stack, save, folder, study):
    pet = stack(modality="PT", series="2", study=study, gradient=(0.02, 0.03, 0.01), spacing=(4.1, 3.9, 3.3))
    ct = stack(series="1", study=study, spacing=(2.0, 1.9, 3.1), shape=(16, 14, 14))
    save(folder / "PET", pet.headers())
    save(folder / "CT", ct.headers())


def nifti(path, array=None):
    array = np.arange(120, dtype=np.int16).reshape(4, 5, 6) if array is None else array
    image = nibabel.Nifti1Image(array, AFFINE)
    image.set_sform(AFFINE, code=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(image, path)


@pytest.fixture(scope="module")
def tree(stack, save, tmp_path_factory):
    """Two PET/CT studies, one of them short of a slice, a CT, an MR with a gap, NIfTI files and junk; not to be changed."""
    tmp_path = tmp_path_factory.mktemp("tree")
    petct(stack, save, tmp_path / "P_001", "1")
    petct(stack, save, tmp_path / "P_002", "2")
    find_petct(tmp_path / "P_002").pet.paths[4].unlink()
    save(tmp_path / "head", stack(study="3", series="1").headers())
    gap = stack(modality="MR", study="4", series="1").headers()
    save(tmp_path / "Jane Doe, 1950", gap[:6] + gap[7:])
    save(tmp_path / "scout", stack(study="5", series="1").headers()[:2])
    for name in ("ct", "pet_suv", "gtv_ct", "gtv_pet"):
        nifti(tmp_path / "N_1" / f"{name}.nii.gz")
    nifti(tmp_path / "N_2" / "t1.nii.gz", np.random.default_rng(1).integers(0, 999, (40, 40, 40)).astype(np.int16))
    nifti(tmp_path / "N_2" / "what.nii.gz")
    (tmp_path / "notes.txt").write_text("junk")
    return tmp_path


def test_every_study_is_listed_with_its_status_and_reason(tree):
    found = scan(tree)
    rows = {row.study: row for row in found.studies}

    assert rows["P-001"].status == "ok" and rows["P-001"].kind == "petct" and rows["P-001"].reason == ""
    assert rows["P-001"].path == "P_001" and rows["P-001"].pet.endswith(".1.2") and rows["P-001"].ct.endswith(".1.1")
    assert rows["P-002"].status == "reject" and "1 slice is missing" in rows["P-002"].reason
    assert rows["head"].status == "ok" and rows["head"].kind == "ct"
    gap = next(row for row in found.studies if row.path.startswith("Jane"))
    assert gap.status == "reject" and gap.kind == "mr" and "1 slice is missing" in gap.reason
    assert rows["N-1"].kind == "petct" and (rows["N-1"].ct, rows["N-1"].pet) == ("ct.nii.gz", "pet_suv.nii.gz")
    assert rows["N-1"].truth == "gtv_ct.nii.gz"
    assert rows["N-2-t1"].kind == "mr" and rows["N-2-t1"].status == "ok"
    assert rows["N-2-what"].status == "reject" and "does not say whether" in rows["N-2-what"].reason
    assert len(found.series) == 7
    assert [entry.path for entry in found.skipped] == ["notes.txt"]


def test_names_are_plain_unique_and_free_of_identifiers(tree):
    names = [row.study for row in scan(tree).studies]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch("[A-Za-z0-9-]+", name) for name in names)
    assert not any(re.search("Jane|Doe|1950|CANARY|Secret", name) for name in names)
    assert names == [row.study for row in scan(tree).studies]


def test_several_studies_in_one_folder_get_names_of_their_own(stack, save, tmp_path):
    for study in "12":
        save(tmp_path / "all", stack(study=study).headers(), stem=f"S{study}")
    rows = scan(tmp_path).studies
    assert len({row.study for row in rows}) == 2 and all(row.study.startswith("all-") for row in rows)


def test_table_is_read_back_from_another_folder(tree, tmp_path_factory):
    there = tmp_path_factory.mktemp("configs")
    found = scan(tree)
    (there / "studies.tsv").write_text(write_studies(found.as_table(there)))
    studies = read_studies(there / "studies.tsv")
    assert studies.keys() == {row.study for row in found.studies}
    row = studies["P-001"]
    assert find_petct(there / row.path, ct=row.ct, pet=row.pet).pet.uid == row.pet


def test_deep_scan_finds_what_a_sound_header_hides(tree, tmp_path):
    tree = shutil.copytree(tree, tmp_path / "tree")
    victim = sorted((tree / "P_001" / "CT").iterdir())[3]
    header = pydicom.dcmread(victim)
    header.compress(pydicom.uid.RLELossless, generate_instance_uid=False)
    frame = bytearray(header.PixelData)
    frame[-60:-20] = bytes([200]) * 40
    header.PixelData = bytes(frame)
    header.save_as(victim)
    packed = tree / "N_2" / "t1.nii.gz"
    content = bytearray(gzip.decompress(packed.read_bytes()))
    packed.write_bytes(gzip.compress(bytes(content), mtime=0)[:-6])

    shallow = {row.study: row for row in scan(tree).studies}
    deep = {row.study: row for row in scan(tree, deep=True).studies}

    assert shallow["P-001"].status == shallow["N-2-t1"].status == "ok"
    assert deep["P-001"].status == "reject" and "the compressed image holds" in deep["P-001"].reason
    assert deep["N-2-t1"].status == "reject" and "cut or altered" in deep["N-2-t1"].reason
    assert deep["head"].status == "ok"


@pytest.mark.parametrize(
    "damage, reason",
    [("header", "the NIfTI header is damaged"), ("shape", "expected one volume of three axes"), ("cut", "the file is cut")],
)
def test_damaged_nifti_header_is_a_rejected_study(tmp_path, damage, reason):
    nifti(tmp_path / "x" / "ct.nii", np.zeros((4, 5, 6, 2), np.int16) if damage == "shape" else None)
    content = (tmp_path / "x" / "ct.nii").read_bytes()
    if damage == "header":
        (tmp_path / "x" / "ct.nii").write_bytes(b"\x09" + content[1:])
    if damage == "cut":
        (tmp_path / "x" / "ct.nii").write_bytes(content[:-70])
    (row,) = scan(tmp_path).studies
    assert row.status == "reject" and reason in row.reason


def test_nothing_in_the_result_names_the_patient(tree):
    found = scan(tree)
    shown = " ".join(str(row) for row in found.studies) + " ".join(f"{one.reason} {one.notes}" for one in found.series)
    assert not re.search("CANARY|Secret", shown)


def test_missing_folder_is_one_clear_error(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        scan(tmp_path / "absent")


def test_empty_folder_has_no_studies(tmp_path):
    found = scan(tmp_path)
    assert found.studies == found.series == found.skipped == ()
