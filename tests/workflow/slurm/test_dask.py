"""Workers of a Dask cluster that are Slurm jobs: `medidiff dask`, results equal to those of one process."""

import signal
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.slurm, pytest.mark.xdist_group("slurm")]  # they share one cluster

TRAJECTORIES = '{"system": "advection", "cells": 32, "frames": 4, "solver_cells": 128, "solver_frames": 4, "duration_s": 0.5}'


def test_workers_that_are_slurm_jobs_make_the_bytes_of_one_process_and_end_with_the_command(cluster, tmp_path):
    command = [
        sys.executable,
        "-m",
        "medidiff",
        "dask",
        "--jobs",
        "2",
        "--partition",
        "cpu",
        "--interface",
        "lo",
        "--memory",
        "600MB",
    ]
    scheduler = subprocess.Popen(command, cwd=tmp_path, env=cluster, stdout=subprocess.PIPE, text=True)
    try:
        address = scheduler.stdout.readline().strip()
        assert address.startswith("tcp://")
        for name, where in (("here", []), ("there", ["--dask", address])):
            step = ["trajectories", f"{name}.h5", "--count", "150", "--settings", TRAJECTORIES, *where]
            done = subprocess.run(
                [sys.executable, "-m", "medidiff", *step], cwd=tmp_path, env=cluster, capture_output=True, text=True
            )
            assert done.returncode == 0, done.stderr[-3000:]
        assert (tmp_path / "there.h5").read_bytes() == (tmp_path / "here.h5").read_bytes()
        states = subprocess.run(["squeue", "-h", "-n", "medidiff-dask", "-o", "%T"], env=cluster, capture_output=True, text=True)
        assert "RUNNING" in states.stdout
    finally:
        scheduler.send_signal(signal.SIGINT)
        assert scheduler.wait(timeout=60) == 0
    left = subprocess.run(["squeue", "-h", "-t", "R,PD", "-n", "medidiff-dask"], env=cluster, capture_output=True, text=True)
    assert left.stdout == ""
