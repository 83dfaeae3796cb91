"""Workers of a Dask cluster give what one process gives, also when one of them is killed in the middle."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest
import torch
from dask.distributed import LocalCluster

from medidiff.compute import dask_client
from medidiff.diffusion.measurement import Measurement
from medidiff.diffusion.noise import Noise
from medidiff.errors import ConfigError
from medidiff.io.slab_file import slab_store
from medidiff.operators.generate import generate_split
from medidiff.operators.systems import SystemSettings
from medidiff.reconstruction.nadds import NADDS
from medidiff.reconstruction.operators import Normalised
from medidiff.reconstruction.slab_nadds import na_dds_in_slabs
from medidiff.reconstruction.slabs import Passes, Plan
from physics.ct.grid import Grid, arc
from physics.ct.parallel import ParallelBeam

pytestmark = pytest.mark.xdist_group("workers")  # they share one cluster

SHAPE = (6, 1, 12, 12)
WAVES = SystemSettings(system="advection", cells=32, frames=4, solver_cells=128, solver_frames=4, duration_s=0.5)


@pytest.fixture(scope="module")
def address():
    """Of a scheduler with two workers, processes of their own that a nanny starts anew when they die."""
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        yield cluster.scheduler_address


@pytest.fixture
def client(address):
    with dask_client(address) as client:
        client.wait_for_workers(2)
        yield client


@pytest.fixture
def measured() -> Measurement:
    beam = ParallelBeam(grid=Grid(*SHAPE[2:], 2.0), angles_rad=arc(5), bins=17, bin_mm=2.0)
    operator = Normalised.of(beam)
    return Measurement(operator, operator.forward(torch.randn(SHAPE, generator=torch.Generator().manual_seed(0))), 0.02)


def test_a_task_whose_worker_is_killed_between_its_writes_is_done_once_in_the_end(client, measured, tmp_path):
    def grow(span, part, slabs, others, flag: str) -> tuple[float]:
        span.write(slabs, span.read(slabs) + 1)
        if span.first == 2 and not os.path.exists(flag):
            open(flag, "w").close()
            os.kill(os.getpid(), signal.SIGKILL)
        span.write(others, span.read(others) + 2 * span.read(slabs))
        return (float(span.read(slabs).sum()),)

    with slab_store(in_memory=False) as store:
        passes = Passes.over(measured, Plan(2, store, client))
        slabs, others = store((6, 3)), store((6, 3))
        for number in (1, 2):
            assert passes.total(grow, slabs, others, str(tmp_path / "killed")) == (18.0 * number,)
        assert Path(tmp_path / "killed").exists()
        assert (slabs.read(0, 6) == 2).all() and (others.read(0, 6) == 6).all()


def test_a_volume_in_slabs_has_the_bits_of_one_process_after_a_worker_was_killed(client, measured):
    class Smooth:
        def __call__(self, u: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
            return u * (0.25 / (0.25 + sigma**2)).to(u).reshape(-1, 1, 1, 1)

    def kill_one(step: int) -> None:
        if step == 1:
            os.kill(min(client.run(os.getpid).values()), signal.SIGKILL)

    def volume(client, on_step=None) -> torch.Tensor:
        with slab_store(in_memory=False) as store:
            options = NADDS(data_std=0.5, steps=3, rho=0.3, threshold=0.02, data_steps=2)
            plan, noise = Plan(2, store, client), Noise(3)
            found = na_dds_in_slabs(Smooth(), measured, SHAPE, options=options, noise=noise, plan=plan, on_step=on_step)
            return torch.from_numpy(found.read(0, SHAPE[0]))

    before = set(client.run(os.getpid).values())
    assert torch.equal(volume(client, kill_one), volume(None))
    client.wait_for_workers(2)
    assert set(client.run(os.getpid).values()) != before


def test_trajectories_of_an_existing_cluster_are_the_bytes_of_one_process_after_a_worker_was_killed(client, tmp_path):
    generate_split(WAVES, "test", tmp_path / "here.h5", count=200)
    victim = max(client.run(os.getpid).values())
    killer = threading.Thread(target=lambda: (time.sleep(0.05), os.kill(victim, signal.SIGKILL)))
    killer.start()
    generate_split(WAVES, "test", tmp_path / "there.h5", count=200, client=client)
    killer.join()
    assert (tmp_path / "there.h5").read_bytes() == (tmp_path / "here.h5").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["here.h5", "there.h5"]


def test_a_scheduler_that_does_not_answer_and_two_clusters_at_once_are_refused(monkeypatch):
    monkeypatch.setattr("medidiff.compute.PATIENCE_S", 0.5)
    with pytest.raises(ConfigError, match="no scheduler answers"), dask_client("tcp://127.0.0.1:9"):
        pass
    with pytest.raises(ConfigError, match="give one of them"), dask_client("tcp://127.0.0.1:9", workers=2):
        pass


def test_work_stays_here_without_a_cluster():
    with dask_client() as client:
        assert client is None
