import json

import pytest

from medidiff.operators.model import assemble_operator
from medidiff.operators.task import simulate
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


def test_the_files_of_the_shipped_operators_are_read_as_operators(pytestconfig):
    for name in ("burgers", "shock", "advection"):
        file = read_training(pytestconfig.rootpath / "configs" / "priors" / f"operator-{name}.yaml")
        assert isinstance(file, OperatorFile) and file.operator.system.system == name
