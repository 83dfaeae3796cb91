"""All five pipelines through a real Slurm: killed in the middle, equal in the end, one broken study apart."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from medidiff import plan
from medidiff.config import read_config

pytestmark = [pytest.mark.slurm, pytest.mark.xdist_group("slurm")]  # they share one cluster

ROOT = Path(__file__).parents[3]
STUDIES = ("PATIENT", "CHEST", "BTEX", "HAZE", "BURGERS")
RULES = "phantom convert truth segment segment_by_network maps export evaluate simulate reconstruct compare series"
RULES += " chromatograph dehaze cine score trajectories operate super_resolve control page"
GROUPS = [f"{rule}=study" for rule in RULES.split()]  # a study is one Slurm job, since each job starts Python three times


def on_slurm(run, cluster, *more: str, **options) -> subprocess.Popen:
    command = [sys.executable, "-m", "medidiff", "run", "run.yaml", "--on", "slurm-local", "--", *more]
    command += ["--groups", *GROUPS]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command, cwd=run.folder, env=cluster, **pipes, **options)


def jobs_left(folder, cluster) -> list[str]:
    """Jobs that Slurm has of a run in this folder."""
    command = ["squeue", "-h", "-t", "R,PD,CG", "-o", "%i %Z"]
    listed = subprocess.run(command, env=cluster, capture_output=True, text=True, check=True).stdout
    return [job for job, _, where in (line.partition(" ") for line in listed.splitlines()) if where == str(folder)]


@pytest.fixture(scope="module")
def through_slurm(pipelines, cluster, misbehaving):
    """The run, and what was said: by a call beside orphans, and by the one that went on.

    The main process is killed while its jobs are with Slurm, which goes on running them; once they have ended a second call
    makes the rest.
    """
    run = pipelines()
    first = on_slurm(run, cluster, start_new_session=True)
    while not list((run.folder / "logs").rglob("*.jsonl")):  # the first step has begun
        assert first.poll() is None, first.communicate()[0][-4000:]
        time.sleep(0.2)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    refused = on_slurm(run, cluster)
    said = refused.communicate()[0]
    while jobs_left(run.folder, cluster):
        time.sleep(0.5)
    second = on_slurm(run, cluster)
    return run, said, second.communicate()[0], second.returncode


def test_every_step_of_the_demo_is_taken_through_slurm(through_slurm, monkeypatch):
    run, *_ = through_slurm
    monkeypatch.chdir(ROOT)
    demo = read_config("configs/demo.yaml")
    steps = {job.step for job in plan.jobs(demo, plan.studies_of(demo))}
    assert steps <= {path.name for path in (run.folder / "logs").iterdir()}
    assert (run.folder / "logs" / "segment" / "PATIENT_diffusion.log").is_file()


def test_results_of_a_run_through_slurm_that_was_killed_equal_those_of_this_machine(through_slurm, local, fingerprints):
    run, _, text, _ = through_slurm
    for study in STUDIES:
        expected = fingerprints(local, study)
        assert len(expected) >= 4
        assert fingerprints(run, study) == expected, f"{study}: {text[-4000:]}"


def test_nothing_half_written_is_left(through_slurm):
    assert not list((through_slurm[0].folder / "results").rglob(".tmp.*"))


def test_a_call_beside_orphans_of_a_killed_one_says_who_is_running(through_slurm):
    assert "already running in this folder (process" in through_slurm[1]


def test_a_broken_study_fails_alone_shows_in_the_exit_status_and_has_a_page(through_slurm):
    run, _, text, status = through_slurm
    assert status == 1, text[-4000:]
    assert not (run.folder / "results" / "BROKEN").exists()
    assert "cut.nii.gz" in (run.folder / "results" / "report" / "BROKEN.html").read_text()


def test_why_names_the_slurm_job_of_a_step(through_slurm):
    assert "Slurm job" in through_slurm[0].medidiff("why", "CHEST").stdout
