"""What every test shares: where real data are, and the marks that skip with a message."""

import os
import shutil
from pathlib import Path

import pytest


def mirror_folder() -> Path | None:
    """The folder of real public data, or None where there is none."""
    folder = os.environ.get("MEDIDIFF_MIRROR")
    return Path(folder) if folder and Path(folder).is_dir() else None


@pytest.fixture(scope="session")
def mirror() -> Path:
    """The folder of real public data; tests that use it carry the mark `realdata`."""
    folder = mirror_folder()
    assert folder is not None, "tests with the fixture `mirror` need the mark `realdata`"
    return folder


def pytest_collection_modifyitems(items):
    reasons = {
        "realdata": None if mirror_folder() else "real data: set MEDIDIFF_MIRROR to the folder that holds them",
        "slurm": None if shutil.which("slurmctld") else "Slurm: install slurm-wlm and munge",
        "browser": None if shutil.which("chromium") else "browser: install chromium",
        "gpu": None if os.path.exists("/dev/nvidia0") else "no CUDA device here",
    }
    for item in items:
        for mark, reason in reasons.items():
            if reason and item.get_closest_marker(mark):
                item.add_marker(pytest.mark.skip(reason=reason))
