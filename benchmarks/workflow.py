"""How long the workflow thinks before its first job, and what surrounds each job: `python -m benchmarks.workflow [--quick]`.

A dry run builds every job of every study through all rules: digital patients, chromatograms and echoes, simulated scans, raw
data, temperature programmes, systems of equations. Nothing is computed. Seconds are those of the processor, since a busy
machine lengthens the wall's.
"""

import argparse
import json
import math
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.record import Row, line, write

ROOT = Path(__file__).parents[1]
PACKAGES = ("snakemake", "pydantic")
KINDS = 8  # ways in which a study enters, an eighth of the studies each
RULES = 26  # of the workflow, `all` included
TINY = {"matrix": 24, "slices": 2, "pixel_mm": 12.0, "slice_mm": 12.0, "ct": {"views": 12}}


@dataclass(frozen=True)
class Spent:
    """What one process and its children took, and what it said."""

    cpu_s: float
    wall_s: float
    peak_mb: float
    text: str


def configuration(studies: int, folder: Path) -> dict:
    """Studies of every kind, which together pass through all rules; the files of raw data are empty."""
    (folder / "raw.h5").touch()
    each, more = divmod(studies, KINDS)
    operator = {"model": str(ROOT / "models" / "operator-burgers"), "doublings": 1}
    programmes = _named("T", each, published="A")
    return {
        "device": "cpu",
        "studies": {
            "phantoms": _named("P", each + more),
            "chromatograms": _named("L", each // 2),
            "programmes": list(programmes)[: each - each // 2],
            "scans": _named("C", each, **TINY) | _named("M", each, source="mni152", mr={}),
            "measurements": _named("R", each, kind="mr", path="raw.h5", truth="inside"),
            "systems": _named("S", 2 * each, system={"system": "burgers"}, controlled=1, operate=operator),
            "echoes": _named("E", each),
        },
        "segment": {
            "methods": ["suv2.5", "watershed", "diffusion"],
            "diffusion": {"model": str(ROOT / "models" / "petct-digital")},
        },
        "reconstruct": {"ct": {"methods": ["fbp", "tv"]}, "mr": {"methods": ["zerofilled", "tv"]}},
        "dehaze": {"signal": {"methods": ["wiener"]}},
        "chromatograph": {"analytes": [{"name": "benzene"}]},
        "elute": {"programmes": programmes},
        "pathvars": {"results": "results", "logs": "logs", "benchmarks": "benchmarks"},
    }


def _named(letter: str, count: int, **settings) -> dict[str, dict]:
    return {f"{letter}{number}": dict(settings) for number in range(count)}


def spent(command: list[str], folder: Path) -> Spent:
    """Runs a command in a folder. Raises RuntimeError with the end of what it said when it fails."""
    said, begin = folder / "said.txt", time.perf_counter()
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    with open(said, "w") as file:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=file, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    text = said.read_text()
    if process.returncode:
        raise RuntimeError(f"{command}: exit {process.returncode}\n{text[-2000:]}")
    return Spent(usage.ru_utime + usage.ru_stime, time.perf_counter() - begin, usage.ru_maxrss / 1024, text)


def snakemake(*options: str) -> list[str]:
    """The command that runs the workflow of `run.yaml`."""
    return [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--configfile", "run.yaml", *options]


def dry_run(studies: int) -> tuple[Spent, int, int]:
    """What a first dry run takes, the number of its jobs, and of its rules."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "run.yaml").write_text(json.dumps(configuration(studies, folder)))  # JSON is YAML that is read fast
        found = spent(snakemake("-n", "--quiet", "rules", "--cores", "2"), folder)
    counts = {rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", found.text, re.M)}
    jobs = counts.pop("total")
    return found, jobs, len(counts)


def dag_rows(sizes: list[int]) -> list[Row]:
    """Seconds and memory of dry runs, and how the seconds grow from one size to the next."""
    rows, before = [], None
    for studies in sizes:
        found, jobs, rules = dry_run(studies)
        if rules != RULES:
            raise RuntimeError(f"{rules} rules have jobs, expected all {RULES}:\n{found.text[-2000:]}")
        case = f"{studies} studies, {jobs} jobs, {rules} rules"
        note = f"wall {found.wall_s:.0f} s at a load of {os.getloadavg()[0]:.0f}"
        rows.append(Row(f"dag_{studies}", case, found.cpu_s, "s", note=note))
        rows.append(Row(f"dag_{studies}_memory", case, found.peak_mb, "MB"))
        if before:
            power = math.log(found.cpu_s / before[1]) / math.log(studies / before[0])
            rows.append(Row(f"dag_{studies}_growth", f"from {before[0]} to {studies} studies", power, note="1: linear"))
        before = (studies, found.cpu_s)
        for row in rows[-3:]:
            print(line(row), flush=True)
    return rows


def overhead_row(few: int = 2, many: int = 10) -> Row:
    """What snakemake and a new Python take around one job: more jobs, less what the step itself takes in this process."""
    times = {}
    for studies in (few, many):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            studied = {"chromatograms": _named("L", studies)}
            (folder / "run.yaml").write_text(json.dumps({"studies": studied, "pathvars": {"results": "r", "logs": "l"}}))
            times[studies] = spent(snakemake("--until", "phantom", "--cores", "1", "--quiet", "all"), folder).cpu_s
    each = (times[many] - times[few]) / (many - few)
    begin = time.process_time()
    with tempfile.TemporaryDirectory() as name:
        _make_chromatogram(Path(name))
    work = time.process_time() - begin
    note = f"of which the step's own work is {work:.2f} s"
    return Row("overhead_per_job", "phantom of a chromatogram, one core", each - work, "s", note=note)


def _make_chromatogram(folder: Path) -> None:
    from medidiff.cli.app import app

    app(["phantom", "chromatogram", str(folder / "manifest.json"), "--settings", '{"seed": 0}'], standalone_mode=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="100 and 400 studies; nothing is recorded")
    parser.add_argument("--sizes", type=int, nargs="+", default=[250, 1000, 10000], help="numbers of studies")
    options = parser.parse_args()
    rows = dag_rows([100, 400] if options.quick else options.sizes)
    rows.append(overhead_row())
    print(line(rows[-1]))
    if not options.quick:
        print(write("workflow", rows, PACKAGES))


if __name__ == "__main__":
    main()
