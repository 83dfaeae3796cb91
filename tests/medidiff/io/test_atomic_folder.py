"""A folder appears whole or not at all, and never in the place of what somebody else put there."""

import pytest

from medidiff.errors import DataError
from medidiff.io.atomic_folder import atomic_folder


def fill(folder, **files):
    with atomic_folder(folder, pattern="*.txt") as temporary:
        for name, content in files.items():
            (temporary / f"{name}.txt").write_text(content)


def test_an_earlier_folder_of_ours_is_replaced_as_a_whole(tmp_path):
    fill(tmp_path / "deep" / "out", a="1", b="2")
    fill(tmp_path / "deep" / "out", a="3")
    assert [path.name for path in (tmp_path / "deep" / "out").iterdir()] == ["a.txt"]
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["out"]


def test_an_error_leaves_the_earlier_folder_as_it_was(tmp_path):
    fill(tmp_path / "out", a="1")
    with pytest.raises(RuntimeError, match="in the middle"), atomic_folder(tmp_path / "out", pattern="*.txt") as temporary:
        (temporary / "a.txt").write_text("2")
        raise RuntimeError("in the middle")
    assert (tmp_path / "out" / "a.txt").read_text() == "1" and len(list(tmp_path.iterdir())) == 1


def test_foreign_files_are_never_replaced(tmp_path):
    fill(tmp_path / "out", a="1")
    (tmp_path / "out" / "thesis.tex").write_text("years")
    with pytest.raises(DataError, match=r"out: holds thesis\.tex, expected nothing, or \*\.txt alone to replace"):
        fill(tmp_path / "out", a="2")
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match=r"file: holds a file"):
        fill(tmp_path / "file", a="2")


def test_a_full_disk_is_named_and_leaves_nothing(tmp_path):
    with (
        pytest.raises(DataError, match=r"could not be written \(No space left"),
        atomic_folder(tmp_path / "out", pattern="*.txt"),
    ):
        raise OSError(28, "No space left on device")
    assert not list(tmp_path.iterdir())


def test_what_a_killed_writer_left_goes_with_the_next_write_of_the_folder(tmp_path):
    import os
    import socket
    import subprocess
    import sys

    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    ours, theirs = f"{socket.gethostname()}.{os.getpid()}", f"{socket.gethostname()}.{ended.pid}"
    for name in (f".tmp.{theirs}.series", f".old.{theirs}.series", f".tmp.{ours}1x.series", f".tmp.{theirs}.other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a").write_text("x")
    with atomic_folder(tmp_path / "series", pattern="*.txt") as temporary:
        (temporary / "b.txt").write_text("y")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([f".tmp.{ours}1x.series", f".tmp.{theirs}.other", "series"])
