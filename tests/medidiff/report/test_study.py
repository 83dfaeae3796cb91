import pytest

from medidiff.report.study import command_line, flat, number


def test_records_attempts_and_numbers_of_a_finished_study(workspace):
    workspace.petct("P-1")
    study = workspace.study("P-1")
    assert study.state == "done" and study.error == "" and study.methods == ["suv2", "suv4"]
    assert list(study.records)[:2] == [("convert", ""), ("segment", "suv2")]
    assert study.measures("suv2") == {"volume_ml": 3.25, "dice": 0.9, "hd95_mm": 4.5}
    assert study.warnings == [("convert", "odd dose")]
    assert [a.outcome for a in study.attempts] == ["ok"] * 5


def test_the_latest_attempt_decides(workspace):
    workspace.petct("P-1")
    workspace.attempt("P-1", "segment", "suv4", status=1, error="RuntimeError: out of memory")
    assert workspace.study("P-1").state == "failed"
    workspace.attempt("P-1", "segment", "suv4")
    study = workspace.study("P-1")
    assert study.state == "done" and study.failures == []
    assert [a.facts["attempt"] for a in study.attempts if a.step == "segment" and a.method == "suv4"] == [1, 2, 3]


def test_an_attempt_without_an_end_is_unfinished(workspace):
    workspace.attempt("P-1", "convert", status=None)
    study = workspace.study("P-1")
    assert study.state == "unfinished" and study.attempts[0].outcome == "unfinished"


def test_a_study_without_files_waits_and_one_left_out_is_rejected(workspace):
    assert workspace.study("P-9").state == "waiting"
    rejected = workspace.study("P-9", rejected="no PET")
    assert rejected.state == "rejected" and rejected.error == "no PET"


def test_journals_of_a_study_with_a_longer_name_are_not_taken(workspace):
    workspace.failed("P-10")
    workspace.attempt("P-1", "convert")
    assert workspace.study("P-1").state == "waiting"
    assert len(workspace.study("P-1").attempts) == 1


@pytest.mark.parametrize("content", ["", "{", "[1, 2]", '{"task": "segment"}'])
def test_an_unreadable_record_is_a_warning_that_names_the_file_inside_the_study(workspace, content):
    workspace.petct("P-1")
    (workspace.results / "P-1/segment/suv2.json").write_text(content)
    study = workspace.study("P-1")
    [text] = [text for step, text in study.warnings if step == "report"]
    assert text.startswith("segment/suv2.json: ") and str(workspace.root) not in text


@pytest.mark.parametrize("result", [None, [], "x", {}, {"numbers": 3, "warnings": "x"}, {"numbers": {"dice": "high", "n": True}}])
def test_records_of_another_shape_do_no_harm(workspace, result):
    workspace.record("P-1", "evaluate/suv2.json", "evaluate", "suv2", result=result)
    study = workspace.study("P-1")
    assert study.measures("suv2") == {} and study.warnings == []


def test_torn_lines_of_a_journal_are_left_out(workspace):
    workspace.attempt("P-1", "convert")
    with open(workspace.logs / "convert/P-1.jsonl", "a") as file:
        file.write('{"id": "a9", "ste')
    assert len(workspace.study("P-1").attempts) == 1


def test_nested_numbers_are_joined_by_dots_and_lists_of_entries_by_their_name():
    nested = {"pet": {"dose": 3, "candidates": [{"name": "series", "delay_s": 1.5}, {"delay_s": 2}]}, "shape": [1, 2]}
    assert dict(flat(nested)) == {
        "pet.dose": 3,
        "pet.candidates.series.name": "series",
        "pet.candidates.series.delay_s": 1.5,
        "pet.candidates.2.delay_s": 2,
        "shape": [1, 2],
    }


def test_only_numbers_are_measures():
    assert [number(v) for v in (1, 2.5, "inf", "-inf", "x", None, True, float("nan"), [1])] == [
        1.0,
        2.5,
        float("inf"),
        float("-inf"),
        None,
        None,
        None,
        None,
        None,
    ]


def test_a_command_is_quoted_for_the_shell():
    assert (
        command_line(["segment", "my scan.nii.gz", "--settings", '{"a": 1}'])
        == """medidiff segment 'my scan.nii.gz' --settings '{"a": 1}'"""
    )
    assert command_line("medidiff segment x") == "medidiff segment x"
    assert command_line(None) == ""
