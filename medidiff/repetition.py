"""Doing a recorded step again and comparing what comes out."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from medidiff.errors import DataError
from medidiff.record import read_record, versions


def repeat(path: Path) -> list[str]:
    """Differences between a record's result and that of its command run again; empty when there are none.

    The command runs in the present folder, which must be the one it ran in first: its inputs are found from there. Its
    outputs go to a temporary folder. Numbers, warnings and the SHA-256 of every output are compared.
    """
    record = read_record(path)
    command = [str(word) for word in record.get("command", [])]
    if not command:
        raise DataError(f"{path}: the record holds no command, so it cannot be repeated.")
    with tempfile.TemporaryDirectory() as folder:
        places = {os.path.normpath(path.parent / name): Path(folder, Path(name).name) for name in record["result"]["outputs"]}
        places[os.path.normpath(path)] = Path(folder, path.name)
        words = _redirected(command, places, Path(folder))
        done = subprocess.run([sys.executable, "-m", "medidiff", *words], capture_output=True, text=True, env=_one_thread())
        if done.returncode:
            raise DataError(f"{path}: the step failed when run again:\n{done.stderr.strip()}")
        return _differences(record, read_record(places[os.path.normpath(path)]))


def _one_thread() -> dict[str, str]:
    """The environment of a rule, which has one thread: sums in another order would change the last bits."""
    return os.environ | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def _redirected(command: list[str], places: dict[str, Path], folder: Path) -> list[str]:
    words = [str(places.get(os.path.normpath(word), word)) for word in command]
    if "--log" in words:
        words[words.index("--log") + 1] = str(folder / "repeat.log")
    return words


def _differences(before: dict, now: dict) -> list[str]:
    found = []
    if before["result"]["numbers"] != now["result"]["numbers"]:
        found.append("numbers differ")
    if before["result"]["warnings"] != now["result"]["warnings"]:
        found.append("warnings differ")
    outputs = now["result"]["outputs"]
    found += [f"{name}: other bytes" for name, digest in before["result"]["outputs"].items() if outputs.get(name) != digest]
    if found:
        old = before.get("versions", {})
        found += [f"{name}: {old.get(name)} then, {new} now" for name, new in versions().items() if old.get(name) != new]
    return found
