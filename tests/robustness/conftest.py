"""Trials in the process of the tests, which other tests may have made large."""

import resource
from pathlib import Path

import pytest

from tests.robustness import trial


@pytest.fixture
def own_memory(monkeypatch):
    """A trial may hold what it may hold anyhow, beside what its process held when it was forked from this one."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    monkeypatch.setattr(trial, "MEGABYTES", trial.MEGABYTES + pages * resource.getpagesize() / 2**20)
