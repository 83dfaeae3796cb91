import json

import pytest

from medidiff.operators.evaluation import evaluate
from medidiff.operators.layout import OperatorLayout
from medidiff.operators.model import assemble_operator
from medidiff.operators.problem import Problem
from medidiff.operators.scores import PUBLISHED
from medidiff.operators.settings import OperateSettings
from medidiff.operators.task import simulate, super_resolve
from medidiff.operators.training_settings import OperatorFile
from medidiff.training.operator import train_operator
from medidiff.training.settings import read_training
from medidiff.training.trajectories import operator_sets

SETTINGS = {
    "name": "operator-tiny",
    "title": "A test",
    "not_for": "Anything.",
    "operator": {
        "system": {"system": "advection", "cells": 8, "frames": 4, "solver_cells": 8, "solver_frames": 4, "duration_s": 0.5},
        "layout": {"family": "haar"},
        "data": {"train": 32, "held_back": 16, "validation": 8, "test": 8, "test_refined": 2},
        "network": {"width": 4, "multipliers": [1, 2], "attention": 0},
        "warmup": 1,
        "calibration_members": 2,
        "stages": [{"part": part, "steps": 2, "batch": 4} for part in ("regression", "residual", "refiner")],
    },
}


def test_a_run_of_all_stages_gives_a_model_that_simulates_and_the_same_bytes_again(tmp_path):
    file = OperatorFile.model_validate_json(json.dumps(SETTINGS))
    lines = []
    files = train_operator(file, tmp_path / "one", on_line=lines.append)
    assert {line["part"] for line in lines} == {"regression", "residual", "refiner"}
    model = assemble_operator(files)
    made = operator_sets(file.operator, tmp_path / "one" / "data")
    assert simulate(model, made.sets.validation.problem, members=2).states.shape == (8, 2, 1, 4, 8)
    assert made.test.states.shape == (8, 1, 4, 16) and model.card.parameters["speed"] == [pytest.approx(0.1), 4.0]
    again = train_operator(file, tmp_path / "two")
    assert again["model.safetensors"] == files["model.safetensors"]
    assert model.card.weights_sha256 in files["README.md"].decode()


SMOKE = {"system": "smoke", "cells": 32, "frames": 4, "solver_cells": 32, "solver_frames": 4, "duration_s": 0.1}


def test_smoke_in_two_dimensions_is_learnt_refined_and_scored(tmp_path):
    stages = [{"part": part, "steps": 2, "batch": 2} for part in ("regression", "residual", "refiner")]
    operator = SETTINGS["operator"] | {"system": SMOKE, "layout": {"family": "bior1.3", "axes": "txy"}, "stages": stages}
    operator["data"] = {"train": 8, "held_back": 4, "validation": 4, "test": 2}
    file = OperatorFile.model_validate_json(json.dumps(SETTINGS | {"operator": operator}))
    model = assemble_operator(train_operator(file, tmp_path))
    test = operator_sets(file.operator, tmp_path / "data").test
    assert model.card.cells == (32, 32) and model.encoding.forces == ("f_x", "f_y")
    assert model.encoding.states == 3 * 8 and model.refinement.channels == 3 * 3
    assert 0 < model.card.scores["relative_l2"] < 10
    fine = Problem(
        *(value.repeat_interleave(2, -1).repeat_interleave(2, -2) for value in (test.problem.initial, test.problem.forcing)),
        test.problem.parameters,
    )
    assert super_resolve(model, fine).states.shape == (2, 1, 3, 4, 64, 64)
    found = evaluate(model, test, system=file.operator.system, settings=OperateSettings(members=2))
    assert set(found.arrays) == {"truth", "operator", "ensemble mean", "spread", "solver, 32 cells"}
    assert found.numbers["methods"]["solver, 32 cells"]["relative_l2"] < 1e-3


def test_the_published_recipe_is_learnt_and_drawn_by_its_own_sampler(tmp_path):
    operator = SETTINGS["operator"] | {
        "form": "direct",
        "system": {"system": "burgers", "cells": 12, "frames": 8, "solver_cells": 24, "solver_frames": 8, "duration_s": 0.2},
        "layout": {"padded": [8, 8]},
        "recipe": {"noise": "cosine", "scale": "maximum"},
        "data": {"train": 16, "held_back": 0, "validation": 4, "test": 4},
        "stages": [{"part": part, "steps": 2, "batch": 4} for part in ("direct", "refiner")],
    }
    file = OperatorFile.model_validate_json(json.dumps(SETTINGS | {"operator": operator}))
    model = assemble_operator(train_operator(file, tmp_path))
    assert model.card.noise == "cosine" and len(model.card.encoding["state_scale"]) == 4
    test = operator_sets(file.operator, tmp_path / "data").test
    states = simulate(model, test.problem, members=1, sampler=PUBLISHED).states[:, 0]
    held = model.encoding.state(states) * (1 - 1e-4)
    assert states.shape == (4, 1, 8, 12) and float(held.abs().max()) <= 1  # clipped at the maxima of the training


NAMES = [f"{name}{size}" for name in ("advection", "burgers", "shock", "smoke", "era5") for size in ("", "-paper")]


@pytest.mark.parametrize("name", NAMES)
def test_every_system_has_a_small_and_a_large_configuration_whose_networks_fit_their_grids(pytestconfig, name):
    file = read_training(pytestconfig.rootpath / "configs" / "priors" / f"operator-{name}.yaml")
    assert isinstance(file, OperatorFile) and file.operator.system.system.startswith(name.removesuffix("-paper"))
    system, settings = file.operator.system, file.operator
    layout = OperatorLayout(system.fields, **settings.layout.model_dump(), space="xy"[: len(system.grid)])
    multiple = 2 ** (len(settings.network.multipliers) - 1)
    assert all(size % multiple == 0 for size in layout.grid((system.frames, *system.grid)))
    assert (file.device == "cuda") == name.endswith("-paper")
