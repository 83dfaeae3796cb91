"""The priors that come with the project: weights, cards and files of settings belong together."""

import json
from pathlib import Path

import pytest

from medidiff.diffusion.denoiser import limits_of
from medidiff.diffusion.prior import assemble_prior
from medidiff.io.prior_files import read_prior
from medidiff.training.page import model_page
from medidiff.training.settings import read_training

ROOT = Path(__file__).parents[3]
SHIPPED = sorted(path.parent.name for path in (ROOT / "models").glob("*/card.json") if '"process"' in path.read_text())
MOST_BYTES = 16e6


def test_there_are_priors():
    assert "ct-head-neck" in SHIPPED


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_prior_is_made_of_the_weights_of_its_card_and_trained_as_its_file_says(name):
    card = assemble_prior(read_prior(ROOT / "models" / name)).card
    file = read_training(ROOT / "configs" / "priors" / f"{name}.yaml")
    assert (card.name, card.title, card.not_for) == (name, file.title, file.not_for)
    assert card.training == json.loads(file.prior.model_dump_json())
    assert (ROOT / "models" / name / "README.md").read_text() == model_page(card)
    assert (ROOT / "models" / name / "model.safetensors").stat().st_size < MOST_BYTES


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_prior_beats_the_best_linear_denoiser_at_every_level_and_knows_its_data(name):
    prior = assemble_prior(read_prior(ROOT / "models" / name))
    assert max(prior.card.gate) < 1
    assert limits_of(prior.denoiser).sigma_max > 10
    assert prior.card.data and all(source["licence"] for source in prior.card.data)
    for names in prior.card.split.values():
        assert names["train"] and not set(names["train"]) & {*names["validation"], *names["held_out"]}
