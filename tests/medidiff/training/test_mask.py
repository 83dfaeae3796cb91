"""A model that segments, from the file of its settings to its folder."""

import json
from pathlib import Path

import numpy as np
import pytest

from medidiff.errors import ConfigError
from medidiff.io.nifti import write_nifti
from medidiff.io.prior_files import read_prior, write_prior
from medidiff.io.volume import Volume
from medidiff.segmentation.calibration import Calibration
from medidiff.segmentation.model import assemble_model
from medidiff.segmentation.training_settings import MaskFile, MaskPatients
from medidiff.training import mask as module
from medidiff.training import mask_patients
from medidiff.training.mask import pack_mask, prepare_mask
from medidiff.training.mask_calibration import completed
from medidiff.training.mask_patients import digital_patient, split_of, validation_seeds
from medidiff.training.run import run_training
from medidiff.training.settings import read_training

FOLDER = Path(__file__).parents[3] / "configs" / "priors"
FILES = sorted(path for path in FOLDER.glob("petct-*.yaml") if path.stem != "petct-digital")
VALIDATION = ["STS_004", "STS_011", "STS_019", "STS_026", "STS_034", "STS_041", "STS_049"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_file_names_its_model_and_keeps_the_seven_patients_out(path):
    file = read_training(path)
    split = split_of(file.mask.patients)
    assert file.name == path.stem
    assert split["validation"] == VALIDATION and len(split["train"]) == 27
    assert not set(split["train"]) & set(VALIDATION)


def test_a_patient_that_the_set_lacks_is_named():
    with pytest.raises(ConfigError, match="petct-sts has no STS_003"):
        split_of(MaskPatients(dataset="petct-sts", held_out=("STS_003",)))


@pytest.fixture
def patients(tmp_path, monkeypatch):
    """Two patients to train on and one held out, on disk; the catalogue's own names."""
    folder = tmp_path / "set"
    affine = np.diag([-4.0, -4.0, 4.0, 1.0])
    for number, name in enumerate(("STS_001", "STS_002", "STS_004")):
        noise = np.random.default_rng(number).normal(size=(20, 20, 20))
        mask = np.zeros((20, 20, 20), np.uint8)
        mask[6:12, 6:12, 6:12] = 1
        write_nifti(Volume((40 + 20 * noise).astype(np.float32), affine), folder / name / "ct.nii.gz")
        write_nifti(Volume((1 + 6 * mask + 0.1 * noise).astype(np.float32), affine), folder / name / "pet_suv.nii.gz")
        write_nifti(Volume(mask, affine), folder / name / "gtv_ct.nii.gz")
    monkeypatch.setattr(mask_patients, "locate", lambda name, subset: folder)
    split = {"train": ["STS_001", "STS_002"], "validation": ["STS_004"]}
    monkeypatch.setattr(mask_patients, "split_of", lambda chosen: split)
    monkeypatch.setattr(module, "HELD_OUT_ITEMS", 4)
    return tmp_path


def small(kind, **changes):
    return MaskFile.model_validate_json(
        json.dumps(
            {
                "name": f"tiny-{kind}",
                "title": "Cubes",
                "not_for": "Patients",
                "mask": {
                    "kind": kind,
                    "patients": {"dataset": "petct-sts", "single_lesion": True},
                    "network": {"width": 8, "multipliers": [1, 2]},
                    "patch": 16,
                    "steps": 3,
                    "warmup": 1,
                    "save_every": 2,
                    **changes,
                },
            }
        )
    )


def test_a_plain_model_and_a_diffusion_model_that_starts_from_it_are_trained_and_told_of(patients):
    plain = small("unet")
    prepared = prepare_mask(plain)
    trained = run_training(prepared.run, patients / "run")
    files = pack_mask(plain, prepared, trained, history="It was interrupted once.")
    write_prior(patients / "unet", files)
    model = assemble_model(read_prior(patients / "unet"), kind="unet")
    assert model.card.split == {"train": ["STS_001", "STS_002"], "validation": ["STS_004"]}
    assert model.card.single_lesion and model.card.steps == 3
    assert model.card.weights_sha256 in files["README.md"].decode()
    assert set(model.card.familiar) == {f"{name} {kind}" for name in ("ct", "pet") for kind in ("mean", "spread", "top")}
    assert all(low <= high for low, high in model.card.familiar.values())
    page = files["README.md"].decode()
    for text in ("CC-BY-3.0", "10.7937/K9/TCIA.2015.7GO2GSKS", "train, 2: STS_001, STS_002", "It was interrupted once."):
        assert text in page

    calibration = Calibration(1.7, 1.4, patients=("STS_001", "STS_002"), how="By another fit.")
    after = completed(files, calibration=calibration, familiar={"pet mean": (0.1, 0.2)}, scores={"ece_after": 0.05})
    told = assemble_model(after, kind="unet")
    assert told.calibration == calibration and told.card.weights_sha256 == model.card.weights_sha256
    for text in ("volume / 1.4 to volume x 1.4, 90 % of new patients", "STS_001, STS_002", "| ece_after | 0.050 |"):
        assert text in after["README.md"].decode()

    diffusion = small("diffusion", start=str(patients / "unet"))
    second = prepare_mask(diffusion)
    files = pack_mask(diffusion, second, run_training(second.run, patients / "run2"))
    assert assemble_model(files, kind="diffusion").card.training["start"].endswith("unet")


def test_each_reader_of_a_digital_patient_is_an_item_and_validation_patients_are_others(monkeypatch):
    monkeypatch.setattr(module, "HELD_OUT_ITEMS", 2)
    digital = {"count": 1, "validation": 1, "readers": 3, "ct_matrix": 24, "ct_spacing_mm": [8.0, 8.0, 4.0], "first_seed": 41}
    prepared = prepare_mask(small("diffusion", patients=digital, objective="calibrated"))
    data = prepared.data
    assert data.split == {"train": ["seed 41"], "validation": ["seed 42"]}
    assert len(data.train) == 3 and all(one.condition is data.train[0].condition for one in data.train)
    sizes = [float((one.mask >= 0.5).sum()) for one in data.train]
    assert len(set(sizes)) > 1


def test_the_file_of_the_digital_model_makes_the_patients_that_its_validation_tells_of():
    chosen = read_training(FOLDER / "petct-digital.yaml").mask.patients
    seeds = validation_seeds(chosen)
    assert len(seeds) == chosen.validation and seeds[0] == chosen.first_seed + chosen.count
    small_ct = chosen.model_copy(update={"ct_matrix": 16, "ct_spacing_mm": (12.0, 12.0, 4.0)})
    phantom = digital_patient(small_ct, seeds[0])
    assert len(phantom.annotations) == chosen.readers and phantom.settings.seed == seeds[0]
