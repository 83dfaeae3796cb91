"""Damaged and odd files over every reader: refused with our own error or read rightly, in bounded time and memory."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from medidiff.errors import DataError
from tests.robustness import trial
from tests.robustness.trial import attempt, found

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.xdist_group("corpus")


def outcomes(count: int) -> tuple[list[dict], dict]:
    """Faults and summary of so many cases, run in a process of their own, whose memory is that of a reader alone."""
    command = [sys.executable, "-m", "tests.robustness.corpus", "--count", str(count)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    *faults, summary = map(json.loads, done.stdout.splitlines())
    return faults, summary


def as_they_must_be(count: int) -> None:
    faults, summary = outcomes(count)
    assert faults == []
    assert summary["cases"] == count and set(summary["outcomes"]) == {"read", "refused"}
    assert summary["worst_seconds"] < trial.SECONDS and summary["worst_megabytes"] < trial.MEGABYTES
    assert summary["outcomes"]["refused"] > count / 2


def test_500_mutated_files_are_refused_or_read_rightly():
    as_they_must_be(500)


@pytest.mark.slow
def test_5000_mutated_files_are_refused_or_read_rightly():
    as_they_must_be(5000)


# readers that seeds reach through another, and those that are no readers of files of strangers
REACHED = {
    "read_csv": "read_chromatogram",
    "read_jcamp": "read_chromatogram",
    "read_mzml": "read_chromatogram",
    "read_andi": "read_chromatogram",
    "read_table": "read_peak_table",
    "read_uff": "read_recording",
    "read_zea": "read_recording",
    "read_plain": "read_recording",
    "read_clarius": "read_recording",
    "read_mha": "read_recording",
    "read_mha_clip": "read_recording",
    "read_encoding": "read_fastmri",
    "read_lines": "read_ismrmrd",
    "read_scan": "read_ct_pd",
    "read_views": "read_ct_pd",
    "read_source": "read_series",
    "read_codestream": "read_series",
    "read_finite": "read_fastmri",
    "read_pet_header": "read_suv",
    "read_pair": "read_nifti",
    "read_labels": "read_nifti",
    "read_reference": "read_lodopab_truth",
    "read_frames": "read_recording",
    "read_vendor": "rainbow-api, an optional package, whose every error is caught",
    "read_xarray": "xarray, an optional package",
}


def test_every_reader_of_files_has_a_seed_or_is_reached_through_one():
    modules = (ROOT / "medidiff" / "io").rglob("*.py")
    trees = [ast.parse(path.read_text()) for path in modules]
    readers = {
        node.name for tree in trees for node in tree.body if isinstance(node, ast.FunctionDef) and node.name[:5] == "read_"
    }
    seeds = "".join(path.read_text() for path in Path(__file__).parent.glob("*_seeds.py"))
    assert {name for name in readers - set(REACHED) if name not in seeds} == set()


def loop(folder):
    while True:
        pass


def allocate(folder):
    held = np.ones(250_000_000)
    return found([], held[0])


def overflow(folder):
    import ctypes

    ctypes.string_at(1)


def refuse(folder):
    raise DataError("a.h5: not good")


def stumble(folder):
    return {}["key"]


def give_nan(folder):
    return found([[np.nan]])


@pytest.mark.parametrize(
    ("read", "word"),
    [
        (loop, "hung"),
        (allocate, "large"),
        (overflow, "crashed"),
        (refuse, "refused"),
        (stumble, "crashed"),
        (give_nan, "crashed"),
    ],
)
def test_a_trial_tells_what_a_reader_did(tmp_path, monkeypatch, own_memory, read, word):
    if read is loop:
        monkeypatch.setattr(trial, "SECONDS", 1)
    (tmp_path / "study").mkdir()
    assert attempt(read, tmp_path / "study").word == word
