"""What surrounds a step: exit status, log, journal, signals, lock."""

import os
import signal
import subprocess
import sys
import time

import pytest

from medidiff.journal import attempts, read_journal

BODY = """
import sys, time
from pathlib import Path
from medidiff.cli.step import step, log
from medidiff.io.atomic import atomic_path
from medidiff import errors
folder = Path(sys.argv[1])
with step("demo", study="A", log_file=folder / "logs" / "A.log"):
    log.info("hello")
    {body}
"""


def start(folder, body, **environment):
    code = BODY.replace("{body}", body)
    return subprocess.Popen(
        [sys.executable, "-c", code, str(folder)], stderr=subprocess.PIPE, text=True, env=os.environ | environment
    )


def journal(folder):
    return attempts(read_journal(folder / "logs" / "A.jsonl"))


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ("pass", 0, ""),
        ("raise errors.ConfigError('x.yaml: wrong')", 2, "x.yaml: wrong"),
        ("raise errors.DataError('A/0001.dcm: cut')", 3, "A/0001.dcm: cut"),
        ("raise errors.NumericsError('A: grew')", 4, "A: grew"),
        ("1 / 0", 1, "ZeroDivisionError: division by zero"),
    ],
)
def test_exit_status_and_one_message_without_traceback(tmp_path, body, status, message):
    process = start(tmp_path, body)
    _, errors = process.communicate()
    assert process.returncode == status
    assert message in errors and "Traceback" not in errors
    log = (tmp_path / "logs" / "A.log").read_text()
    assert "hello" in log and message in log and "Traceback" not in log
    assert (tmp_path / "logs" / "A.traceback").exists() == (status != 0)
    (attempt,) = journal(tmp_path)
    assert attempt["exit"] == status and attempt.get("error", "") == message
    assert attempt["peak_rss_mb"] > 1 and attempt["seconds"] >= 0


def test_every_attempt_and_the_log_of_each_failed_one_is_kept(tmp_path):
    for body in ("raise errors.DataError('first')", "raise errors.DataError('second')", "pass"):
        start(tmp_path, body).communicate()
        (tmp_path / "logs" / "A.log").unlink()  # as snakemake does before the next attempt
    assert [attempt["exit"] for attempt in journal(tmp_path)] == [3, 3, 0]
    assert "first" in (tmp_path / "logs" / "A.log.1").read_text()
    assert "second" in (tmp_path / "logs" / "A.log.2").read_text()


WRITE_SLOWLY = "exec(\"with atomic_path(folder / 'out') as t:\\n t.write_text('half'); time.sleep(30)\")"


def wait_for(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def test_sigterm_leaves_no_temporary_file_and_is_written_down(tmp_path):
    process = start(tmp_path, WRITE_SLOWLY)
    wait_for(lambda: list(tmp_path.glob(".tmp.*")))
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 143
    process.stderr.close()
    assert os.listdir(tmp_path) == ["logs"]
    assert journal(tmp_path)[0]["exit"] == 143


def test_a_step_ends_when_its_workflow_is_killed(tmp_path):
    workflow = subprocess.Popen(["sleep", "60"])
    process = start(tmp_path, WRITE_SLOWLY, MEDIDIFF_SUPERVISOR=str(workflow.pid))
    wait_for(lambda: list(tmp_path.glob(".tmp.*")))
    workflow.kill()
    workflow.wait()
    assert process.wait(10) == 143
    process.stderr.close()
    assert os.listdir(tmp_path) == ["logs"]


def test_a_killed_attempt_has_no_end(tmp_path):
    process = start(tmp_path, WRITE_SLOWLY)
    wait_for(lambda: list(tmp_path.glob(".tmp.*")))
    process.kill()
    process.communicate()
    (attempt,) = journal(tmp_path)
    assert "exit" not in attempt and attempt["pid"] == process.pid


def test_a_second_writer_waits_for_the_first(tmp_path):
    first = start(tmp_path, "time.sleep(1.5); (folder / 'order').open('a').write('1')")
    wait_for(lambda: (tmp_path / "logs" / "A.jsonl").exists())
    second = start(tmp_path, "(folder / 'order').open('a').write('2')")
    second.communicate()
    first.communicate()
    assert (tmp_path / "order").read_text() == "12"
