"""The models that are shipped: they load, fit the method that names them, and find what they found when they were made."""

from pathlib import Path

import pytest

from medidiff.io.nifti import read_nifti
from medidiff.io.prior_files import read_prior
from medidiff.metrics.overlap import dice
from medidiff.segmentation.model import assemble_model
from medidiff.segmentation.settings import SegmentSettings, UnetSettings
from medidiff.segmentation.task import DEFAULTS, segment

ROOT = Path(__file__).parents[3]
SHIPPED = {"diffusion": DEFAULTS.diffusion.model, "unet": DEFAULTS.unet.model}


@pytest.mark.parametrize("kind", SHIPPED)
def test_the_default_model_of_each_method_loads_and_tells_data_licence_split_and_scores(kind):
    folder = ROOT / SHIPPED[kind]
    card = assemble_model(read_prior(folder), kind=kind).card
    assert card.name == folder.name
    assert card.data[0]["licence"] == "CC-BY-3.0" and "10.7937/K9/TCIA.2015.7GO2GSKS" in card.data[0]["citation"][0]
    assert len(card.split["train"]) == 27 and not set(card.split["train"]) & set(card.split["validation"])
    assert card.hours > 0 and 0.7 < card.scores["dice_mean"] < 0.9
    assert (folder / "model.safetensors").stat().st_size < 16e6


@pytest.mark.realdata
def test_the_shipped_network_finds_an_unseen_tumour_as_well_as_its_card_says(mirror):
    folder = mirror / "petct_sts/nifti/STS_026"
    ct, pet, truth = (read_nifti(folder / f"{name}.nii.gz") for name in ("ct", "pet_suv", "gtv_pet"))
    settings = SegmentSettings(unet=UnetSettings(model=str(ROOT / SHIPPED["unet"])))
    card = assemble_model(read_prior(ROOT / SHIPPED["unet"]), kind="unet").card
    found = segment(ct, pet, method="unet", settings=settings)
    assert dice(found.mask.array > 0, truth.array > 0) == pytest.approx(card.scores["dice_of_patients"]["STS_026"], abs=0.01)
