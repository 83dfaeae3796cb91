"""Which steps of a run ask for a card, and that a run which cannot have one does not begin."""

import subprocess
import sys
from pathlib import Path

import pytest

from medidiff import plan
from medidiff.config import load

ROOT = Path(__file__).parents[2]
SYSTEM = {"system": {"system": "burgers", "solver_cells": 128, "solver_frames": 32}}


def config(device: str, own: str = "auto"):
    system = SYSTEM | {"operate": {"device": own}}
    return load({"device": device, "studies": {"systems": {"B": system}}, "segment": {"windows": {"device": own}}})


@pytest.mark.parametrize(
    ("run", "own", "used"), [("cpu", "auto", "cpu"), ("cuda", "auto", "cuda"), ("cuda", "cpu", "cpu"), ("auto", "auto", "auto")]
)
def test_a_section_that_leaves_the_device_open_takes_that_of_the_run(run, own, used):
    assert plan.network_settings(config(run, own)).windows.device == used
    assert plan.operate_settings(config(run, own), "B").device == used


@pytest.mark.parametrize(
    ("run", "own", "wanted"), [("cpu", "auto", False), ("auto", "auto", False), ("cuda", "auto", True), ("cpu", "cuda", True)]
)
def test_a_run_wants_a_card_where_any_section_asks_for_one(run, own, wanted):
    assert plan.wants_card(config(run, own)) == wanted


def test_a_local_run_without_the_card_it_wants_ends_before_any_job(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    (tmp_path / "run.yaml").write_text("device: cuda\nstudies: {phantoms: {A: {}}}\n")
    done = subprocess.run([sys.executable, "-m", "medidiff", "run", "run.yaml"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2 and "device is cuda, and this machine has no card" in done.stderr
    assert not (tmp_path / "results").exists()


def test_steps_of_networks_alone_reserve_a_card():
    rules = {}
    for path in (ROOT / "workflow" / "rules").glob("*.smk"):
        for rule in path.read_text().split("\nrule ")[1:]:
            rules[rule.split(":")[0]] = "gpu=cards_of" in rule
    assert {name for name, reserves in rules.items() if reserves} == {"segment_by_network", "operate", "super_resolve", "control"}
