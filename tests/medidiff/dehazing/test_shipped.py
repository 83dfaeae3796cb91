"""The models that are shipped, on frames that none of them was trained on."""

from pathlib import Path

import pytest

from medidiff.dehazing.gate import check_gate
from medidiff.dehazing.model import assemble_priors
from medidiff.dehazing.task import dehaze
from medidiff.io.prior_files import read_prior
from medidiff.metrics.dehazing_truth import nmse_db
from medidiff.phantoms.echo import draw_echo

MODELS = Path(__file__).parents[3] / "models"


@pytest.fixture(scope="module")
def priors():
    folders = {"joint": "echo-priors", "regress": "echo-regress"}
    return assemble_priors({kind: read_prior(MODELS / name) for kind, name in folders.items()})


def test_regression_lowers_the_error_of_unseen_frames(priors):
    echo = draw_echo(20_000, htr_db=-10.0)
    found = dehaze(echo.y, echo.grid, method="regress", priors=priors)
    before, after = (nmse_db(values.numpy(), echo.x.numpy()) for values in (echo.y, found.tissue))
    assert after < before - 2.5
    assert found.diagnostics["warnings"] == []


def test_cards_tell_of_training_and_test_seeds_are_not_among_them(priors):
    for model in (priors.joint, priors.regress):
        last = model.card.training["first_seed"] + model.card.training["echoes"] - 1
        assert last < 10_000
        assert model.card.steps > 1000


def test_shipped_priors_passed_their_gate(priors):
    check_gate(priors.joint.card.name, priors.joint.card.gate)
