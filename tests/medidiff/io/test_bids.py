"""MR volumes as BIDS derivatives."""

import json
import shutil
import subprocess

import nibabel
import numpy as np
import pytest

from medidiff.errors import ConfigError
from medidiff.io.bids import BidsVolume, write_bids
from medidiff.io.nifti import write_nifti
from medidiff.io.volume import Volume

OBLIQUE = np.array([[1.8, 0.2, -0.1, -20], [-0.2, 1.9, 0.3, 10], [0.15, -0.25, 3.9, 5], [0, 0, 0, 1]])


@pytest.fixture
def volume(tmp_path):
    array = np.random.default_rng(0).random((6, 5, 4), dtype=np.float32)
    write_nifti(Volume(array, OBLIQUE), tmp_path / "tv.nii.gz")

    def make(study="BRAIN-9", method="tv", suffix="T1w"):
        return BidsVolume(study, method, tmp_path / "tv.nii.gz", suffix, False, {"Method": method})

    return make


def test_a_volume_keeps_its_bytes_under_a_name_of_bids_with_a_sidecar(volume, tmp_path):
    [path] = write_bids([volume()], tmp_path / "set", title="Brains", version="1.2")
    assert path == tmp_path / "set/sub-BRAIN9/anat/sub-BRAIN9_rec-tv_desc-recon_T1w.nii.gz"
    assert path.read_bytes() == (tmp_path / "tv.nii.gz").read_bytes()
    assert nibabel.load(path).header.get_xyzt_units()[0] == "mm"
    sidecar = json.loads((path.parent / "sub-BRAIN9_rec-tv_desc-recon_T1w.json").read_text())
    assert sidecar == {"SkullStripped": False, "Method": "tv"}
    described = json.loads((tmp_path / "set/dataset_description.json").read_text())
    assert described["DatasetType"] == "derivative" and described["GeneratedBy"][0]["Version"] == "1.2"


def test_studies_that_bids_cannot_tell_apart_are_refused(volume, tmp_path):
    with pytest.raises(ConfigError, match="A-1 and A1 have the same BIDS label, sub-A1"):
        write_bids([volume("A-1"), volume("A1")], tmp_path / "set", title="Brains", version="1.2")


def test_a_contrast_that_bids_does_not_know_is_refused(volume, tmp_path):
    with pytest.raises(ConfigError, match="contrast 'T3w': expected one of T1w"):
        write_bids([volume(suffix="T3w")], tmp_path / "set", title="Brains", version="1.2")


@pytest.mark.skipif(not shutil.which("bids-validator-deno"), reason="BIDS: pip install bids-validator-deno")
def test_the_validator_of_bids_finds_no_error(volume, tmp_path):
    volumes = [volume(method=method) for method in ("tv", "cgsense")] + [volume("K-2", suffix="PDw")]
    write_bids(volumes, tmp_path / "set", title="Brains", version="1.2")
    done = subprocess.run(["bids-validator-deno", "--format", "json", tmp_path / "set"], capture_output=True, text=True)
    issues = json.loads(done.stdout)["issues"]["issues"]
    assert [issue for issue in issues if issue["severity"] == "error"] == []
    assert done.returncode == 0
