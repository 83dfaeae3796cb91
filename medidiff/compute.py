"""Where work runs: here, or on the workers of a Dask cluster."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from medidiff.errors import ConfigError

PATIENCE_S = 20  # for a scheduler to answer


@dataclass(frozen=True)
class SlurmWorkers:
    """Workers of one thread each, every one a Slurm job."""

    jobs: int = 2  # workers, at most
    memory: str = "4GB"  # of each
    minutes: int = 60  # run time of each; a new job takes the place of one that ran out
    partition: str = ""  # empty: the cluster's default
    account: str = ""  # empty: the user's default
    interface: str = ""  # network interface that workers and scheduler share, as ib0; empty: whatever the host name means


@contextmanager
def dask_client(address: str = "", *, workers: int = 0) -> Iterator[Any]:
    """A dask.distributed.Client for the block, or None for work that stays here.

    address   of a running scheduler, as tcp://HOST:PORT; its cluster is left running
    workers   processes of a cluster on this machine, of one thread each, that ends with the block

    Raises ConfigError for both at once, or a scheduler that does not answer.
    """
    if address and workers:
        raise ConfigError(f"--dask {address} and --workers {workers}: give one of them.")
    if not address and not workers:
        yield None
        return
    from dask.distributed import Client, LocalCluster

    _quieten()
    with ExitStack() as stack:
        if workers:
            address = stack.enter_context(LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None))
        try:
            client = stack.enter_context(Client(address, timeout=PATIENCE_S))
        except (OSError, ValueError) as error:
            raise ConfigError(f"--dask {address}: no scheduler answers ({error}). Start it, or correct the address.") from None
        yield client


@contextmanager
def slurm_scheduler(workers: SlurmWorkers) -> Iterator[str]:
    """The address of a scheduler in this process, for `dask_client`; its workers are Slurm jobs that end with the block.

    Jobs that fail or run out of time are replaced as long as there is work. Raises ConfigError without dask-jobqueue or Slurm.
    """
    import shutil
    import sys

    try:
        from dask_jobqueue import SLURMCluster
    except ImportError:
        raise ConfigError("dask-jobqueue is missing; install the extra: pip install -e '.[slurm]'.") from None
    if not shutil.which("sbatch"):
        raise ConfigError("no sbatch here: call this on a machine that can submit to Slurm.")
    _quieten()
    named = {"queue": workers.partition, "account": workers.account, "interface": workers.interface}
    options = {name: value for name, value in named.items() if value}
    with SLURMCluster(
        cores=1,
        processes=1,
        memory=workers.memory,
        walltime=f"{workers.minutes // 60:02d}:{workers.minutes % 60:02d}:00",
        job_name="medidiff-dask",
        python=sys.executable,
        log_directory="logs/dask",
        local_directory=".dask",
        scheduler_options={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
        **options,
    ) as cluster:
        cluster.adapt(minimum_jobs=workers.jobs, maximum_jobs=workers.jobs)
        yield cluster.scheduler_address


def _quieten() -> None:
    """Without a line for every connection and every large argument: arguments go with the task so that they survive a worker."""
    import dask

    logging.getLogger("distributed").setLevel(logging.ERROR)
    dask.config.set({"distributed.admin.large-graph-warning-threshold": "10GB"})
