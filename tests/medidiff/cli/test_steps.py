"""Single steps by hand, as the command line offers them."""

import json
import subprocess
import sys

import nibabel
import numpy as np
import pydicom
import pytest

from medidiff.phantoms.dicom import write_patient
from medidiff.phantoms.petct import make_patient
from medidiff.phantoms.settings import PetCtPhantom

SMALL = {
    "ct_matrix": 64,
    "ct_slices": 30,
    "ct_spacing_mm": (3.0, 3.0, 4.0),
    "pet_matrix": 40,
    "pet_slices": 24,
    "difficulty": "easy",
}


def medidiff(*words):
    return subprocess.run([sys.executable, "-m", "medidiff", *map(str, words)], capture_output=True, text=True)


@pytest.fixture(scope="module")
def tilted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tilted")
    settings = PetCtPhantom(seed=1, tilt_deg=12.0, nodes=(2, 3), **SMALL)
    write_patient(make_patient(settings), folder / "study")
    return folder


def test_a_tilted_ct_is_refused_with_the_setting_that_allows_it(tilted, tmp_path):
    done = medidiff("convert", tilted / "study", tmp_path / "ct.nii.gz", tmp_path / "pet.nii.gz")
    assert done.returncode == 3
    assert "tilt" in done.stderr and "convert.allow_tilt" in done.stderr and "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_tilted_ct_that_is_allowed_comes_out_right_angled_with_its_truth_in_place(tilted, tmp_path):
    allowed = ["--settings", json.dumps({"allow_tilt": True, "roi": "GTV*"})]
    ct, pet, truth_ct, truth_pet = (tmp_path / f"{name}.nii.gz" for name in ("ct", "pet", "truth_ct", "truth_pet"))
    assert medidiff("convert", tilted / "study", ct, pet, *allowed).returncode == 0
    assert medidiff("truth", tilted / "study", truth_ct, truth_pet, *allowed).returncode == 0
    affine = nibabel.load(ct).affine[:3, :3]
    axes = affine / np.linalg.norm(affine, axis=0)
    assert np.abs(axes.T @ axes - np.eye(3)).max() < 1e-5
    centres = []
    for path in (truth_ct, truth_pet):
        mask = nibabel.load(path)
        indices = np.argwhere(mask.get_fdata() > 0)
        centres.append(nibabel.affines.apply_affine(mask.affine, indices).mean(0))
    assert np.abs(centres[0] - centres[1]).max() < 2.0  # mm; the two grids sample the same lesions

    seg = tmp_path / "seg.dcm"
    assert medidiff("export", truth_ct, tilted / "study", seg, "--grid", "ct").returncode == 0
    frames = pydicom.dcmread(seg).PerFrameFunctionalGroupsSequence
    planes = [tuple(map(float, frame.PlanePositionSequence[0].ImagePositionPatient)) for frame in frames]
    source = [tuple(map(float, pydicom.dcmread(path).ImagePositionPatient)) for path in (tilted / "study" / "CT").iterdir()]
    assert np.abs(np.array(sorted(planes)) - np.array(sorted(source))).max() < 1e-4


def test_a_missing_weight_is_refused_and_can_be_stated_for_the_study(tilted, tmp_path):
    settings = PetCtPhantom(seed=2, **SMALL)
    write_patient(make_patient(settings), tmp_path / "study")
    weight = 0.0
    for path in (tmp_path / "study" / "PET").iterdir():
        data = pydicom.dcmread(path)
        weight = float(data.PatientWeight)
        del data.PatientWeight
        data.save_as(path)
    ct, pet = tmp_path / "ct.nii.gz", tmp_path / "pet.nii.gz"
    done = medidiff("convert", tmp_path / "study", ct, pet)
    assert done.returncode == 3 and "PatientWeight is absent" in done.stderr and not pet.exists()
    stated = json.dumps({"suv_overrides": {"S-1": {"weight_kg": weight}}})
    assert medidiff("convert", tmp_path / "study", ct, pet, "--settings", stated).returncode == 3
    assert medidiff("convert", tmp_path / "study", ct, pet, "--study", "S-1", "--settings", stated).returncode == 0


def test_wrong_settings_on_the_command_line_are_all_listed(tmp_path):
    done = medidiff("convert", tmp_path, tmp_path / "a", tmp_path / "b", "--settings", '{"roy": 1, "suv_reference": "x"}')
    assert done.returncode == 2 and "roy" in done.stderr and "suv_reference" in done.stderr
