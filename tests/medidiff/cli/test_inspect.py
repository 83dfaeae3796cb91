"""What `medidiff status`, `why` and `crate` say of a run, from the files that it left."""

import json

import pytest
from typer.testing import CliRunner

from medidiff.cli.app import app
from medidiff.errors import ConfigError
from medidiff.record import Record


def call(*arguments: str) -> str:
    done = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def attempt(name: str, status: int, number: int = 0, **facts) -> None:
    common = {"id": f"{name}{number}"}
    entries = [common | {"host": "node7", "pid": 1, "start": "2026-11-24T10:00:00+00:00", "command": ["chromatograph", "a b"]}]
    entries.append(common | {"end": "2026-11-24T10:00:02+00:00", "exit": status, "seconds": 2.0, "peak_rss_mb": 300.5} | facts)
    with open(f"logs/chromatograph/{name}.jsonl", "a") as file:
        file.writelines(json.dumps(entry) + "\n" for entry in entries)


@pytest.fixture
def many(tmp_path, monkeypatch):
    """A table of 102 chromatograms: 60 done, 1 failed twice, 40 waiting, 1 rejected."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").touch()
    (tmp_path / "logs" / "chromatograph").mkdir(parents=True)
    lines = ["study\tkind\tpath\tstatus\treason", "LEFT\tlc\ta.csv\treject\tno peak", "BAD\tlc\ta.csv\tok\t"]
    lines += [f"L{number}\tlc\ta.csv\tok\t" for number in range(100)]
    (tmp_path / "studies.tsv").write_text("\n".join(lines) + "\n")
    (tmp_path / "run.yaml").write_text("studies: {table: studies.tsv}\n")
    for number in range(60):
        folder = tmp_path / "results" / f"L{number}" / "chromatograph"
        folder.mkdir(parents=True)
        Record("chromatograph", f"L{number}", "", 1, {}, [], []).write(folder / "chromatograph.json")
        page = tmp_path / "results" / "report" / f"L{number}.html"
        page.parent.mkdir(exist_ok=True)
        page.touch()
        attempt(f"L{number}", 0)
    for number in range(2):
        attempt("BAD", 3, number, error="a.csv: no time unit.\nSay it in the header.", error_class="DataError")
    (tmp_path / "logs" / "chromatograph" / "BAD.log").touch()
    return tmp_path


def test_of_many_studies_status_lists_those_that_failed_and_counts_the_others(many):
    text = call("status", "run.yaml")
    assert "studies: 1 failed, 0 running, 40 waiting, 60 done, 1 left out" in text
    assert "steps: 120 done, 0 running, 1 failed, 81 waiting" in text
    assert "BAD" in text and "a.csv: no time unit." in " ".join(text.split()) and "L59" not in text
    assert "1 of 102 studies shown" in text


def test_status_of_all_names_every_study_failed_ones_first(many):
    text = call("status", "run.yaml", "--all")
    assert text.index("BAD") < text.index("L99") < text.index("L0 ") < text.index("LEFT")
    assert "studies shown" not in text


def test_why_tells_every_attempt_the_error_the_log_and_what_repeats_it(many):
    text = call("why", "BAD", "run.yaml")
    assert text.count("on node7: exit 3, 2.0 s, 300.5 MB") == 2
    assert "  a.csv: no time unit.\n  Say it in the header.\n  log: logs/chromatograph/BAD.log\n" in text
    assert "repeat: medidiff chromatograph 'a b'" in text
    assert "page: waiting; it comes after chromatograph, which failed" in text


def test_why_says_that_a_study_was_left_out(many):
    assert call("why", "LEFT", "run.yaml") == "LEFT: left out of the run: no peak\n"


def test_why_offers_the_nearest_names_and_not_all_of_them(many):
    with pytest.raises(ConfigError, match=r"L100: no such study among the 102 of this run; the nearest names are L10, "):
        call("why", "L100", "run.yaml")


def test_the_crate_has_an_action_for_every_step_that_ended(many):
    [path] = call("crate", "run.yaml").split()
    graph = json.loads((many / path).read_text())["@graph"]
    actions = [entity["name"] for entity in graph if entity["@type"] == "CreateAction"]
    assert len(actions) == 61 and "chromatograph of BAD" in actions
