"""Provenance records."""

import json

import numpy as np
import pytest

from medidiff.errors import DataError
from medidiff.record import Record, fingerprint, read_record, sha256


def written(folder, **changes):
    (folder / "in.txt").write_text("input")
    (folder / "out.txt").write_text("output")
    facts = {
        "task": "segment",
        "study": "A",
        "method": "suv2",
        "result_version": 1,
        "settings": {"a": 1},
        "inputs": [folder / "in.txt"],
        "outputs": [folder / "out.txt"],
    }
    Record(**{**facts, **changes}).write(folder / "record.json")
    return read_record(folder / "record.json")


def test_a_record_names_inputs_outputs_versions_and_settings(tmp_path):
    record = written(tmp_path, numbers={"volume_ml": 2.5}, warnings=["look"], run={"seconds": 1.0})
    assert record["inputs"] == [{"path": "in.txt", "sha256": sha256(tmp_path / "in.txt")}]
    assert record["result"]["outputs"] == {"out.txt": sha256(tmp_path / "out.txt")}
    assert record["result"]["numbers"] == {"volume_ml": 2.5}
    assert {"python", "numpy", "nibabel", "pydicom"} <= set(record["versions"])
    assert record["run"]["seconds"] == 1.0


def test_undefined_and_infinite_numbers_stay_valid_json(tmp_path):
    numbers = {"dice": float("nan"), "hd95": np.float64("inf"), "list": [np.float32(1.5), -np.inf], "n": np.int64(3)}
    record = written(tmp_path, numbers=numbers)
    assert record["result"]["numbers"] == {"dice": None, "hd95": "inf", "list": [1.5, "-inf"], "n": 3}
    json.loads((tmp_path / "record.json").read_text(), parse_constant=pytest.fail)


def test_only_the_run_part_differs_between_two_equal_results(tmp_path):
    first, second = written(tmp_path, run={"seconds": 1}), written(tmp_path, run={"seconds": 2})
    assert first.pop("run") != second.pop("run")
    assert first == second


def test_the_fingerprint_of_a_folder_depends_on_names_and_contents_but_not_on_where_it_is(tmp_path):
    for place in ("a/study", "b/study", "c/study"):
        (tmp_path / place / "sub").mkdir(parents=True)
        (tmp_path / place / "sub" / "1.dcm").write_bytes(b"1" if place != "c/study" else b"2")
    first, second, other = (fingerprint(tmp_path / place) for place in ("a/study", "b/study", "c/study"))
    assert first == second != other
    assert first["files"] == 1
    assert str(tmp_path) not in json.dumps(first)


def test_what_is_no_record_is_refused(tmp_path):
    for text in ("", "[1]", '{"task": 1}', "{"):
        (tmp_path / "x.json").write_text(text)
        with pytest.raises(DataError, match=r"x\.json: (not a readable record|JSON, but not a record)"):
            read_record(tmp_path / "x.json")
