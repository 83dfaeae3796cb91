"""One run per folder."""

import json
import os
import platform
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from medidiff.cli import lock
from medidiff.errors import ConfigError

HOLD = """
import sys
from pathlib import Path
from medidiff.cli import lock
lock.acquire(Path("a.yaml"), take_over=False)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def leave_snakemake_lock(folder, host, pid=2**22 + 1):
    (folder / ".snakemake" / "locks").mkdir(parents=True)
    (folder / ".snakemake" / "locks" / "0.input.lock").write_text("x")
    (folder / ".snakemake" / "medidiff-run.json").write_text(json.dumps({"pid": pid, "host": host, "config": "a.yaml"}))


def test_a_second_run_is_refused_and_told_who_holds_the_folder(folder):
    holder = subprocess.Popen([sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(ConfigError, match=rf"in use by process {holder.pid} on {platform.node()}.*kill {holder.pid}"):
        lock.acquire(Path("b.yaml"), take_over=False)
    holder.kill()
    holder.communicate()
    assert lock.acquire(Path("b.yaml"), take_over=False) is False  # the kernel freed it, and snakemake had none
    assert lock.last_run()["config"] == "b.yaml" and lock.last_run()["pid"] == os.getpid()


def test_the_lock_of_a_dead_run_on_this_machine_is_taken_over_without_asking(folder):
    leave_snakemake_lock(folder, platform.node())
    assert lock.acquire(Path("a.yaml"), take_over=False) is True


def test_a_lock_from_another_machine_is_only_taken_over_when_asked(folder):
    leave_snakemake_lock(folder, "node17")
    with pytest.raises(ConfigError, match=r"an earlier run on node17.*--take-over"):
        lock.acquire(Path("a.yaml"), take_over=False)
    assert lock.acquire(Path("a.yaml"), take_over=True) is True


def test_a_snakemake_that_was_started_by_itself_is_noticed(folder):
    leave_snakemake_lock(folder, platform.node())
    alive = subprocess.Popen(
        [sys.executable, "-c", "import sys; print(1, flush=True); sys.stdin.read()", "snakemake"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    alive.stdout.readline()
    with pytest.raises(ConfigError, match=f"already running in this folder .process {alive.pid}"):
        lock.acquire(Path("a.yaml"), take_over=True)
    alive.communicate()


def test_locks_that_snakemake_keeps_in_its_database_count_too(folder):
    (folder / ".snakemake").mkdir()
    with sqlite3.connect(folder / ".snakemake" / "metadata.db") as database:
        database.execute("CREATE TABLE snakemake_locks (namespace TEXT, file_path TEXT, lock_type TEXT)")
        database.execute("INSERT INTO snakemake_locks VALUES ('.', 'a', 'input')")
    with pytest.raises(ConfigError, match="--take-over"):
        lock.acquire(Path("a.yaml"), take_over=False)
    assert lock.acquire(Path("a.yaml"), take_over=True) is True
