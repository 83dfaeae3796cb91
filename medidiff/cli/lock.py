"""One run per folder: who holds it, and what a crashed run left behind."""

import fcntl
import json
import os
import platform
import sqlite3
from datetime import datetime
from pathlib import Path

from medidiff.errors import ConfigError

STATE = Path(".snakemake")
HOLDER = STATE / "medidiff-run.json"


def acquire(config: Path, *, take_over: bool) -> bool:
    """Makes this process, and the snakemake it becomes, the only one in this folder.

    The lock belongs to the process: the kernel frees it however that ends. Returns whether snakemake's own lock of a dead run
    is still there and has to be removed: a run on this machine is proven dead, one on another only said so with `take_over`.
    Raises ConfigError when the folder is, or may be, in use.
    """
    STATE.mkdir(exist_ok=True)
    descriptor = os.open(STATE / "medidiff.lock", os.O_RDWR | os.O_CREAT, 0o666)
    try:
        is_stale = _is_stale(descriptor, last_run(), take_over=take_over)
    except ConfigError:
        os.close(descriptor)
        raise
    os.set_inheritable(descriptor, True)
    now = datetime.now().astimezone().isoformat(timespec="seconds")
    HOLDER.write_text(json.dumps({"pid": os.getpid(), "host": platform.node(), "since": now, "config": str(config)}))
    return is_stale


def last_run() -> dict:
    """Process, host, start and configuration of the last `medidiff run` in this folder; empty when there was none."""
    try:
        return json.loads(HOLDER.read_text())
    except (OSError, ValueError):
        return {}


def _is_stale(descriptor: int, holder: dict, *, take_over: bool) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise ConfigError(
            f"this folder is in use by process {holder.get('pid')} on {holder.get('host')} since {holder.get('since')} "
            f"({holder.get('config')}). Wait for it, or stop it with: kill {holder.get('pid')}"
        ) from None
    if not _snakemake_locked():
        return False
    others = _snakemakes_here()
    if others:
        raise ConfigError(f"snakemake is already running in this folder (process {', '.join(others)}). Wait for it or stop it.")
    if holder.get("host") != platform.node() and not take_over:
        raise ConfigError(
            f"an earlier run on {holder.get('host', 'an unknown machine')} (process {holder.get('pid', 'unknown')}) left its "
            "lock. If it is not running any more, say so with --take-over."
        )
    return True


def _snakemake_locked() -> bool:
    # snakemake keeps its locks as files, or, with persistence-backend db, as rows
    if any((STATE / "locks").glob("*")):
        return True
    try:
        with sqlite3.connect(f"file:{STATE / 'metadata.db'}?mode=ro", uri=True) as database:
            return bool(database.execute("SELECT COUNT(*) FROM snakemake_locks").fetchone()[0])
    except sqlite3.Error:
        return False


def _snakemakes_here() -> list[str]:
    # a snakemake that was started without `medidiff run` holds no lock of ours
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            same_folder = (process / "cwd").resolve() == Path.cwd().resolve()
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if (
            same_folder
            and process.name != str(os.getpid())
            and any(w == b"snakemake" or w.endswith(b"/snakemake") for w in words)
        ):
            found.append(process.name)
    return found
