"""`medidiff dask`: a Dask cluster whose workers are Slurm jobs, for steps called by hand."""

import signal
from typing import Annotated

import typer


def dask(
    jobs: Annotated[int, typer.Option(help="workers, each a Slurm job of one core", min=1)] = 2,
    memory: Annotated[str, typer.Option(help="of each")] = "4GB",
    minutes: Annotated[int, typer.Option(help="run time of each; a new job takes the place of one that ran out", min=1)] = 60,
    partition: Annotated[str, typer.Option(help="of Slurm; empty: its default", show_default=False)] = "",
    account: Annotated[str, typer.Option(help="of Slurm; empty: yours", show_default=False)] = "",
    interface: Annotated[str, typer.Option(help="network that workers and this machine share, as ib0", show_default=False)] = "",
) -> None:
    """Start Dask workers as Slurm jobs, print the scheduler's address for `--dask`, and end them with Ctrl-C.

    For sweeps and large volumes by hand: `medidiff fit-many`, `medidiff trajectories` and `medidiff reconstruct --slab` take
    the address. The workflow needs none: each of its steps is a Slurm job already.
    """
    from medidiff.compute import SlurmWorkers, slurm_scheduler

    signals = (signal.SIGINT, signal.SIGTERM)
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)  # of every thread from now on; they wait for sigwait below
    with slurm_scheduler(SlurmWorkers(jobs, memory, minutes, partition, account, interface)) as address:
        typer.echo(address)
        signal.sigwait(signals)
