"""How far every step of a run is, from the files that it leaves: records, journals, logs."""

import os
import platform
from dataclasses import dataclass
from pathlib import Path

from medidiff.journal import attempts, journal_path, read_journal
from medidiff.plan import Job


@dataclass(frozen=True)
class State:
    """One step: done, running, failed or waiting, with all its attempts."""

    job: Job
    word: str
    attempts: list[dict]
    error: str = ""

    @staticmethod
    def ending(attempt: dict) -> str:
        """What is known of an attempt that wrote no end."""
        return "still running" if _lives(attempt) else "killed, or lost with its machine"


def state_of(job: Job) -> State:
    """The state of a step. A result newer than the last failure counts; so does a failure newer than the result."""
    tried = attempts(read_journal(journal_path(job.log)))
    last = tried[-1] if tried else {}
    if tried and "exit" not in last:
        if _lives(last):
            return State(job, "running", tried)
        if not job.record.exists():
            return State(job, "failed", tried, "killed, or lost with its machine, before it ended")
    if last.get("exit", 0) not in (0, None):
        return State(job, "failed", tried, str(last.get("error", f"exit {last['exit']}")))
    return State(job, "done" if job.record.exists() else "waiting", tried)


def _lives(attempt: dict) -> bool:
    if attempt.get("host") != platform.node():
        return True  # on another machine: nothing here proves the contrary
    process = Path(f"/proc/{attempt.get('pid')}")
    try:
        return process.exists() and b"medidiff" in (process / "cmdline").read_bytes() and os.getpid() != attempt.get("pid")
    except OSError:
        return False
