"""Steps done again from their records."""

import json

import pytest

from medidiff.errors import DataError
from medidiff.record import Record, read_record
from medidiff.repetition import repeat


@pytest.fixture
def step(tmp_path, monkeypatch):
    """A record whose command copies `in.txt` beside itself, in place of `medidiff`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "in.txt").write_text("input")
    package = tmp_path / "code" / "medidiff"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "__main__.py").write_text(
        "import json, shutil, sys\nfrom hashlib import sha256\nfrom pathlib import Path\n"
        "source, copy, folder, record = map(Path, sys.argv[1:5])\n"
        "folder.mkdir(parents=True, exist_ok=True)\n(folder / 'slice').write_text('again')\n"
        "shutil.copy(source, copy)\ndigest = sha256(copy.read_bytes()).hexdigest()\n"
        "facts = {'task': 'x', 'inputs': [{'path': source.name, 'sha256': digest}]}\n"
        "facts['result'] = {'numbers': {}, 'warnings': [], 'outputs': {copy.name: digest}}\n"
        "record.write_text(json.dumps(facts))\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "code"))
    (tmp_path / "out" / "copy.txt").write_text("input")
    (tmp_path / "out" / "series").mkdir()
    (tmp_path / "out" / "series" / "slice").write_text("first")
    command = ["in.txt", "out/copy.txt", "out/series", "out/record.json"]
    outputs = [tmp_path / "out" / "copy.txt"]
    record = Record("x", "A", "", 1, {}, [tmp_path / "in.txt"], outputs, command=command)
    record.write(tmp_path / "out" / "record.json")
    return tmp_path / "out" / "record.json"


def test_an_equal_result_has_no_differences_and_nothing_of_the_first_is_touched(step):
    before = {path: path.read_bytes() for path in step.parent.rglob("*") if path.is_file()}
    assert repeat(step) == []
    assert {path: path.read_bytes() for path in step.parent.rglob("*") if path.is_file()} == before


def test_a_changed_input_is_named_beside_the_output_that_it_changed(step):
    step.parents[1].joinpath("in.txt").write_text("other")
    found = repeat(step)
    assert found[0] == "copy.txt: other bytes" and "input in.txt: other content now" in found


def test_a_step_that_fails_says_what_it_said(step):
    step.parents[1].joinpath("in.txt").unlink()
    with pytest.raises(DataError, match=r"(?s)record\.json: the step failed when run again in .*in\.txt"):
        repeat(step)


def test_a_record_that_was_moved_is_refused(step):
    moved = step.with_name("elsewhere.json")
    step.rename(moved)
    with pytest.raises(DataError, match="writes another record"):
        repeat(moved)


def test_a_record_without_a_command_is_refused(step):
    content = read_record(step)
    step.write_text(json.dumps(content | {"command": []}))
    with pytest.raises(DataError, match="holds no command"):
        repeat(step)
