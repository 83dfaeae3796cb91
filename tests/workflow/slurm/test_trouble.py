"""Jobs that misbehave on a real Slurm: too hungry, too slow, cancelled, doomed; groups and devices; no network at all."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slurm, pytest.mark.xdist_group("slurm")]  # they share one cluster

HERE = Path(__file__).parent
SCRIPT = HERE.parents[2] / "workflow" / "slurm-local.sh"
PROFILE = SCRIPT.parent / "profiles" / "slurm-local"


@pytest.fixture(scope="module")
def toy(misbehaving):
    """The folder of the run of jobs that misbehave, and what it said; it ran beside the pipelines."""
    misbehaving.wait()
    folder = misbehaving.folder
    return folder, (folder / "said").read_text(), misbehaving.returncode


def test_a_job_killed_for_memory_comes_back_with_more(toy):
    folder, said, _ = toy
    assert (folder / "out" / "hungry").read_text() == "1500\n", said[-3000:]


def test_a_job_out_of_time_comes_back_with_more(toy):
    folder, said, _ = toy
    assert "TIMEOUT" in said and (folder / "out" / "slow").read_text() == "ok\n"


def test_a_cancelled_job_comes_back_as_another(toy):
    folder, said, _ = toy
    assert len(set((folder / "cancelled").read_text().split())) == 2 and (folder / "out" / "cancelled").is_file(), said[-3000:]


def test_a_doomed_job_is_tried_three_times_as_a_job_of_its_own_and_shows_in_the_exit_status(toy):
    folder, _, status = toy
    assert status != 0 and len(set((folder / "attempts").read_text().split())) == 3


def test_grouped_jobs_share_one_slurm_job_on_the_node_with_the_devices(toy):
    folder, *_ = toy
    said = [path.read_text().split() for path in sorted((folder / "out").glob("*.infer"))]
    assert len(said) == 2 and said[0][0] == said[1][0] and {node for _, node, _ in said} == {"n1"}


def test_devices_of_a_node_are_given_to_one_job_at_a_time(cluster):
    two, one = (["srun", "--mem=100", f"--gpus={count}"] for count in (2, 1))
    script = "echo $CUDA_VISIBLE_DEVICES; sleep 300"
    holder = subprocess.Popen([*two, "sh", "-c", script], env=cluster, stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "0,1\n"
    ask = ["printenv", "CUDA_VISIBLE_DEVICES"]
    assert subprocess.run([*one, "--immediate=3", *ask], env=cluster, capture_output=True).returncode != 0
    holder.terminate()
    holder.wait()
    assert subprocess.run([*one, *ask], env=cluster, capture_output=True, text=True).stdout == "0\n"


def test_a_second_cluster_runs_beside_the_first_and_ends_when_its_owner_is_killed(cluster):
    folder = tempfile.mkdtemp(prefix="medidiff-slurm-")
    owner = subprocess.Popen(["sleep", "600"])
    with open(f"{folder}/start.log", "w") as said:
        environment = os.environ | {"OWNER": str(owner.pid)}
        assert subprocess.run([SCRIPT, "start", folder], env=environment, stdout=said, stderr=said).returncode == 0
    second = os.environ | {"SLURM_CONF": f"{folder}/slurm.conf", "PATH": f"{folder}/bin:{os.environ['PATH']}"}
    hold = ["sbatch", "--output=/dev/null", "--wrap", "trap '' TERM; sleep 300"]  # a job that does not listen
    assert subprocess.run(hold, env=second, capture_output=True).returncode == 0
    owner.kill()
    owner.wait()
    while processes_of(folder):
        time.sleep(0.5)
    assert subprocess.run(["sinfo", "-h"], env=cluster, capture_output=True).returncode == 0
    shutil.rmtree(folder)


def processes_of(folder: str) -> list[str]:
    """Processes that were started with this folder in their environment: daemons and jobs of its cluster."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if f"{folder}/".encode() in (path / "environ").read_bytes():
                found.append(path.name)
        except OSError:
            continue
    return found


def can_leave_the_network() -> bool:
    return (
        os.geteuid() == 0
        and shutil.which("ip") is not None
        and subprocess.run(["unshare", "-n", "true"], capture_output=True).returncode == 0
    )


@pytest.mark.skipif(not can_leave_the_network(), reason="a network namespace needs root: unshare -n")
def test_jobs_run_with_networking_off():
    folder = tempfile.mkdtemp(prefix="medidiff-offline-")
    shutil.copy(HERE / "toy.smk", f"{folder}/Snakefile")
    script = (
        "ip link set lo up && ip address add 127.0.0.2/8 dev lo && cd $0 && OWNER=$$ $1 start $0/slurm && . slurm/env.sh"
        " && ! timeout 2 bash -c 'echo > /dev/tcp/1.1.1.1/53' && $2 -m snakemake out/a.infer --workflow-profile $3; status=$?"
        "; $1 stop $0/slurm; exit $status"
    )
    command = ["unshare", "-n", "bash", "-c", script, folder, SCRIPT, sys.executable, PROFILE]
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert Path(folder, "out/a.infer").read_text().split()[1] == "n1"
    shutil.rmtree(folder)
