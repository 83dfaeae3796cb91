"""The bill of materials and NOTICE name what the lock pins, with licences, and come out the same every time."""

import json
import re
import tomllib
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
SPEC = spec_from_file_location("sbom", ROOT / "tools" / "sbom.py")  # a script, no part of the package
sbom = module_from_spec(SPEC)
SPEC.loader.exec_module(sbom)
BILL = json.loads((ROOT / "sbom.cdx.json").read_text())
PINS = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line)
VERSIONS = {sbom.normalised(component["name"]): component["version"] for component in BILL["components"]}


def test_every_component_has_the_version_of_the_lock():
    assert {name: PINS.get(name) for name in VERSIONS} == VERSIONS


def test_every_direct_dependency_is_in_the_bill():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {sbom.normalised(Requirement(text).name) for text in project["dependencies"]}
    assert needed <= VERSIONS.keys()
    medidiff = next(entry for entry in BILL["dependencies"] if entry["ref"].startswith("pkg:pypi/medidiff@"))
    assert {re.match(r"pkg:pypi/([^@]+)@", ref)[1] for ref in medidiff["dependsOn"]} == needed


def test_every_dependency_leads_to_a_component_with_a_licence():
    known = {component["bom-ref"] for component in BILL["components"]}
    assert {ref for entry in BILL["dependencies"] for ref in entry["dependsOn"]} <= known
    assert all(sbom._text(component["licenses"][0]) != "not stated" for component in BILL["components"])


def test_the_notice_has_one_line_for_each_component():
    lines = (ROOT / "NOTICE").read_text().removeprefix(sbom.HEAD).splitlines()
    assert [line.split(":")[0] for line in lines] == [f"{c['name']} {c['version']}" for c in BILL["components"]]


def test_the_same_packages_give_the_same_bytes_wherever_they_are_installed():
    document = sbom.bill(sbom.closure("packaging"))
    assert json.dumps(document) == json.dumps(sbom.bill(sbom.closure("packaging")))
    assert str(Path.home()) not in json.dumps(document) and "serialNumber" not in document


def test_an_extra_that_nobody_asked_for_brings_nothing():
    assert "pytest" not in sbom.closure("medidiff")
