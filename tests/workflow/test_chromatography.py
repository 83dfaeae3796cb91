"""Chromatograms through the whole workflow: done once, nothing done twice, a bad one fails alone."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from medidiff.io.chromatogram.andi import read_andi
from medidiff.io.chromatogram.csvfile import write_csv

BIN = Path(sys.executable).parent
ROOT = Path(__file__).parents[2]
CONFIG = {
    "title": "Traces",
    "device": "cpu",
    "studies": {"chromatograms": {"A": {"seed": 1}}, "programmes": ["P"]},
    "chromatograph": {"comparison": {"solvers": ["kernel", "transit_grid"], "cells": 100, "analytes": ["benzene"]}},
    "elute": {"programmes": {"P": {"published": "A"}}},
    "pathvars": {"results": "results", "logs": "logs", "benchmarks": "benchmarks"},
}


def medidiff(folder, *arguments):
    environment = os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}"}
    command = [sys.executable, "-m", "medidiff", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def run(folder, config, *more):
    (folder / "run.yaml").write_text(yaml.safe_dump(config))
    done = medidiff(folder, "run", "run.yaml", "--cores", "2", *(["--", *more] if more else []))
    return done.returncode, done.stdout + done.stderr


def with_analytes():
    names = ("benzene", "toluene", "ethylbenzene", "m/p-xylene", "o-xylene")
    return CONFIG | {"chromatograph": CONFIG["chromatograph"] | {"analytes": [{"name": name} for name in names]}}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("traces with spaces")
    status, text = run(folder, with_analytes())
    assert status == 0, text[-4000:]
    return folder


def numbers(path):
    return json.loads(path.read_text())["result"]["numbers"]


def test_every_trace_has_its_parameters_near_the_truth_and_a_page(finished):
    truth = json.loads((finished / "results" / "A" / "phantom" / "manifest.json").read_text())["truth"]
    found = numbers(finished / "results" / "A" / "chromatograph" / "chromatograph.json")
    assert list(found["analytes"]) == list(truth)
    for name, values in truth.items():
        assert found["analytes"][name]["retention"] == pytest.approx(values["retention"], rel=2e-3)
        assert found["analytes"][name]["desorption_per_s"] == pytest.approx(values["desorption_per_s"], rel=0.06)
        assert found["analytes"][name]["area"] == pytest.approx(values["area"], rel=0.05)
    assert found["comparison"]["benzene"]["kernel"] < 1e-9
    assert "only known if the hold-up time is" in (finished / "results" / "report" / "A.html").read_text()
    programme = numbers(finished / "results" / "P" / "elute" / "elute.json")
    assert programme["predicted"]["rms_s"] == pytest.approx(3.15, abs=0.02)
    assert not list(finished.rglob(".tmp.*"))


def test_a_second_call_runs_no_job(finished):
    status, text = run(finished, with_analytes())
    assert status == 0 and "Nothing to be done" in text


def test_a_changed_setting_reruns_the_rules_that_read_it_alone(finished):
    def planned(config):
        _, text = run(finished, config, "-n")
        return {name: int(n) for name, n in re.findall(r"^(\w+) +(\d+)$", text, re.M) if name not in ("total", "all")}

    config = with_analytes()
    config["chromatograph"] = config["chromatograph"] | {"fit": {"loss": "soft_l1"}}
    assert planned(config) == {"chromatograph": 1, "page": 1, "index": 1}
    config = with_analytes() | {"elute": {"programmes": {"P": {"published": "B"}}}}
    assert planned(config) == {"elute": 1, "page": 1, "index": 1}


def test_a_result_repeats_byte_for_byte_from_its_record(finished):
    for record in ("A/chromatograph/chromatograph.json", "P/elute/elute.json"):
        done = medidiff(finished, "repeat", f"results/{record}")
        assert done.returncode == 0 and "came out the same" in done.stdout, done.stdout + done.stderr


def test_a_trace_without_a_unit_fails_alone_and_says_why(finished, tmp_path):
    shutil.copy(finished / "results" / "A" / "phantom" / "chromatogram.cdf", tmp_path / "good.cdf")
    (tmp_path / "bad.csv").write_text(write_csv(read_andi(tmp_path / "good.cdf")).replace("time [s]", "time"))
    (tmp_path / "studies.tsv").write_text("study\tkind\tpath\ngood\tlc\tgood.cdf\nbad\tlc\tbad.csv\n")
    config = {key: CONFIG[key] for key in ("title", "device", "pathvars")} | {"studies": {"table": "studies.tsv"}}
    status, _ = run(tmp_path, config)
    assert status == 1
    assert (tmp_path / "results" / "good" / "chromatograph" / "chromatograph.json").is_file()
    failed = [json.loads(line) for line in (tmp_path / "logs" / "chromatograph" / "bad.jsonl").read_text().splitlines()][-1]
    assert failed["exit"] == 3 and failed["error_class"] == "DataError"
    assert "no time unit, expected s or min" in (tmp_path / "results" / "report" / "bad.html").read_text()


def job_counts(name, folder):
    where = ["--config", f"pathvars={{'results': '{folder}/r', 'logs': '{folder}/l'}}"]
    command = [BIN / "snakemake", "-n", "--cores", "2", "--configfile", f"configs/{name}.yaml", *where]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    table = re.findall(r"^(\w+) +(\d+)$", done.stdout + done.stderr, re.M)
    return {name: int(count) for name, count in table if name != "total"}


def test_the_demo_has_the_expected_jobs(tmp_path):
    expected = {"phantom": 2, "chromatograph": 2, "elute": 2, "page": 4, "index": 1, "all": 1}
    assert job_counts("chromatography", tmp_path) == expected


@pytest.mark.realdata
def test_the_real_demo_has_the_expected_jobs(tmp_path):
    assert job_counts("chromatography-real", tmp_path) == {"elute": 2, "page": 2, "index": 1, "all": 1}
