"""A real Slurm of two nodes on this machine, and a run of jobs that misbehave on it."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "workflow" / "slurm-local.sh"
SIZES = {"NODES": "2", "CPUS": "6", "MEM_MB": "48000", "GPUS": "2"}


@pytest.fixture(scope="session")
def cluster():
    """The environment of a fresh cluster; node 1 has two stand-ins for GPUs. It ends with this process, however that ends."""
    folder = tempfile.mkdtemp(prefix="medidiff-slurm-")
    os.chmod(folder, 0o755)  # munge wants to reach its socket
    sizes = SIZES | {"OWNER": str(os.getpid())}
    with open(f"{folder}/start.log", "w+") as said:  # a file, since a pipe would stay open in the daemons
        started = subprocess.run([SCRIPT, "start", folder], env=os.environ | sizes, stdout=said, stderr=subprocess.STDOUT)
    assert started.returncode == 0, Path(folder, "start.log").read_text()
    path = f"{folder}/bin:{Path(sys.executable).parent}:{os.environ['PATH']}"
    yield os.environ | {"SLURM_CONF": f"{folder}/slurm.conf", "PATH": path}
    subprocess.run([SCRIPT, "stop", folder], stdout=subprocess.DEVNULL, check=True)
    shutil.rmtree(folder)


class Misbehaving(subprocess.Popen):
    """A run of jobs that misbehave, with the profile of this project; most of it is waiting, so it goes on beside other tests."""

    def __init__(self, folder: Path, environment: dict[str, str]):
        self.folder = folder
        shutil.copy(Path(__file__).parent / "toy.smk", folder / "Snakefile")
        profile = SCRIPT.parent / "profiles" / "slurm-local"
        command = [
            sys.executable,
            "-m",
            "snakemake",
            "all",
            "doomed",
            "--workflow-profile",
            profile,
            "--group-components",
            "infer=2",
        ]
        with open(folder / "said", "w") as said:
            super().__init__(command, cwd=folder, env=environment, stdout=said, stderr=subprocess.STDOUT)


@pytest.fixture(scope="session")
def misbehaving(cluster, tmp_path_factory):
    """That run, begun; whoever needs its results waits for its end."""
    process = Misbehaving(tmp_path_factory.mktemp("toy"), cluster)
    yield process
    process.terminate()
    process.wait()
