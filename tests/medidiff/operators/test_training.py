import pytest
import torch

from medidiff.diffusion.noise import Noise
from medidiff.operators.encoding import measure
from medidiff.operators.layout import OperatorLayout
from medidiff.operators.training import Sets, prepare_part
from medidiff.operators.training_settings import OperatorTraining
from tests.medidiff.operators.examples import SIZE, solved

SYSTEM = {"system": "burgers", "cells": 16, "frames": 8, "solver_cells": 16, "solver_frames": 8}
STAGES = [{"part": part, "steps": 100} for part in ("regression", "residual", "direct", "refiner")]


def test_every_stage_begins_at_the_loss_of_a_network_that_knows_nothing():
    settings = OperatorTraining(system=SYSTEM, stages=STAGES, network={**SIZE})
    example = solved(32)
    sets = Sets(example, solved(16, seed=1), solved(16, seed=2))
    encoding, networks, losses = measure(OperatorLayout(("u",)), ("f",), example), {}, {}
    for stage in settings.stages:
        prepared = prepare_part(settings, stage, sets, encoding, networks)
        batch = prepared.data[torch.arange(16)]
        losses[stage.part] = float(prepared.objective(batch, prepared.adapter(prepared.network), Noise(0)).detach())
        networks[stage.part] = prepared.network.eval()
    power = float(encoding.state(example.states[:16]).square().mean())
    assert abs(losses["regression"] - power) < 1e-5 and abs(losses["refiner"] - 1) < 1e-5
    assert all(0.2 < losses[part] < 5 for part in ("residual", "direct"))
    assert len(prepared.held_out["states"]) == 16


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        (["residual", "regression"], "residual comes after regression"),
        (["regression"], "form residual needs residual"),
        (["regression", "residual", "residual"], "each part may be there once"),
    ],
)
def test_stages_that_cannot_follow_each_other_are_refused(stages, message):
    with pytest.raises(ValueError, match=message):
        OperatorTraining(system=SYSTEM, stages=[{"part": part} for part in stages])
