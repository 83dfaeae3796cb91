"""A network by hand: mask, probability, doubt and light from the shipped model of digital necks, and back to DICOM."""

import json
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest

from medidiff.io.maps import read_maps
from medidiff.phantoms.dicom import write_patient
from medidiff.phantoms.petct import make_patient
from medidiff.phantoms.settings import PetCtPhantom

MODEL = Path(__file__).parents[3] / "models" / "petct-digital"
SETTINGS = {"diffusion": {"model": str(MODEL), "members": 2, "steps": 2}}
SMALL = {"ct_matrix": 48, "ct_slices": 24, "ct_spacing_mm": (4.0, 4.0, 6.0), "pet_matrix": 32, "pet_slices": 20}


def medidiff(folder, *words):
    done = subprocess.run([sys.executable, "-m", "medidiff", *map(str, words)], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_dicom_study_gets_mask_probability_doubt_light_and_parametric_maps(tmp_path):
    write_patient(make_patient(PetCtPhantom(seed=2, difficulty="easy", primaries=(1, 1), **SMALL)), tmp_path / "study")
    medidiff(tmp_path, "convert", "study", "ct.nii.gz", "pet.nii.gz")
    outputs = ["--probability", "p.nii.gz", "--entropy", "h.nii.gz", "--maps", "maps.h5", "--record", "d.json"]
    settings = ["--method", "diffusion", "--settings", json.dumps(SETTINGS)]
    medidiff(tmp_path, "segment", "ct.nii.gz", "pet.nii.gz", "mask.nii.gz", *settings, *outputs)
    pet, p, entropy = (nibabel.load(tmp_path / f"{name}.nii.gz") for name in ("pet", "p", "h"))
    assert p.shape == entropy.shape == pet.shape and np.allclose(p.affine, pet.affine)
    values = p.get_fdata()
    assert values.min() >= 0 and values.max() <= 1
    np.testing.assert_array_equal(nibabel.load(tmp_path / "mask.nii.gz").get_fdata() > 0, values >= 0.5)
    assert set(read_maps(tmp_path / "maps.h5").volumes) == {"one_step", "trajectory", "variance", "mutual_information"}
    record = json.loads((tmp_path / "d.json").read_text())["result"]
    assert record["numbers"]["light"] in ("green", "yellow", "red")
    assert set(record["outputs"]) == {"mask.nii.gz", "p.nii.gz", "h.nii.gz", "maps.h5"}

    medidiff(tmp_path, "maps", "p.nii.gz", "h.nii.gz", "study", "p.dcm", "h.dcm")
    made = pydicom.dcmread(tmp_path / "p.dcm")
    assert made.pixel_array.max() == pytest.approx(values.max(), abs=1e-6)
    assert made.StudyInstanceUID == pydicom.dcmread(next((tmp_path / "study" / "PET").iterdir())).StudyInstanceUID
