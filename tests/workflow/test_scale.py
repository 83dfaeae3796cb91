"""Runs of many studies: every job is planned, no command grows with their number, and other workflows can take it all over."""

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
KINDS = {  # of study: columns of the table, and the rules that its study passes through, with how often
    "petct": ("folder", "", "RTSTRUCT", {"convert": 1, "truth": 1, "segment": 2, "export": 2, "evaluate": 2}),
    "ct": ("raw.h5", "", "", {"acquire": 1, "reconstruct": 1, "series": 1}),
    "mr": ("raw.h5", "fastmri", "inside", {"acquire": 1, "reference": 1, "reconstruct": 1, "series": 1, "compare": 1}),
    "lc": ("trace.csv", "", "", {"chromatograph": 1}),
}
CONFIG = {
    "studies": {"table": "studies.tsv"},
    "segment": {"methods": ["suv2.5", "watershed"]},
    "reconstruct": {"ct": {"methods": ["fbp"]}, "mr": {"methods": ["zerofilled"]}},
}


def snakemake(folder, *options):
    command = [BIN / "snakemake", "--snakefile", ROOT / "Snakefile", "--configfile", "run.yaml", "--cores", "2", *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def make_cohort(folder: Path, each: int) -> None:
    """A table of many studies of every kind that a table can hold, one of them rejected."""
    (folder / "folder").mkdir()
    for name in ("raw.h5", "trace.csv"):
        (folder / name).touch()
    lines = ["study\tkind\tpath\tformat\ttruth\tstatus\treason", "LEFT\tlc\ttrace.csv\t\t\treject\tno peak"]
    for kind, (path, layout, truth, _) in KINDS.items():
        lines += [f"{kind}-{number}\t{kind}\t{path}\t{layout}\t{truth}\tok\t" for number in range(each)]
    (folder / "studies.tsv").write_text("\n".join(lines) + "\n")
    (folder / "run.yaml").write_text(json.dumps(CONFIG))


def expected(each: int) -> dict[str, int]:
    counts = {"page": len(KINDS) * each, "index": 1, "all": 1}
    for *_, rules in KINDS.values():
        for rule, count in rules.items():
            counts[rule] = counts.get(rule, 0) + count * each
    return counts


def counted(text: str) -> dict[str, int]:
    return {rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", text, re.M) if rule != "total"}


def test_a_dry_run_of_a_hundred_studies_plans_every_job_and_writes_nothing(tmp_path):
    make_cohort(tmp_path, each=25)
    before = sorted(path.name for path in tmp_path.iterdir())
    done = snakemake(tmp_path, "-n", "--quiet", "rules")
    assert done.returncode == 0, done.stdout + done.stderr
    assert counted(done.stdout + done.stderr) == expected(each=25)
    assert [path.name for path in sorted(tmp_path.iterdir()) if path.name != ".snakemake"] == before


def test_the_command_of_the_index_names_the_table_and_not_its_studies(tmp_path):
    make_cohort(tmp_path, each=3)
    done = snakemake(tmp_path, "-n", "--printshellcmds")
    [command] = [line for line in (done.stdout + done.stderr).splitlines() if "medidiff index" in line]
    assert "--studies studies.tsv" in command and "petct-0" not in command


@pytest.mark.slow
def test_ten_times_the_studies_take_at_most_fifteen_times_the_work(tmp_path):
    """Calls of functions, unlike seconds, are the same on a busy machine."""
    calls = {}
    for each in (25, 250):
        folder = tmp_path / str(each)
        folder.mkdir()
        make_cohort(folder, each)
        profiled = [sys.executable, "-m", "cProfile", "-o", "profile", "-m", "snakemake", "--snakefile", ROOT / "Snakefile"]
        options = ["--configfile", "run.yaml", "--cores", "2", "-n", "--quiet", "rules"]
        done = subprocess.run([*profiled, *options], cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        count = "import pstats; print(pstats.Stats('profile').total_calls)"
        calls[each] = int(subprocess.run([sys.executable, "-c", count], cwd=folder, capture_output=True, text=True).stdout)
    assert calls[250] < 15 * calls[25]


IMPORTER = f"""
folders = {{name: "theirs/" + name for name in ("results", "logs", "benchmarks")}}

module medidiff:
    snakefile: "{ROOT}/Snakefile"
    config: {{"studies": {{"chromatograms": {{"L1": {{"seed": 1}}}}}}, "pathvars": folders}}

use rule * from medidiff as medidiff_*

rule mine:
    default_target: True
    input: rules.medidiff_all.input
    output: "mine.txt"
    shell: "ls theirs/results/report > {{output}}"
"""


def test_another_workflow_takes_over_every_rule_under_a_prefix_and_a_folder_of_its_own(tmp_path):
    (tmp_path / "Snakefile").write_text(IMPORTER)
    done = subprocess.run([BIN / "snakemake", "-n", "--cores", "1"], cwd=tmp_path, capture_output=True, text=True)
    text = done.stdout + done.stderr
    assert done.returncode == 0, text
    jobs = ("phantom", "chromatograph", "page", "index")
    assert counted(text) == {f"medidiff_{job}": 1 for job in jobs} | {"mine": 1}
    written = re.findall(r"^    output: (.*)$", text, re.M)
    assert all(path.startswith("theirs/results/") or path == "mine.txt" for line in written for path in line.split(", "))


@pytest.mark.slow
def test_snakemakes_own_report_holds_every_page(finished):
    status, text = finished.run("--report", "report.zip")
    assert status == 0, text[-4000:]
    with zipfile.ZipFile(finished.folder / "report.zip") as report:
        pages = {Path(name).name for name in report.namelist()}
    assert {"A.html", "B.html", "index.html", "report.html"} <= pages
