"""The rules keep their contract: lint, format, and what no rule may hold."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
RULES = sorted((ROOT / "workflow" / "rules").glob("*.smk"))


def run(*command, **options):
    return subprocess.run([BIN / command[0], *command[1:]], cwd=ROOT, capture_output=True, text=True, **options)


def test_rules_never_retry_group_or_checkpoint():
    text = "\n".join(path.read_text() for path in RULES)
    assert len(re.findall(r"^rule ", text, re.M)) >= 8
    for word in ("retries:", "group:", "checkpoint ", "shadow:", "directory(", "script:"):
        assert word not in text


def test_every_rule_that_runs_the_command_line_has_a_log_and_the_environment():
    for path in RULES:
        for rule in re.split(r"^rule ", path.read_text(), flags=re.M)[1:]:
            assert "log:" in rule and "conda:" in rule and "medidiff " in rule, rule.split(":")[0]
            assert "--log {log}" in rule, rule.split(":")[0]


def test_all_values_that_a_user_can_set_are_quoted():
    for path in RULES:
        for value in re.findall(r"\{params\.(?:settings|folder|series|structures|title|results|logs)[^}]*\}", path.read_text()):
            assert value.endswith(":q}"), value


def test_snakemakes_linter_finds_nothing():
    done = run("snakemake", "--lint", "--configfile", "configs/demo.yaml")
    assert done.returncode == 0 and "good condition" in done.stdout + done.stderr


def test_snakefmt_would_change_nothing():
    assert run("snakefmt", "--check", "Snakefile", "workflow").returncode == 0


PATIENTS = {"convert": 6, "truth": 6, "segment": 30, "segment_by_network": 6, "maps": 6, "export": 36, "evaluate": 36}
SCANS = {"simulate": 2, "reconstruct": 6, "series": 6, "compare": 6}
ECHOES = {"dehaze": 3, "cine": 3, "score": 3}
SYSTEMS = {"trajectories": 2, "operate": 2, "super_resolve": 1, "control": 1}
DEMO = PATIENTS | SCANS | ECHOES | SYSTEMS | {"phantom": 8, "chromatograph": 1, "page": 13, "index": 1, "all": 1}
REAL_PATIENTS = {"convert": 3, "truth": 3, "segment": 15, "segment_by_network": 6, "maps": 6, "export": 21, "evaluate": 21}
REAL_SCANS = {"simulate": 3, "acquire": 1, "reconstruct": 12, "series": 12, "compare": 9, "dehaze": 2, "cine": 2, "score": 2}


def job_counts(*arguments):
    done = run("snakemake", "-n", "--cores", "2", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    table = re.findall(r"^(\w+) +(\d+)$", done.stdout + done.stderr, re.M)
    return {name: int(count) for name, count in table if name != "total"}


@pytest.mark.parametrize("device", ["cpu", "auto"])
def test_the_demo_has_the_expected_jobs(tmp_path, device):
    where = ["--config", f"pathvars={{'results': '{tmp_path}/r', 'logs': '{tmp_path}/l'}}", f"device={device}"]
    assert job_counts("--configfile", "configs/demo.yaml", *where) == DEMO


@pytest.mark.realdata
def test_the_real_demo_has_the_expected_jobs(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDIDIFF_CACHE", str(tmp_path / "cache"))
    for name in ("crlm-ct-1004-dicom", "kspace-sigpy-larson", "us-clarius-doppler"):  # archives of the mirror
        assert run("medidiff", "data", "get", name).returncode == 0
    where = ["--config", f"pathvars={{'results': '{tmp_path}/r', 'logs': '{tmp_path}/l'}}"]
    expected = REAL_PATIENTS | REAL_SCANS | {"page": 8, "index": 1, "all": 1}
    assert job_counts("--configfile", "configs/demo-real.yaml", *where) == expected


def test_a_wrong_configuration_stops_before_any_job_with_all_its_mistakes():
    done = run("snakemake", "-n", "--configfile", "configs/demo.yaml", "--config", "devise=cpu", "sead=2")
    text = done.stdout + done.stderr
    assert done.returncode == 1
    assert "did you mean `device`?" in text and "did you mean `seed`?" in text


def test_no_configuration_is_one_clear_error():
    done = run("snakemake", "-n")
    assert done.returncode == 1 and "give one with --configfile" in done.stdout + done.stderr
    done = run("medidiff", "run")
    assert done.returncode == 2 and "configs/demo.yaml" in done.stderr
