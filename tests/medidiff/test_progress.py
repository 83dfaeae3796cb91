"""States of steps from what they leave behind."""

import os
import platform

from medidiff.journal import append
from medidiff.plan import Job
from medidiff.progress import state_of


def job(folder):
    return Job("segment", "A", "suv2", folder / "suv2.json", folder / "A_suv2.log")


def attempt(folder, identity, **facts):
    append(folder / "A_suv2.jsonl", {"id": identity, "host": platform.node(), "pid": 2**22 + 1, **facts})


def test_a_step_that_left_nothing_waits(tmp_path):
    assert state_of(job(tmp_path)).word == "waiting"


def test_a_record_after_a_good_attempt_is_done(tmp_path):
    attempt(tmp_path, "a", start="1")
    attempt(tmp_path, "a", exit=0)
    (tmp_path / "suv2.json").write_text("{}")
    assert state_of(job(tmp_path)).word == "done"


def test_a_failure_carries_its_message_and_counts_attempts(tmp_path):
    for identity in ("a", "b"):
        attempt(tmp_path, identity, start="1")
        attempt(tmp_path, identity, exit=3, error="A: cut")
    state = state_of(job(tmp_path))
    assert (state.word, state.error, len(state.attempts)) == ("failed", "A: cut", 2)
    assert [entry["attempt"] for entry in state.attempts] == [1, 2]


def test_an_attempt_without_an_end_whose_process_is_gone_was_killed(tmp_path):
    attempt(tmp_path, "a", start="1")
    state = state_of(job(tmp_path))
    assert state.word == "failed" and "killed" in state.error


def test_an_attempt_on_another_machine_may_still_run(tmp_path):
    append(tmp_path / "A_suv2.jsonl", {"id": "a", "host": "elsewhere", "pid": os.getpid()})
    assert state_of(job(tmp_path)).word == "running"


def test_a_torn_line_is_left_out(tmp_path):
    attempt(tmp_path, "a", exit=3, error="first")
    with open(tmp_path / "A_suv2.jsonl", "a") as file:
        file.write('{"id": "b", "exi')
    assert state_of(job(tmp_path)).error == "first"
