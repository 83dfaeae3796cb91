"""Models as files: what belongs together comes back, what does not is refused."""

import json

import pytest
import torch

from medidiff.dehazing.model import CONDITIONS, assemble_model, assemble_priors, pack_model
from medidiff.errors import DataError


@pytest.mark.parametrize("kind", sorted(CONDITIONS))
def test_a_model_comes_back_from_its_files(kind, small):
    model, network = small(kind)
    files = pack_model(model.card, network.state_dict())
    assert files == pack_model(model.card, network.state_dict())
    back = assemble_model(files, kind=kind)
    assert (back.card.name, back.card.sd, back.card.gate) == (model.card.name, model.card.sd, model.card.gate)
    u, sigma = torch.randn(2, 2, 8, 8), torch.tensor([0.3, 0.1], dtype=torch.float64)
    condition = {"condition": torch.randn(2, CONDITIONS[kind], 8, 8)}
    if kind == "joint":
        condition["label"] = torch.tensor([0, 1])
    torch.testing.assert_close(back.denoiser(u, sigma, **condition), model.denoiser(u, sigma, **condition))


def test_priors_hold_the_models_that_were_given(small):
    model, network = small("regress")
    priors = assemble_priors({"regress": pack_model(model.card, network.state_dict())})
    assert priors.regress.card.name == "small-regress"
    assert priors.joint is None


def test_a_model_of_another_kind_is_refused(small):
    model, network = small("regress")
    with pytest.raises(DataError, match=r"is of kind 'regress', dehaze.joint needs 'joint'"):
        assemble_model(pack_model(model.card, network.state_dict()), kind="joint")


def test_weights_of_another_model_are_refused(small):
    model, network = small("regress")
    files = pack_model(model.card, {name: value + 1 for name, value in network.state_dict().items()})
    with pytest.raises(DataError, match="weights of small-regress have SHA-256"):
        assemble_model(files, kind="regress")


def test_a_card_of_another_version_is_refused(small):
    model, network = small("regress")
    files = pack_model(model.card, network.state_dict())
    card = json.loads(files["card.json"])
    del card["mu"]
    card["nu"] = 1
    with pytest.raises(DataError, match=r"missing keys \['mu'\], unknown keys \['nu'\]"):
        assemble_model(files | {"card.json": json.dumps(card).encode()}, kind="regress")


def test_a_network_that_takes_other_conditions_is_refused(small):
    model, network = small("joint")
    card = json.loads(pack_model(model.card, network.state_dict())["card.json"])
    card["network"]["condition"] = 2
    files = pack_model(model.card, network.state_dict()) | {"card.json": json.dumps(card).encode()}
    with pytest.raises(DataError, match="expected 2 channels, 1 conditions and 2 classes, its network has 2, 2 and 2"):
        assemble_model(files, kind="joint")
