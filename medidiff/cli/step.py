"""What surrounds every step: log, journal, lock, signals and exit status."""

import fcntl
import logging
import os
import platform
import resource
import shutil
import signal
import sys
import time
import traceback
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from medidiff.errors import MedidiffError
from medidiff.journal import append, attempts, journal_path, read_journal
from medidiff.supervision import end_with_supervisor

log = logging.getLogger("medidiff")


@dataclass(frozen=True)
class Step:
    """Which step of which study is running, and since when."""

    name: str
    study: str
    method: str
    started: float
    started_at: str

    def run_facts(self) -> dict:
        """What differs from run to run, for the record."""
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return {"started": self.started_at, "seconds": round(time.time() - self.started, 3), "peak_rss_mb": round(peak, 1)}


@contextmanager
def step(name: str, *, study: str, method: str = "", log_file: Path | None = None) -> Iterator[Step]:
    """Runs the block as one attempt at a step.

    Every message goes to the log file and to standard error. Start and end are appended to the journal beside the log.
    A second process at the same step waits until the first has ended. An error ends the process with the error's exit
    status and one message; the traceback is in a file beside the log. SIGTERM, and the death of the workflow that started
    the step, end it without leaving temporary files.
    """
    now = datetime.now().astimezone().isoformat(timespec="seconds")
    this = Step(name, study, method, time.time(), now)
    with ExitStack() as stack:
        if log_file is not None:
            stack.enter_context(_only_one(log_file))
        _log_to(log_file)
        signal.signal(signal.SIGTERM, _terminate)
        # bytes of a result belong to a number of threads, so it must not come from the machine's number of cores
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        end_with_supervisor()
        attempt = {"id": uuid.uuid4().hex[:12], "step": name, "study": study, "method": method}
        if log_file is not None:
            append(journal_path(log_file), attempt | _where() | {"start": now, "command": sys.argv[1:]})
        status, failure = 0, {}
        try:
            yield this
        except BaseException as error:
            status, failure = _report(error, log_file)
        if log_file is not None:
            end = datetime.now().astimezone().isoformat(timespec="seconds")
            append(journal_path(log_file), attempt | {"end": end, "exit": status, **this.run_facts(), **failure})
            if status:
                _keep_log(log_file)
    if status:
        sys.exit(status)


def _report(error: BaseException, log_file: Path | None) -> tuple[int, dict]:
    trace = "".join(traceback.format_exception(error))
    if log_file is not None:
        # beside the log, which snakemake prints: a message is for the user, a traceback for who looks deeper
        log_file.with_suffix(".traceback").write_text(trace, encoding="utf-8")
    if isinstance(error, SystemExit):
        status, message = (error.code if isinstance(error.code, int) else 1), "ended by a signal"
    elif isinstance(error, KeyboardInterrupt):
        status, message = 130, "interrupted"
    elif isinstance(error, MedidiffError):
        status, message = error.exit_status, str(error)
    else:
        status, message = 1, f"{type(error).__name__}: {error}"
        if log_file is None:
            sys.stderr.write(trace)
    log.error("%s: %s", "error" if status else "end", message)
    if log_file is not None and status not in (0, 143):
        sys.stderr.write(f"log: {log_file}, with the traceback beside it\n")
    tail = [line for line in trace.splitlines() if line.strip()][-12:]
    return status, {"error_class": type(error).__name__, "error": message, "log_tail": tail}


def _where() -> dict:
    return {
        "host": platform.node(),
        "pid": os.getpid(),
        "slurm_job": os.environ.get("SLURM_JOB_ID", ""),
        "gpu": os.environ.get("CUDA_VISIBLE_DEVICES", ""),
    }


def _log_to(log_file: Path | None) -> None:
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    if log_file is not None:
        handlers.append(logging.FileHandler(log_file, encoding="utf-8"))
    # libraries only warn: their chatter names datasets and patients' modules
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=handlers, force=True)
    log.setLevel(logging.INFO)


def _keep_log(log_file: Path) -> None:
    # snakemake deletes a declared log before the next attempt, so a copy under a name it does not know is kept
    number = len(attempts(read_journal(journal_path(log_file))))
    shutil.copyfile(log_file, log_file.with_name(f"{log_file.name}.{number}"))


@contextmanager
def _only_one(log_file: Path) -> Iterator[None]:
    # after a killed workflow the orphan of a step may still be writing when the next workflow starts the step again
    log_file.parent.mkdir(parents=True, exist_ok=True)
    lock = log_file.with_name(f".{log_file.stem}.lock")
    with open(lock, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _terminate(number: int, frame: object) -> None:
    sys.exit(128 + number)
