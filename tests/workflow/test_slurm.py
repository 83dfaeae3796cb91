"""A real two-node Slurm on this machine: equal results, failing studies, retries, time-outs, kills, Dask on its jobs."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slurm, pytest.mark.slow, pytest.mark.xdist_group("run")]  # they share the finished run and one cluster

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "workflow" / "slurm-local.sh"
PROFILE = ROOT / "workflow" / "profiles" / "slurm-local"

TOY = """
rule all:
    input: "out/hungry", "out/slow", expand("out/{c}.infer", c=["a", "b"])
rule hungry:
    output: "out/hungry"
    resources: mem_mb=lambda wc, attempt: 400 if attempt == 1 else 1500, runtime=2
    shell: "python -c 'import time; x = bytearray(700_000_000); time.sleep(12)' && echo {resources.mem_mb} > {output}"
rule slow:
    output: "out/slow"
    resources: mem_mb=400, runtime=lambda wc, attempt: attempt
    shell: "test {resources.runtime} != 1 || sleep 200; echo ok > {output}"
rule infer:
    output: "out/{c}.infer"
    group: "infer"
    resources: mem_mb=400, runtime=2, gpu=1, slurm_partition="gpu"
    shell: "echo $SLURM_JOB_ID $SLURMD_NODENAME $CUDA_VISIBLE_DEVICES > {output}"
rule doomed:
    output: "out/doomed"
    resources: mem_mb=400, runtime=2
    shell: "echo partial > {output}; echo $SLURM_JOB_ID >> attempts; exit 3"
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """The environment of a fresh cluster of two nodes of two cores; node 1 has two stand-ins for GPUs."""
    folder = tmp_path_factory.mktemp("slurm")
    sizes = {"NODES": "2", "CPUS": "2", "MEM_MB": "9000", "GPUS": "2", "PORT": "16917"}
    started = subprocess.run([SCRIPT, "start", folder], env=os.environ | sizes, capture_output=True, text=True)
    assert started.returncode == 0, started.stdout + started.stderr
    path = f"{folder}/bin:{Path(sys.executable).parent}:{os.environ['PATH']}"
    yield os.environ | {"SLURM_CONF": f"{folder}/slurm.conf", "PATH": path}
    subprocess.run([SCRIPT, "stop", folder], capture_output=True)


@pytest.fixture
def table_run(finished, make_run):
    """A run on the DICOM folders of the finished one, named A-x and B-x."""

    def make(*studies: str):
        run = make_run(A={"seed": 1})
        for study in studies:
            shutil.copytree(finished.folder / "results" / study / "phantom", run.folder / "studies" / study)
        rows = "".join(f"{study}-x\tpetct\t{study}\tRTSTRUCT\n" for study in studies)
        (run.folder / "studies" / "studies.tsv").write_text("study\tkind\tpath\ttruth\n" + rows)
        run.config["studies"] = {"table": "studies/studies.tsv"}
        run.write()
        return run

    return make


def volumes(run, study: str) -> dict[str, str]:
    """SHA-256 of the volumes and masks of a study by their path inside its folder."""
    folder = f"results/{study}/"
    return {
        name.removeprefix(folder): content
        for name, content in run.results().items()
        if name.startswith(folder) and name.endswith(".nii.gz")
    }


def on_slurm(run, cluster, **options) -> subprocess.Popen:
    command = [sys.executable, "-m", "medidiff", "run", "run.yaml", "--on", "slurm-local"]
    return subprocess.Popen(
        command, cwd=run.folder, env=cluster, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options
    )


def jobs_left(cluster) -> list[str]:
    listed = subprocess.run(["squeue", "-h", "-t", "R,PD", "-o", "%i"], env=cluster, capture_output=True, text=True, check=True)
    return listed.stdout.split()


def test_results_through_slurm_equal_those_of_this_machine_and_a_broken_study_fails_alone(finished, cluster, table_run):
    run = table_run("A", "B")
    sorted((run.folder / "studies" / "B" / "CT").iterdir())[5].unlink()
    process = on_slurm(run, cluster)
    text, _ = process.communicate(timeout=500)
    assert process.returncode != 0, "a study that cannot be read must show in the exit status"
    assert volumes(run, "A-x") == volumes(finished, "A") != {}, text[-4000:]
    assert not (run.folder / "results" / "B-x" / "convert").exists()
    assert "Slurm job" in run.medidiff("why", "A-x").stdout
    assert "missing" in (run.folder / "results" / "report" / "B-x.html").read_text()


def test_a_killed_run_goes_on_to_equal_results_and_leaves_nothing_half_written(finished, cluster, table_run):
    run = table_run("A")
    first = on_slurm(run, cluster, start_new_session=True)
    deadline = time.monotonic() + 120
    while not jobs_left(cluster) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert first.poll() is None and jobs_left(cluster)  # it is killed while its jobs are with Slurm
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    while jobs_left(
        cluster
    ):  # what Slurm runs already is not the killed process's: a second call would refuse to start beside it
        assert time.monotonic() < deadline + 120, "the jobs of the killed run do not end"
        time.sleep(0.5)
    second = on_slurm(run, cluster)
    text, _ = second.communicate(timeout=500)
    assert second.returncode == 0, text[-4000:]
    assert volumes(run, "A-x") == volumes(finished, "A")
    assert not list((run.folder / "results").rglob(".tmp.*"))


@pytest.fixture(scope="module")
def toy(cluster, tmp_path_factory):
    """A run of jobs that misbehave, with the profile of this project."""
    folder = tmp_path_factory.mktemp("toy")
    (folder / "Snakefile").write_text(TOY)
    command = [sys.executable, "-m", "snakemake", "all", "doomed", "--workflow-profile", PROFILE, "--group-components", "infer=2"]
    done = subprocess.run(command, cwd=folder, env=cluster, capture_output=True, text=True, timeout=500)
    return folder, done


def test_a_job_killed_for_memory_comes_back_with_more(toy):
    folder, done = toy
    assert (folder / "out" / "hungry").read_text() == "1500\n", done.stderr[-3000:]


def test_a_job_out_of_time_comes_back_with_more(toy):
    folder, done = toy
    assert "TIMEOUT" in done.stderr and (folder / "out" / "slow").read_text() == "ok\n"


def test_a_doomed_job_is_tried_three_times_as_a_job_of_its_own_and_shows_in_the_exit_status(toy):
    folder, done = toy
    assert done.returncode != 0 and len(set((folder / "attempts").read_text().split())) == 3


def test_grouped_jobs_share_one_slurm_job_on_the_node_with_the_devices(toy):
    folder, _ = toy
    said = [path.read_text().split() for path in sorted((folder / "out").glob("*.infer"))]
    assert len(said) == 2 and said[0][0] == said[1][0] and {node for _, node, _ in said} == {"n1"}


def test_dask_workers_run_as_slurm_jobs(cluster, tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "import os, sys\n"
        "from dask.distributed import Client\n"
        "from dask_jobqueue import SLURMCluster\n"
        "def where(x): return os.environ['SLURMD_NODENAME'], x * x\n"
        "if __name__ == '__main__':\n"
        "    with SLURMCluster(cores=1, processes=1, memory='500MB', walltime='00:05:00', queue='cpu', interface='lo',\n"
        "                      log_directory='logs', scheduler_options={'dashboard_address': None}, python=sys.executable,\n"
        "                      local_directory='dask') as cluster, Client(cluster) as client:\n"
        "        cluster.scale(jobs=2); client.wait_for_workers(2, timeout=90)\n"
        "        told = client.gather(client.map(where, range(20), pure=False))\n"
        "        assert [square for _, square in told] == [x * x for x in range(20)], told\n"
        "        assert {node for node, _ in told} <= {'n1', 'n2'}, told\n"
    )
    done = subprocess.run([sys.executable, program], cwd=tmp_path, env=cluster, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-3000:]
