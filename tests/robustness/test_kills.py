"""SIGKILL at random moments of a run: nothing unreadable under a final name, no orphan that writes, equal results at the end."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.robustness.wholeness import unreadable
from tests.workflow.conftest import SMALL, Run

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("kills")]

# patients, a scan and an ultrasound clip: DICOM, NIfTI, HDF5, JSON and pages, in a minute of an idle machine
CONFIG = {
    "title": "Kills",
    "device": "cpu",
    "convert": {"roi": "GTV*"},
    "studies": {
        "phantoms": {"A": SMALL | {"seed": 1}, "B": SMALL | {"seed": 2, "vendor": "philips-cnts"}},
        "scans": {"C": {"seed": 8, "matrix": 32, "pixel_mm": 12.0, "slices": 4, "slice_mm": 12.0, "ct": {"views": 12}}},
        "echoes": {"D": {"seed": 5, "frames": 1}},
    },
    "segment": {"methods": ["suv2.5", "watershed"]},
    "reconstruct": {"ct": {"methods": ["fbp"]}},
    "dehaze": {"signal": {"methods": ["wiener"]}},
    "pathvars": {"results": "results", "logs": "logs", "benchmarks": "benchmarks"},
}
ORPHANS_S = 20  # within which the steps of a killed run must have ended


def working_in(folder: Path) -> list[int]:
    """Processes whose present folder is this one."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdigit() and os.readlink(process / "cwd") == str(folder):
                found.append(int(process.name))
        except OSError:
            continue
    return found


def wait_for_orphans(folder: Path) -> list[int]:
    """The processes of a killed run that have not ended in time; they are ended then, so that none outlives the test."""
    until = time.monotonic() + ORPHANS_S
    while (left := working_in(folder)) and time.monotonic() < until:
        time.sleep(0.2)
    for process in left:
        os.kill(process, signal.SIGKILL)
    return left


def kill(process: subprocess.Popen, *, whole_group: bool) -> None:
    (os.killpg if whole_group else os.kill)(process.pid, signal.SIGKILL)
    process.wait()


def start(run: Run) -> subprocess.Popen:
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(run.command(), cwd=run.folder, env=environment, start_new_session=True, **silent)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> tuple[Run, float]:
    """A finished run, and how long it took."""
    run = Run(tmp_path_factory.mktemp("undisturbed"), CONFIG)
    begun = time.monotonic()
    status, text = run.run()
    assert status == 0, text[-4000:]
    return run, time.monotonic() - begun


@pytest.mark.parametrize("kills", [5, 100])
def test_a_run_that_is_killed_again_and_again_comes_to_the_same_results(undisturbed, tmp_path, kills):
    reference, seconds = undisturbed
    chance, run, done, faults = random.Random(kills), Run(tmp_path / "run", CONFIG), 0, []
    while done < kills:
        process = start(run)
        try:
            process.wait(timeout=chance.uniform(0.05, 0.7) * seconds)
        except subprocess.TimeoutExpired:
            kill(process, whole_group=bool(done % 2))
            done += 1
            faults += [f"kill {done}: {process} writes on" for process in wait_for_orphans(run.folder)]
            faults += [f"kill {done}: {fault}" for fault in unreadable(run.folder)]
            continue
        assert run.results() == reference.results()  # it came to its end between two kills: begin again
        shutil.rmtree(run.folder)
        run = Run(tmp_path / "run", CONFIG)
    status, text = run.run()
    assert status == 0, text[-4000:]
    assert faults == []
    assert run.results() == reference.results()
    assert not list((run.folder / "results").rglob(".tmp.*"))
