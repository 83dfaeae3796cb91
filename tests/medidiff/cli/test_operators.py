import json

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from medidiff.cli.app import app
from medidiff.io.pde.trajectories import read_trajectories

SYSTEM = {"system": "advection", "cells": 32, "frames": 4, "solver_cells": 32, "solver_frames": 4, "duration_s": 0.5}


def call(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def published(tmp_path):
    """A file as PDEBench has it: three waves, of one speed."""
    with h5py.File(tmp_path / "1D_Advection_beta0.4.hdf5", "w") as file:
        file["tensor"] = np.random.default_rng(0).normal(size=(3, 5, 32)).astype(np.float32)
        file["x-coordinate"], file["t-coordinate"] = (np.arange(32) + 0.5) / 32, 0.125 * np.arange(6)
        file.attrs["beta"] = 0.4
    return tmp_path / "1D_Advection_beta0.4.hdf5"


def test_a_file_of_pdebench_becomes_one_of_our_systems_and_goes_back(published, tmp_path):
    done = call("import-trajectories", published, tmp_path / "ours.h5", "--settings", json.dumps(SYSTEM))
    assert done.exit_code == 0, done.output
    found = read_trajectories(tmp_path / "ours.h5")
    assert found.fields == ("tracer",) and found.parameters == ("speed",) and np.allclose(found.theta, 0.4)
    assert found.facts["settings"]["system"] == "advection" and found.units["speed"] == "m/s"
    assert call("export-trajectories", tmp_path / "ours.h5", tmp_path / "theirs.hdf5").exit_code == 0
    with h5py.File(tmp_path / "theirs.hdf5") as mine, h5py.File(published) as theirs:
        assert np.array_equal(mine["tensor"], theirs["tensor"]) and mine.attrs["beta"] == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cells": 16}, "found (1, 4, 32) fields, frames and cells in 0.5 s, expected (1, 4, 16)"),
        ({"duration_s": 2.0}, "expected (1, 4, 32) in 2 s of advection"),
        ({"system": "burgers"}, "found no forces, burgers has them"),
    ],
)
def test_files_of_another_system_are_refused(published, tmp_path, changes, message):
    done = call("import-trajectories", published, tmp_path / "ours.h5", "--settings", json.dumps(SYSTEM | changes))
    assert done.exit_code == 3 and message in " ".join(done.output.split())
    assert not (tmp_path / "ours.h5").exists()


def test_without_settings_they_are_kept_as_they_are_and_no_operator_takes_them(published, tmp_path):
    assert call("import-trajectories", published, tmp_path / "ours.h5").exit_code == 0
    assert read_trajectories(tmp_path / "ours.h5").fields == ("value",)
    done = call("operate", tmp_path / "ours.h5", tmp_path / "p.h5")
    assert done.exit_code == 3 and "of no system of ours" in " ".join(done.output.split())
    done = call("import-trajectories", published, tmp_path / "x.h5", "--layout", "fits")
    assert done.exit_code == 2 and "expected pdebench or well" in " ".join(done.output.split())
