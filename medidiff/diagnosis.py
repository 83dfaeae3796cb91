"""What a machine has and lacks for this project."""

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Finding:
    """One line of the table."""

    what: str
    found: str
    advice: str = ""  # empty: in order
    is_fatal: bool = False  # nothing works without it


def examine() -> list[Finding]:
    """Everything that is worth knowing before a run."""
    return [_python(), _lock(), _torch(), *_programs(), _slurm(), _mirror(), _disk(), _memory()]


def _python() -> Finding:
    advice = "" if sys.version_info >= (3, 11) else "install Python 3.11 and run make again"
    return Finding("Python", platform.python_version(), advice, bool(advice))


def _lock() -> Finding:
    lock = ROOT / "constraints.txt"
    if not lock.is_file():
        return Finding("packages", "no constraints.txt beside the package")
    different = list(_different(lock.read_text()))
    if not different:
        return Finding("packages", "as locked in constraints.txt")
    shown = "; ".join(different[:4]) + (f" and {len(different) - 4} more" if len(different) > 4 else "")
    return Finding("packages", shown, "results may differ from those of the lock; `rm .venv/bin/.ready` and run make again")


def _different(lock: str) -> Iterator[str]:
    for line in lock.splitlines():
        name, _, wanted = line.partition("==")
        try:
            here = version(name).split("+")[0] if wanted else ""
        except PackageNotFoundError:
            continue  # of an extra that is not installed
        if here != wanted:
            yield f"{name} {here}, locked {wanted}"


def _torch() -> Finding:
    import torch

    if torch.cuda.is_available():
        cards = ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
        return Finding("torch", f"{torch.__version__}, {cards}")
    threads = f"{torch.__version__}, CPU, {torch.get_num_threads()} threads"
    return Finding("torch", threads, "no CUDA device: fine for the demos; training wants one")


def _programs() -> Iterator[Finding]:
    for name, purpose in (("git", "records name the commit"), ("make", "set-up and tests")):
        path = shutil.which(name)
        yield Finding(name, path or "missing", "" if path else f"install {name}: {purpose}")


def _slurm() -> Finding:
    if not shutil.which("sbatch"):
        return Finding("Slurm", "not on this machine")
    if os.environ.get("SLURM_CONF"):
        return Finding(
            "Slurm", "SLURM_CONF is set", "the job step drops SLURM_CONF; let srun know it (workflow/profiles/README.md)"
        )
    return Finding("Slurm", str(shutil.which("sbatch")))


def _mirror() -> Finding:
    mirror = os.environ.get("MEDIDIFF_MIRROR", "")
    if not mirror:
        return Finding("public data", "no mirror: downloaded when asked for")
    advice = "" if Path(mirror).is_dir() else "MEDIDIFF_MIRROR names no folder"
    return Finding("public data", f"mirror {mirror}", advice)


def _disk() -> Finding:
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    return Finding("disk", f"{free:.0f} GB free here", "" if free > 5 else "less than 5 GB: results may not fit")


def _memory() -> Finding:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return Finding("memory", f"{total:.0f} GB, {os.cpu_count()} cores", "" if total > 6 else "less than 6 GB: use --cores 1")
