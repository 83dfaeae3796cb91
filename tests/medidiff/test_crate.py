"""The results folder as a Process Run Crate."""

import json
from pathlib import Path

import pytest

from medidiff.crate import COMPLETED, FAILED, FILE, write_crate
from medidiff.plan import Job
from medidiff.progress import State
from medidiff.record import Record, sha256

STARTED = {"started": "2026-11-24T10:00:00+01:00", "seconds": 90.5}


@pytest.fixture
def states(tmp_path):
    """A scan simulated and reconstructed, and a patient whose source folder has a name that nobody may read."""
    results = tmp_path / "results"
    source = tmp_path / "DOE^JANE"
    source.mkdir()
    (source / "1.dcm").write_bytes(b"slice")

    def done(study: str, step: str, method: str, inputs: list[Path], output: str) -> State:
        folder = results / study / step
        folder.mkdir(parents=True, exist_ok=True)
        (folder / output).write_text(f"{study} {output}")
        record = folder / f"{method or step}.json"
        Record(step, study, method, 1, {}, inputs, [folder / output], command=["x", str(source)], run=STARTED).write(record)
        return State(Job(step, study, method, record, tmp_path / "log"), "done", [])

    first = done("C", "simulate", "", [source], "measurement.h5")
    second = done("C", "reconstruct", "tv", [results / "C/simulate/measurement.h5"], "tv.nii.gz")
    tried = {"attempt": 1, "start": "2026-11-24T10:00:00+01:00", "end": "2026-11-24T10:00:02+01:00", "exit": 3}
    job = Job("convert", "P", "", results / "P/convert/convert.json", tmp_path / "log")
    return results, [first, second, State(job, "failed", [tried], "slice 18 is missing.")]


def graph(results: Path, states: list[State], **options) -> dict[str, dict]:
    path = write_crate(results, states, title="Cohort", **{"license": "https://spdx.org/licenses/CC-BY-4.0", **options})
    return {entity["@id"]: entity for entity in json.loads(path.read_text())["@graph"]}


def test_every_file_and_record_is_a_part_with_its_hash(states):
    found = graph(*states)
    names = {part["@id"] for part in found["./"]["hasPart"]}
    assert names == {
        "C/simulate/measurement.h5",
        "C/simulate/simulate.json",
        "C/reconstruct/tv.nii.gz",
        "C/reconstruct/tv.json",
    }
    for name in names:
        assert found[name]["sha256"] == sha256(states[0] / name)


def test_what_one_step_made_is_what_the_next_one_read(states):
    found = graph(*states)
    reconstruction = found["#C/reconstruct/tv"]
    assert reconstruction["object"] == {"@id": "C/simulate/measurement.h5"}
    assert reconstruction["startTime"] == "2026-11-24T10:00:00+01:00"
    assert reconstruction["endTime"] == "2026-11-24T10:01:30+01:00"
    assert reconstruction["actionStatus"] == COMPLETED
    assert found[reconstruction["instrument"]["@id"]]["@type"] == "SoftwareApplication"


def test_a_failed_step_is_an_action_with_its_error(states):
    action = graph(*states)["#P/convert"]
    assert action["actionStatus"] == FAILED and action["error"] == "slice 18 is missing."
    assert "result" not in action


def test_every_reference_leads_to_an_entity(states):
    found = graph(*states)
    keys = ("hasPart", "mentions", "object", "result", "instrument", "license", "conformsTo", "about")
    for entity in found.values():
        for value in (entity.get(key) for key in keys):
            for reference in value if isinstance(value, list) else [value]:
                if isinstance(reference, dict) and not reference["@id"].startswith("https://w3id.org/ro/crate/"):
                    assert reference["@id"] in found, reference


def test_the_names_of_source_folders_and_the_commands_stay_out(states):
    results, steps = states
    text = write_crate(results, steps, title="Cohort", license="as agreed").read_text()
    assert "DOE" not in text and str(results.parent) not in text


def test_the_same_records_give_the_same_bytes(states):
    results, steps = states
    first = write_crate(results, steps, title="Cohort", license="as agreed").read_bytes()
    assert (results / FILE).read_bytes() == first == write_crate(results, steps, title="Cohort", license="as agreed").read_bytes()


def test_a_run_without_any_result_is_a_valid_empty_crate(tmp_path):
    found = graph(tmp_path, [], license="as agreed")
    assert found["./"]["hasPart"] == [] and found["./"]["datePublished"] == "1970-01-01"
