import json

import numpy as np
import pytest

from medidiff.io.pde.predictions import Predictions, read_predictions, write_predictions
from medidiff.report.page import write_study_page

FACTS = {"fields": ["velocity"], "units": {}, "system": "burgers", "duration_s": 2.0, "start": 0.0, "length": 1.0}
SCORES = {"operator": {"relative_l2": 0.05}, "solver, 16 cells": {"relative_l2": 0.02}}


def _record(folder, step, numbers, **run):
    content = {"task": step, "method": "", "result": {"numbers": numbers, "warnings": []}, "run": run, "settings": {}}
    (folder / step).mkdir(parents=True)
    (folder / step / f"{step}.json").write_text(json.dumps({**content, "inputs": [], "versions": {}}))


@pytest.fixture
def results(tmp_path):
    draw = np.random.default_rng(1).normal(size=(3, 1, 8, 16)).astype(np.float32)
    arrays = {"truth": draw, "operator": draw + 0.1, "solver, 16 cells": draw + 0.01, "spread": 0 * draw + 0.2}
    folder = tmp_path / "results" / "B-1"
    return tmp_path, folder, Predictions(arrays, FACTS)


def _page(root):
    return write_study_page(root / "results", root / "logs", "B-1", root / "report" / "B-1.html").read_text()


@pytest.mark.parametrize(
    ("took", "verdict"), [(0.001, "do not use this operator here"), (0.1, "No classical run on these grids")]
)
def test_the_page_says_whether_the_classical_solver_is_better(results, took, verdict):
    root, folder, predictions = results
    seconds = {"operator": 0.01, "solver, 16 cells": took}
    _record(folder, "operate", {"methods": SCORES, "system": "burgers"}, seconds_per_trajectory=seconds)
    write_predictions(predictions, folder / "operate" / "predictions.h5")
    page = _page(root)
    assert verdict in page
    assert all((root / "report" / f"B-1.{kind}.png").is_file() for kind in ("spacetime", "errors", "cost"))


def test_of_two_axes_of_space_the_last_frame_is_drawn(results):
    root, folder, predictions = results
    plane = {name: np.repeat(values[..., None], 12, -1) for name, values in predictions.arrays.items()}
    _record(folder, "operate", {"methods": SCORES, "system": "smoke"})
    write_predictions(Predictions(plane, FACTS), folder / "operate" / "predictions.h5")
    assert "B-1.spacetime.png" in _page(root) and (root / "report" / "B-1.errors.png").is_file()


def test_a_page_without_predictions_or_with_a_damaged_file_is_written_all_the_same(results):
    root, folder, _ = results
    _record(folder, "operate", {"methods": SCORES, "system": "burgers"})
    (folder / "operate" / "predictions.h5").write_bytes(b"no")
    page = _page(root)
    assert "operate/predictions.h5: not readable as HDF5" in page
    assert "0.0200" in page


def test_control_is_told_with_what_the_solver_says_of_it(results):
    root, folder, _ = results
    objective = {"none": 0.7, "operator": 0.2, "adjoint optimum": 0.1}
    _record(folder, "control", {"objective": objective, "predicted": 0.05, "energy_weight": 0.01})
    line = np.ones((2, 1, 16), np.float32)
    arrays = {"target": line, "initial": line, "reached": line, "no force": line}
    arrays |= {name: np.ones((2, 1, 8, 16), np.float32) for name in ("force", "optimal force")}
    write_predictions(Predictions(arrays, FACTS), folder / "control" / "predictions.h5")
    assert "the solver finds 0.200 for the operator" in _page(root)
    assert (root / "report" / "B-1.control.png").is_file()


def test_predictions_come_back_in_their_order(results, tmp_path):
    predictions = results[2]
    write_predictions(predictions, tmp_path / "p.h5")
    found = read_predictions(tmp_path / "p.h5")
    assert list(found.arrays) == list(predictions.arrays)
    assert all(np.array_equal(found.arrays[name], values) for name, values in predictions.arrays.items())
    assert found.facts == FACTS
