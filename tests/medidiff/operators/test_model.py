import json

import pytest
import torch

from medidiff.errors import DataError
from medidiff.operators.model import assemble_operator, pack_operator, read_card
from medidiff.operators.task import simulate
from tests.medidiff.operators.examples import asked, operator


def test_a_packed_operator_simulates_the_same():
    model = operator()
    files = pack_operator(model.card, model.networks)
    again = assemble_operator(files)
    assert files == pack_operator(again.card, again.networks)
    assert again.encoding == model.encoding and again.refinement == model.refinement
    torch.testing.assert_close(simulate(again, asked(), members=2).states, simulate(model, asked(), members=2).states)


def test_weights_of_another_card_are_refused():
    files = pack_operator(operator().card, operator().networks)
    other = pack_operator(operator().card, operator(weights=0.3).networks)
    with pytest.raises(DataError, match="weights of tiny have SHA-256"):
        assemble_operator({**files, "model.safetensors": other["model.safetensors"]})


def test_a_form_without_its_part_is_refused():
    model = operator(parts=["regression"])
    with pytest.raises(DataError, match="tiny: form residual needs the part residual"):
        assemble_operator(pack_operator(model.card, model.networks))


def test_a_card_of_another_version_lists_what_differs():
    card = json.loads(pack_operator(operator().card, operator().networks)["card.json"])
    del card["dt_s"]
    card["colour"] = "red"
    with pytest.raises(DataError, match=r"missing keys \['dt_s'\], unknown keys \['colour'\]"):
        read_card(json.dumps(card).encode())
    with pytest.raises(DataError, match=r"card\.json is not JSON"):
        read_card(b"{")
