"""pyproject.toml, constraints.txt, environment.yml and the Makefile say the same."""

import itertools
import re
import tomllib
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCK = (ROOT / "constraints.txt").read_text()
PINS = dict(line.split("==") for line in LOCK.splitlines() if "==" in line)
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
PIP = dict(line.split("==") for entry in CONDA if isinstance(entry, dict) for line in entry["pip"])


def key(requirement: Requirement) -> str:
    return re.sub(r"[-_.]+", "-", requirement.name).lower()


def test_every_requirement_is_pinned_inside_its_range():
    for text in itertools.chain(PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()):
        requirement = Requirement(text)
        assert Version(PINS[key(requirement)]) in requirement.specifier, text


def test_conda_and_pip_users_get_the_same_versions():
    assert {key(Requirement(text)): PINS[key(Requirement(text))] for text in PROJECT["dependencies"]} == PIP


def test_python_versions_agree():
    python = next(entry for entry in CONDA if isinstance(entry, str) and entry.startswith("python="))
    assert Version(python.split("=")[1]) in Requirement("python" + PROJECT["requires-python"]).specifier
    assert f"python{python.split('=')[1]}" in (ROOT / "Makefile").read_text()


def test_pins_have_no_local_version_so_cpu_and_cuda_builds_both_fit():
    assert not [pin for pin in PINS.items() if "+" in pin[1]]


def test_versions_that_advisories_ask_for_are_the_least_allowed():
    least = {"pydicom": "3.0.2", "monai": "1.6", "torch": "2.10"}
    for text in PROJECT["dependencies"]:
        requirement = Requirement(text)
        if requirement.name in least:
            assert not requirement.specifier.contains("0.1"), text
            assert Version(PINS[requirement.name]) >= Version(least[requirement.name])
    assert PINS["torch"] == "2.13.0"


def test_the_makefile_installs_from_the_lock():
    assert "--constraint constraints.txt" in (ROOT / "Makefile").read_text()
