"""Doing a recorded step again and comparing what comes out."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from medidiff.errors import DataError
from medidiff.record import commit, read_record, versions


def repeat(path: Path) -> list[str]:
    """Differences between a record's result and that of its command run again; empty when there are none.

    The command runs in the present folder, which must be the one it ran in first: its inputs are found from there. Its
    outputs go to a temporary folder. Numbers, warnings and the SHA-256 of every output are compared; where they differ,
    changed inputs, versions and the commit are named too, since one of them is the likely cause. Raises DataError for a
    record without a command, and when the step fails.
    """
    record = read_record(path)
    command = [str(word) for word in record.get("command", [])]
    if not command:
        raise DataError(f"{path}: the record holds no command, so it cannot be repeated.")
    with tempfile.TemporaryDirectory() as folder:
        again = Path(folder, path.name)
        words = _redirected(command, path, record["result"]["outputs"], Path(folder))
        done = subprocess.run([sys.executable, "-m", "medidiff", *words], capture_output=True, text=True, env=_one_thread())
        if done.returncode:
            raise DataError(f"{path}: the step failed when run again in {Path.cwd()}:\n{done.stderr.strip()}")
        if not again.is_file():
            raise DataError(f"{path}: its command writes another record. Name the record where the step wrote it.")
        return list(_differences(record, read_record(again)))


def _one_thread() -> dict[str, str]:
    """The environment of a rule, which has one thread: sums in another order would change the last bits."""
    return os.environ | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def _redirected(command: list[str], path: Path, outputs: list[str], folder: Path) -> list[str]:
    """The command with the record, its outputs, and folders of outputs beside the record, all in another folder."""
    home = os.path.abspath(path.parent)
    places = {os.path.normpath(os.path.join(home, name)) for name in [*outputs, path.name]}

    def moved(word: str) -> str:
        whole = os.path.abspath(word)
        is_folder = whole.startswith(home + os.sep) and os.path.isdir(whole)
        return str(folder / os.path.relpath(whole, home)) if whole in places or is_folder else word

    words = [moved(word) for word in command]
    if "--log" in words:
        words[words.index("--log") + 1] = str(folder / "repeat.log")
    return words


def _differences(before: dict, now: dict) -> Iterator[str]:
    old, new = before["result"], now["result"]
    found = [f"{part} differ" for part in ("numbers", "warnings") if old[part] != new[part]]
    found += [f"{name}: other bytes" for name, digest in old["outputs"].items() if new["outputs"].get(name) != digest]
    if not found:
        return
    yield from found
    contents = {item["path"]: item["sha256"] for item in now.get("inputs", [])}
    for item in before.get("inputs", []):
        if contents.get(item["path"]) != item["sha256"]:
            yield f"input {item['path']}: other content now"
    facts = {"commit": (before.get("commit"), commit())}
    facts |= {name: (before.get("versions", {}).get(name), value) for name, value in versions().items()}
    yield from (f"{name}: {then} then, {current} now" for name, (then, current) in facts.items() if then != current)
