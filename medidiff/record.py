"""Provenance: what made a result, in a part that can be compared byte for byte and a part about this one run."""

import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import medidiff
from medidiff.documents import json_object
from medidiff.errors import DataError
from medidiff.io.atomic import write_text

PACKAGES = ("numpy", "scipy", "torch", "nibabel", "pydicom", "highdicom", "python-gdcm", "scikit-image", "h5py")


@dataclass(frozen=True)
class Record:
    """Everything that has to be known to repeat a result, and what came out."""

    task: str
    study: str
    method: str
    result_version: int
    settings: Mapping[str, Any]
    inputs: Iterable[Path]  # files or folders that were read
    outputs: Iterable[Path]  # files that were written
    seed: int = 0
    numbers: Mapping[str, Any] = field(default_factory=dict)
    warnings: Iterable[str] = ()
    command: Iterable[str] = ()  # the arguments after `medidiff`
    run: Mapping[str, Any] = field(default_factory=dict)  # start, duration, host: differs from run to run

    def write(self, path: Path) -> None:
        """The record as JSON, keys in a fixed order."""
        write_text(path, json.dumps(self._as_dict(path.parent), indent=1, allow_nan=False, default=_plain) + "\n")

    def _as_dict(self, folder: Path) -> dict:
        return {
            "task": self.task,
            "study": self.study,
            "method": self.method,
            "result_version": self.result_version,
            "settings": dict(self.settings),
            "seed": self.seed,
            "inputs": [fingerprint(path) for path in self.inputs],
            "versions": versions(),
            "commit": commit(),
            "command": list(self.command),
            "result": {
                "numbers": finite(dict(self.numbers)),
                "warnings": list(self.warnings),
                "outputs": {os.path.relpath(path, folder): sha256(path) for path in self.outputs},
            },
            "run": {"host": platform.node(), **self.run},
        }


def read_record(path: str | Path) -> dict:
    """The record of a JSON file. Raises DataError when it is not one."""
    try:
        record = json_object(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not a readable record ({error}). Run the step again that writes it.") from error
    if "task" not in record or "result" not in record:
        raise DataError(f"{path}: JSON, but not a record: expected the keys `task` and `result`.")
    return record


def sha256(path: str | Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes, read in blocks."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(path: Path) -> dict:
    """Name and hash of a file; of a folder, the number of its files and one hash over their names and contents.

    Only the last part of the path is kept: folders above it often carry names of people or machines.
    """
    if path.is_file():
        return {"path": path.name, "sha256": sha256(path)}
    files = sorted(p for p in path.rglob("*") if p.is_file() and not p.name.startswith(".tmp."))
    total = hashlib.sha256()
    for file in files:
        total.update(f"{file.relative_to(path).as_posix()}\0{sha256(file)}\n".encode(errors="surrogateescape"))
    return {"path": path.name, "files": len(files), "sha256": total.hexdigest()}


@cache
def versions() -> dict[str, str]:
    """Versions of Python, of this package and of the libraries that numbers depend on."""
    found = {"python": platform.python_version(), "medidiff": medidiff.__version__}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


@cache
def commit() -> str:
    """Commit of the checkout that this package runs from, with "+" when files differ from it; empty outside one."""
    folder = Path(medidiff.__file__).parent
    try:
        run = ["git", "-C", str(folder), "describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*"]
        return subprocess.run(run, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return finite(value.tolist())
    raise TypeError(f"a record cannot hold {type(value).__name__}")


def finite(value: Any) -> Any:
    """The same numbers as JSON can hold them."""
    # JSON knows neither NaN nor infinity: an undefined number becomes null, an infinite one is written out
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if hasattr(value, "tolist"):
        return finite(value.tolist())
    if isinstance(value, float) and value != value:
        return None
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return "inf" if value > 0 else "-inf"
    return value
