"""From a file of settings to a prior's folder: the same bytes again, a card that tells the truth, a page for people."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from medidiff.diffusion.card import read_card
from medidiff.diffusion.prior import assemble_prior
from medidiff.errors import ConfigError, DataError
from medidiff.io.prior_files import read_prior, write_prior
from medidiff.phantoms.chest import make_chests
from medidiff.training.images import Images, training_images
from medidiff.training.page import model_page
from medidiff.training.prior import pack_trained, prepare_prior
from medidiff.training.run import run_training


@pytest.fixture(scope="module")
def trained(tiny, tmp_path_factory):
    """The file, the run and the files of a tiny prior."""
    torch.set_num_threads(1)
    file = tiny()
    prepared = prepare_prior(file)
    done = run_training(prepared.run, tmp_path_factory.mktemp("run"))
    return file, prepared, done, pack_trained(file, prepared, done)


def test_training_again_from_the_same_file_gives_the_same_weights_and_losses(trained, tmp_path):
    file, _, done, files = trained
    prepared = prepare_prior(file)
    again = run_training(prepared.run, tmp_path)
    assert pack_trained(file, prepared, again)["model.safetensors"] == files["model.safetensors"]
    assert (again.score, again.look) == (done.score, done.look)


def test_a_trained_prior_is_read_back_with_the_card_of_its_run(trained, tmp_path):
    file, prepared, done, files = trained
    write_prior(tmp_path, files)
    prior = assemble_prior(read_prior(tmp_path))
    card = prior.card
    assert card == read_card(files["card.json"].decode())
    assert (card.name, card.steps, card.seed) == ("tiny", 6, 0)
    assert (card.weights, card.validation_loss) == (done.weights, done.score)
    assert card.training == json.loads(file.prior.model_dump_json())
    assert card.hours == pytest.approx(done.hours, abs=1e-3)
    held_out = prepared.run.look.held_out["x0"]
    u, sigma = held_out + 0.3, torch.full((len(held_out),), 0.3, dtype=torch.float64)
    assert torch.allclose(prior.denoiser(u, sigma), prepared.run.adapter(prepared.run.network)(u, sigma), atol=1e-5)


def test_weights_of_another_run_under_a_card_are_refused(trained, tiny, tmp_path):
    other = prepare_prior(tiny(seed=1))
    done = run_training(other.run, tmp_path)
    files = trained[3] | {"model.safetensors": pack_trained(tiny(seed=1), other, done)["model.safetensors"]}
    with pytest.raises(DataError, match=r"weights of prior tiny have SHA-256 .*, its card says"):
        assemble_prior(files)


def test_the_page_says_what_the_card_says(trained):
    file, _, done, files = trained
    page = files["README.md"].decode()
    card = read_card(files["card.json"].decode())
    for said in (file.title, file.not_for, "digital chests", f"**{done.score:.4f}**", card.weights_sha256, "| steps | 6 |"):
        assert said in page
    assert page.count("| 0.01 to 0.03 |") == 1


def test_the_page_says_where_the_loss_is_above_what_was_aimed_at(trained):
    card = read_card(trained[3]["card.json"].decode())
    assert "above the 0.001 that its file aims at" in model_page(replace(card, training=card.training | {"gate": 0.001}))
    assert "aims at" not in model_page(replace(card, training=card.training | {"gate": 5.0}))
    assert "aims at" not in model_page(card)


def test_the_page_says_which_way_round_the_slices_lie(trained):
    card = read_card(trained[3]["card.json"].decode())
    assert "columns run to the left, rows to the back of the patient (`LP`)" in model_page(replace(card, axes="LP"))
    assert "no one way round" in model_page(replace(card, axes=""))


def test_images_are_those_of_the_seeds_and_training_and_validation_share_none(tiny):
    settings = tiny().prior
    found = training_images(settings)
    expected = np.rint(make_chests([5], settings.sets[0].chest)).astype(np.int16).reshape(-1, 16, 16)
    assert np.array_equal(found.stacked("train"), expected)
    assert not np.array_equal(found.stacked("train"), found.stacked("validation"))
    assert np.array_equal(training_images(settings).stacked("validation"), found.stacked("validation"))
    assert found.split == {
        "digital chests, 0 nodules": {"train": ["seeds 5 to 5"], "validation": ["seeds 50 to 50"], "held_out": []}
    }


def test_a_file_without_images_to_validate_on_is_refused(tiny):
    sets = [{"kind": "chest", "patients": 1, "chest": {"rows": 16, "columns": 16, "slices": 2, "pixel_mm": 12.0}}]
    with pytest.raises(DataError, match="found no image for validation"):
        prepare_prior(tiny(sets=sets))
    with pytest.raises(DataError, match="found no image for train"):
        Images().stacked("train")


def test_cuda_without_a_card_is_refused(tiny, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ConfigError, match="found cuda, but there is no card here"):
        prepare_prior(tiny().model_copy(update={"device": "cuda"}))


@pytest.mark.realdata
def test_a_patient_that_a_data_set_does_not_have_is_refused(tiny):
    sets = [{"kind": "ct", "dataset": "ct-openkbp", "held_out": ["pt_9999"]}]
    with pytest.raises(ConfigError, match="ct-openkbp has no pt_9999"):
        training_images(tiny(sets=sets).prior)


@pytest.mark.realdata
def test_crops_of_patients_come_from_those_that_are_not_held_out(tiny, mirror):
    from medidiff.datasets import dataset

    members = dataset("ct-openkbp").members
    held_out = [name for name in members if name not in ("pt_1", "pt_10")]
    sets = [
        {
            "kind": "ct",
            "dataset": "ct-openkbp",
            "axes": [2, 0, 1],
            "crops": 5,
            "held_out": held_out,
            "validation": ["pt_151"],
        }
    ]
    found = training_images(tiny(sets=sets).prior)
    assert found.split["ct-openkbp"]["train"] == ["pt_1", "pt_10"]
    assert found.stacked("train").shape == (10, 16, 16) and found.stacked("validation").shape == (40, 16, 16)
    assert len(found.sha256) == 3 and all(len(digest) == 64 for digest in found.sha256)
    assert found.sources[0]["licence"] == "MIT"
