"""What every benchmark writes: rows with a machine's description, as one JSON file and one printed table."""

import json
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from importlib import metadata
from pathlib import Path

import torch

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Row:
    """One measured fact. A row with a peer carries `theirs` and a ratio or a difference, one without only `ours`."""

    name: str
    case: str  # sizes, dtype, what is equal between ours and theirs
    ours: float | None = None
    unit: str = ""
    theirs: float | None = None
    peer: str = ""
    ratio: float | None = None  # how far ahead we are
    difference: float | None = None  # ours - theirs, in the unit
    low: float | None = None  # 95 % interval of the difference
    high: float | None = None
    floor: float | None = None  # what nothing can go below
    note: str = ""


def faster(name: str, case: str, ours: float, theirs: float, *, peer: str, note: str = "") -> Row:
    """A row of two times, s."""
    return Row(name, case, ours, "s", theirs, peer, ratio=theirs / ours, note=note)


def clock() -> float:
    """Now, s: the processor's time of this process, or with a GPU the wall's after all kernels have ended."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()


def interleaved(runs: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median seconds of each run, one after the other in every round, so that a busy moment meets all of them.

    Without a GPU these are processor seconds of this process, which a busy machine does not lengthen; set OMP_NUM_THREADS=1.
    """
    times: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run()  # not timed: memory is laid out, kernels are chosen
    for _ in range(repeats):
        for name, run in runs.items():
            begin = clock()
            run()
            times[name].append(clock() - begin)
    return {name: statistics.median(values) for name, values in times.items()}


def version(package: str) -> str | None:
    """`name 1.2.3` of an installed package, None where there is none."""
    try:
        return f"{package} {metadata.version(package)}"
    except metadata.PackageNotFoundError:
        return None


def machine(packages: tuple[str, ...]) -> dict:
    """Processor, cores, threads, GPU and versions."""
    named = [line.split(":", 1)[1].strip() for line in _cpu_lines() if line.startswith("model name")]
    return {
        "cpu": named[0] if named else platform.processor() or platform.machine(),
        "cores": len(named) or None,
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "versions": {"python": platform.python_version(), **{p: metadata.version(p) for p in packages if version(p)}},
    }


def _cpu_lines() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


def kept(script: str, rows: list[Row], packages: tuple[str, ...]) -> list[Row]:
    """Rows of an earlier run of other parts of the script, on the same machine with the same versions."""
    path = RESULTS / f"{script}.json"
    earlier = json.loads(path.read_text()) if path.exists() else {}
    if earlier.get("machine") != machine(packages):
        return []
    return [Row(**row) for row in earlier["rows"] if row["name"] not in {row.name for row in rows}]


def write(script: str, rows: list[Row], packages: tuple[str, ...]) -> Path:
    """The rows as `results/{script}.json`, written beside and renamed."""
    RESULTS.mkdir(exist_ok=True)
    kept = [{key: value for key, value in asdict(row).items() if value not in (None, "")} for row in rows]
    content = {"script": script, "machine": machine(packages), "made": date.today().isoformat(), "rows": kept}
    path = RESULTS / f"{script}.json"
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(content, indent=1) + "\n")
    temporary.replace(path)
    return path


def line(row: Row) -> str:
    """The row as one line of the printed table."""
    values = [f"{row.ours:.4g} {row.unit}" if row.ours is not None else ""]
    values += [f"{row.peer}: {row.theirs:.4g}" if row.theirs is not None else row.peer]
    values += [
        f"ratio {row.ratio:.2f}" if row.ratio is not None else "",
        f"floor {row.floor:.3g}" if row.floor is not None else "",
    ]
    return f"{row.name:20s} {row.case:52s} " + "  ".join(value for value in [*values, row.note] if value)
