"""How far every step and every study of a run is, from the files that it leaves: records, journals, logs."""

import os
import platform
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from medidiff.journal import attempts, journal_path, read_journal
from medidiff.plan import Job
from medidiff.studies import Study

WORDS = ("done", "running", "failed", "waiting")  # of a step
ORDER = ("failed", "running", "waiting", "done", "left out")  # of studies, those to look at first


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


@dataclass(frozen=True)
class Progress:
    """One study: how many of its steps are how far, and why it is left out or what failed first."""

    study: str
    counts: Counter
    reason: str = ""

    @property
    def word(self) -> str:
        """One of ORDER: failed and running as soon as one step is, done when all are."""
        if not self.counts:
            return "left out"
        return next(word for word in ("failed", "running", "waiting", "done") if self.counts[word])


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


def progress_of(studies: Mapping[str, Study], states: Iterable[State]) -> list[Progress]:
    """One line per study, failed ones first, then running, waiting, finished ones and those left out, each by name.

    studies   lines of the study table, those that do not enter the workflow with their reason
    states    of every step of the others
    """
    counts: dict[str, Counter] = {name: Counter() for name in studies}
    reasons = {name: study.reason for name, study in studies.items()}
    for state in states:
        name = state.job.study
        counts[name][state.word] += 1
        if state.word == "failed" and not reasons[name]:
            reasons[name] = f"{state.job.step}{' ' + state.job.method if state.job.method else ''}: {state.error}"
    found = [Progress(name, counts[name], reasons[name]) for name in studies]
    return sorted(found, key=lambda progress: (ORDER.index(progress.word), progress.study))


def _lives(attempt: dict) -> bool:
    if attempt.get("host") != platform.node():
        return True  # on another machine: nothing here proves the contrary
    process = Path(f"/proc/{attempt.get('pid')}")
    try:
        return process.exists() and b"medidiff" in (process / "cmdline").read_bytes() and os.getpid() != attempt.get("pid")
    except OSError:
        return False
