"""Checkpoints as bytes: equal for equal content, whole or refused."""

from dataclasses import replace

import pytest
import torch

from medidiff.diffusion.card import Card, card_text, check_window, pack_prior, read_card, unpack_prior
from medidiff.diffusion.checkpoint import Checkpoint, load_weights, pack, settings_hash, unpack, weights_hash
from medidiff.diffusion.denoiser import Limits
from medidiff.diffusion.networks.mlp import MLP
from medidiff.errors import DataError

CARD = Card(
    name="ct-32", process="edm", output="F", sd=0.5, trained_range=(0.004, 38.2), window=(-1000.0, 400.0), units="HU", channels=1,
    multiple=8, network={"width": 32}, weights_sha256="ab", data_sha256=("01", "02"), seed=0, steps=10, threads=1,
    versions={"torch": "2"}, level_edges=(0.01, 1.0), loss=(0.3,), gate=(0.8,), hallucination_window=(0.02, 0.2),
)  # fmt: skip


def checkpoint() -> Checkpoint:
    weights = {"b": torch.tensor([1.5, -2.0]), "a": torch.arange(6.0).reshape(2, 3).t()}
    return Checkpoint(7, weights, {0.05: weights, 0.1: weights}, {"0.exp_avg": torch.ones(2)}, {"loss": 0.25})


def test_a_checkpoint_survives_the_way_through_bytes():
    back = unpack(pack(checkpoint()))
    assert (back.step, back.card, set(back.averages)) == (7, {"loss": 0.25}, {0.05, 0.1})
    assert all(torch.equal(back.model[name], value) for name, value in checkpoint().model.items())
    assert torch.equal(back.optimizer["0.exp_avg"], torch.ones(2))


def test_equal_checkpoints_have_equal_bytes_and_nothing_is_pickled():
    first, second = pack(checkpoint()), pack(checkpoint())
    assert first == second
    assert set(first) == {
        "model.safetensors",
        "ema-0.05.safetensors",
        "ema-0.1.safetensors",
        "optimizer.safetensors",
        "card.json",
    }


def test_missing_and_damaged_files_are_named():
    files = pack(checkpoint())
    with pytest.raises(DataError, match=r"no optimizer\.safetensors among card"):
        unpack({name: content for name, content in files.items() if name != "optimizer.safetensors"})
    with pytest.raises(DataError, match=r"model\.safetensors is damaged"):
        unpack({**files, "model.safetensors": files["model.safetensors"][:40]})
    with pytest.raises(DataError, match=r"card\.json is damaged"):
        unpack({**files, "card.json": b"{"})


def test_hashes_change_with_one_value_and_with_one_setting():
    weights = {"a": torch.zeros(3)}
    assert weights_hash(weights) == weights_hash({"a": torch.zeros(3)})
    assert weights_hash(weights) != weights_hash({"a": torch.tensor([0.0, 0.0, 1e-30])})
    assert settings_hash({"x": 1, "y": 2}) == settings_hash({"y": 2, "x": 1}) != settings_hash({"x": 1, "y": 3})


def test_weights_of_another_network_are_refused_with_the_first_difference():
    with pytest.raises(DataError, match=r"another network: .* first embedding.first.bias: found \(64,\), expected \(32,\)"):
        load_weights(MLP(3, width=32), MLP(3, width=64).state_dict())


def test_a_card_survives_the_way_through_json():
    assert read_card(card_text(CARD)) == CARD


def test_a_card_with_unknown_or_missing_keys_is_refused():
    with pytest.raises(DataError, match=r"missing keys .*'sd'.* unknown keys \['colour'\]"):
        read_card('{"colour": 1}')
    with pytest.raises(DataError, match="not JSON"):
        read_card("{")


def test_a_prior_is_not_used_for_values_it_does_not_know():
    check_window(CARD, (-1000, 400), "HU")
    with pytest.raises(DataError, match=r"trained on \[-1000, 400\] HU, the study asks \[-160, 240\] HU"):
        check_window(CARD, (-160, 240), "HU")


def test_a_prior_survives_the_way_through_files_and_carries_its_limits():
    weights = {"a": torch.arange(3.0)}
    card = replace(CARD, weights_sha256=weights_hash(weights))
    back, found = unpack_prior(pack_prior(card, weights))
    assert back == card
    assert torch.equal(found["a"], weights["a"])
    assert card.limits == Limits(sigma_min=0.004, sigma_max=38.2, data_std=0.5, multiple=8)


def test_a_prior_with_other_weights_or_without_a_card_is_refused():
    weights = {"a": torch.arange(3.0)}
    card = replace(CARD, weights_sha256=weights_hash(weights))
    files = pack_prior(card, weights)
    with pytest.raises(DataError, match=r"weights of prior ct-32 have SHA-256 .*, its card says"):
        unpack_prior({**files, "model.safetensors": pack(Checkpoint(1, {"a": torch.ones(3)}, {}, {}))["model.safetensors"]})
    with pytest.raises(DataError, match=r"prior has no card\.json"):
        unpack_prior({"model.safetensors": files["model.safetensors"]})
    with pytest.raises(DataError, match="its card says"):
        pack_prior(CARD, weights)
