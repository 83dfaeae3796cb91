"""Where work runs: here, or on the workers of a Dask cluster."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from medidiff.errors import ConfigError

PATIENCE_S = 20  # for a scheduler to answer


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

    logging.getLogger("distributed").setLevel(logging.ERROR)  # else every connection is told
    with ExitStack() as stack:
        if workers:
            address = stack.enter_context(LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None))
        try:
            client = stack.enter_context(Client(address, timeout=PATIENCE_S))
        except (OSError, ValueError) as error:
            raise ConfigError(f"--dask {address}: no scheduler answers ({error}). Start it, or correct the address.") from None
        yield client
