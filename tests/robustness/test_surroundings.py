"""Odd surroundings: names with spaces and signs, a foreign locale, strict permissions, loops of links, pipes, read-only input."""

import hashlib
import os
import stat
import subprocess
import sys
from pathlib import Path

import pydicom
import pytest

from medidiff.io.scan import scan
from medidiff.studies import read_studies
from tests.medidiff.io.conftest import Stack

NAME = "Träger $HOME 'a' \"b\" =1+1"


def hashes(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture
def odd(tmp_path) -> Path:
    """A series in a folder of an odd name, read-only, with a loop of links, a pipe, and an executable preamble."""
    folder = tmp_path / NAME / "ct"
    folder.mkdir(parents=True)
    for k, header in enumerate(Stack(shape=(9, 7, 6)).headers()):
        header.preamble = b"MZ" + b"\x90" * 126
        header.save_as(folder / f"IM {k}.dcm", enforce_file_format=True)
        (folder / f"IM {k}.dcm").chmod(stat.S_IRUSR)
    (folder / "loop").symlink_to(folder.parent)
    os.mkfifo(folder / "pipe")
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    yield tmp_path / NAME
    folder.chmod(stat.S_IRWXU)


def test_a_scan_finds_the_series_and_changes_nothing(odd, tmp_path):
    before = hashes(odd)
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C", "LANG": "C", "HOME": str(tmp_path)}
    command = [sys.executable, "-m", "medidiff", "scan", str(odd), "-o", "studies.tsv"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, umask=0o077, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    (study,) = read_studies(tmp_path / "studies.tsv").values()
    assert (study.kind, study.status) == ("ct", "ok")
    assert hashes(odd) == before


def test_what_is_no_file_is_listed_and_not_opened(odd):
    reasons = {entry.path: entry.reason for entry in scan(odd).skipped}
    assert "pipe" in reasons["ct/pipe"] and "already visited" in next(r for path, r in reasons.items() if path.endswith("loop"))


def test_thousands_of_foreign_files_are_listed(tmp_path):
    for number in range(3000):
        (tmp_path / f"{number}.txt").write_bytes(b"x")
    found = scan(tmp_path)
    assert found.studies == () and len(found.skipped) == 3000


def test_an_executable_preamble_is_never_written_on(odd, tmp_path):
    import numpy as np

    from medidiff.io.dicom.grouping import group_series
    from medidiff.io.dicom.index import index_folder
    from medidiff.io.dicom.rtstruct_writer import write_rtstruct
    from medidiff.io.dicom.seg import write_seg
    from medidiff.io.dicom.series import read_series

    (series,) = [one for one in group_series(*index_folder(odd / "ct")) if one.usable]
    volume = read_series(series)
    mask = volume.with_array(np.pad(np.ones((3, 3, 2), np.uint8), ((3, 3), (2, 2), (2, 2))))
    write_seg(mask, series.paths, tmp_path / "seg.dcm", label="Lesion", algorithm="a", version="1")
    write_rtstruct({"GTV": mask}, series, tmp_path / "rs.dcm", label="a", version="1")
    for name in ("seg.dcm", "rs.dcm"):
        assert pydicom.dcmread(tmp_path / name).preamble == bytes(128)
