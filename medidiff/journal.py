"""The history of every step: one JSON line per attempt, kept when snakemake deletes the log of an earlier one."""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from medidiff.documents import json_object


def journal_path(log: Path) -> Path:
    """The journal that belongs to a step's log file."""
    return log.with_suffix(".jsonl")


def append(journal: Path, entry: Mapping[str, Any]) -> None:
    """One more line; written in one call, so that attempts at the same time do not mix."""
    journal.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps(entry, default=str) + "\n"
    descriptor = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        os.write(descriptor, line.encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_journal(journal: Path) -> list[dict]:
    """All entries in order; a line torn by a crash is left out."""
    return list(_lines(journal))


def attempts(entries: list[dict]) -> list[dict]:
    """One dictionary per attempt: its start, and its end where it came to one.

    An attempt without an end was killed or is still running: `exit` is missing then.
    """
    found: dict[str, dict] = {}
    for entry in entries:
        found.setdefault(entry.get("id", ""), {}).update(entry)
    return [{**entry, "attempt": number} for number, entry in enumerate(found.values(), start=1)]


def _lines(journal: Path) -> Iterator[dict]:
    if not journal.is_file():
        return
    for line in journal.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            yield json_object(line)
        except ValueError:
            continue
