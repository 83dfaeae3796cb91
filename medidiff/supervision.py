"""Steps of a killed workflow end too, instead of writing on as orphans."""

import os
import signal
import threading
import time
from pathlib import Path

VARIABLE = "MEDIDIFF_SUPERVISOR"  # process whose death ends the steps that it started


def supervise() -> None:
    """Makes this process the one whose death ends every step that it starts from now on."""
    os.environ[VARIABLE] = str(os.getpid())


def end_with_supervisor() -> None:
    """Sends SIGTERM to this process as soon as its supervisor is gone; nothing where it has none.

    A step called by hand has none, and a step inside a Slurm job is watched over by Slurm.
    """
    supervisor = os.environ.get(VARIABLE, "")
    if not supervisor.isdigit() or os.environ.get("SLURM_JOB_ID"):
        return

    def watch() -> None:
        while Path(f"/proc/{supervisor}").exists():
            time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
