"""Models of echoes: what they are trained on, and a whole run from settings to files that dehaze."""

import pytest
import torch
from pydantic import ValidationError

from medidiff.dehazing.domain import MuLaw, channels, signal
from medidiff.dehazing.model import assemble_priors
from medidiff.dehazing.task import dehaze
from medidiff.dehazing.training_settings import EchoFile
from medidiff.phantoms.echo import draw_echo
from medidiff.training.echo import mixtures, pack_echo, prepare_echo
from medidiff.training.run import run_training
from medidiff.training.settings import read_training

SMALL = {"echoes": 3, "validation_echoes": 2, "frame": (64, 32), "crop": (32, 16), "steps": 4, "warmup": 1}
NETWORK = {"width": 8, "multipliers": (1, 2)}


def file_of(kind, **changes):
    echo = SMALL | {"kind": kind, "network": NETWORK} | changes
    return EchoFile.model_validate({"name": f"echo-{kind}", "title": "Echoes of a test", "not_for": "Anything.", "echo": echo})


def items_of(kind, seed=1, **changes):
    data, _ = mixtures(file_of(kind, **changes).echo, range(3))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return data[torch.tensor([0, 1, 2, 0])]


@pytest.mark.parametrize("kind", ["joint", "regress", "conditional"])
def test_a_run_ends_in_files_that_dehaze(kind, tmp_path):
    file = file_of(kind)
    prepared = prepare_echo(file)
    files = pack_echo(file, prepared, run_training(prepared.run, tmp_path), history="One run.")
    priors = assemble_priors({kind: files})
    card = getattr(priors, kind).card
    assert (card.steps, card.split["train"]) == (4, ["seeds 0 to 2"])
    assert set(card.gate) == ({"tissue", "haze"} if kind == "joint" else set())
    assert "One run." in files["README.md"].decode()
    if kind == "regress":
        echo = draw_echo(20_000, shape=(64, 32))
        found = dehaze(echo.y, echo.grid, method=kind, priors=priors)
        assert found.diagnostics["model"] == "echo-regress"


def test_a_network_that_knows_nothing_has_a_loss_of_one():
    run = prepare_echo(file_of("joint")).run
    assert run.score(run.adapter(run.network)) == pytest.approx(1.0, abs=0.2)


def test_a_mixture_is_the_sum_of_tissue_and_haze_within_full_scale():
    regress = items_of("regress")
    measured, tissue = (MuLaw().expand(signal(regress[name])) for name in ("measured", "x0"))
    joint = items_of("joint")  # the same random numbers: tissue in items 0 and 2, haze in 1 and 3
    assert joint["label"].tolist() == [0, 1, 0, 1]
    parts = MuLaw().expand(signal(joint["x0"]))
    torch.testing.assert_close(parts[[0, 2]], tissue[[0, 2]], rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(parts[[1, 3]], (measured - tissue)[[1, 3]], rtol=1e-2, atol=1e-4)
    assert float(measured.abs().max()) <= 1


def test_conditional_models_see_the_mixture_and_then_the_depth():
    conditional, regress = items_of("conditional"), items_of("regress")
    assert torch.equal(conditional["condition"], torch.cat([regress["measured"], regress["condition"]], dim=1))
    depth = conditional["condition"][:, 2]
    assert bool((depth[:, 1:] > depth[:, :-1]).all())


def test_mixtures_have_the_haze_that_was_asked_for():
    quiet, loud = (items_of("regress", htr_db=(level, level)) for level in (-40.0, 0.0))
    change = lambda items: float((items["measured"] - items["x0"]).square().mean())
    assert change(loud) > 20 * change(quiet)


def test_weak_structures_are_in_the_ventricles_of_the_asked_share_of_echoes():
    whole = {"frame": (256, 128), "target_db": (-20.0, -20.0)}
    plain, shown = (mixtures(file_of("regress", **whole, targets=share).echo, range(2))[0] for share in (0.0, 1.0))
    added = shown.tissue - plain.tissue
    ventricle = torch.cat([draw_echo(seed).labels for seed in range(2)]) == 2
    assert bool((added.abs().amax((1, 2)) > 0.05).all())
    inside = float(added[ventricle].abs().square().sum() / added.abs().square().sum())
    assert inside > 0.99
    assert torch.equal(shown.haze, plain.haze)


def test_channels_are_in_phase_and_quadrature():
    one = torch.tensor([[[3 + 4j]]])
    assert channels(one).flatten().tolist() == [3, 4]
    assert torch.equal(signal(channels(one)), one)


def test_crops_must_fit_network_and_frame():
    with pytest.raises(ValidationError, match="expected multiples of 4"):
        file_of("joint", crop=(30, 16))
    with pytest.raises(ValidationError, match="expected at most the frame"):
        file_of("joint", crop=(128, 16))


@pytest.mark.parametrize("name", ["echo-priors", "echo-priors-long", "echo-regress", "echo-regress-targets", "echo-conditional"])
def test_shipped_settings_are_valid(name):
    assert read_training(f"configs/priors/{name}.yaml").name == name
