"""A small run of the whole workflow, in a folder of its own."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]

SMALL = {"ct_matrix": 64, "ct_slices": 24, "ct_spacing_mm": [3.0, 3.0, 5.0], "pet_matrix": 40, "pet_slices": 24}


PATIENTS = {"A": {"seed": 1}, "B": {"seed": 2, "vendor": "philips-cnts"}}


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    """Keeps tests of one xdist group in one process: xdist 3.8 names the group where pytest 9.2 looks no more."""
    if not getattr(config.option, "loadgroup", False):
        return
    for item in items:
        groups = {mark.args[0] for mark in item.iter_markers("xdist_group")}
        if groups and "@" not in item.nodeid and hasattr(item, "_id"):
            item._id = type(item._id).parse(f"{item.nodeid}@{'_'.join(sorted(groups))}")


class Run:
    """A folder in which `medidiff run` works, and what it made there."""

    def __init__(self, folder: Path, config: dict):
        self.folder, self.config = folder, config
        folder.mkdir(parents=True, exist_ok=True)
        self.write()

    def write(self) -> None:
        (self.folder / "run.yaml").write_text(yaml.safe_dump(self.config))

    def command(self, *more: str) -> list[str]:
        return [sys.executable, "-m", "medidiff", "run", "run.yaml", "--cores", "2", *(["--", *more] if more else [])]

    def start(self, *more: str, **options) -> subprocess.Popen:
        environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        return subprocess.Popen(
            self.command(*more),
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **options,
        )

    def run(self, *more: str) -> tuple[int, str]:
        process = self.start(*more)
        text, _ = process.communicate()
        return process.returncode, text

    def medidiff(self, *arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run([sys.executable, "-m", "medidiff", *arguments], cwd=self.folder, capture_output=True, text=True)

    def results(self) -> dict[str, str]:
        """SHA-256 of every result; of records the part that must not differ from run to run."""
        found = {}
        for path in sorted((self.folder / "results").rglob("*")):
            if path.suffix in (".gz", ".dcm"):
                found[str(path.relative_to(self.folder))] = hashlib.sha256(path.read_bytes()).hexdigest()
            elif path.suffix == ".json" and "report" not in path.parts:
                content = json.loads(path.read_text())
                content.pop("run", None), content.pop("commit", None)
                found[str(path.relative_to(self.folder))] = json.dumps(content, sort_keys=True)
        return found


def configuration(**phantoms: dict) -> dict:
    return {
        "title": "Test",
        "device": "cpu",
        "convert": {"roi": "GTV*"},
        "studies": {"phantoms": {name: SMALL | settings for name, settings in phantoms.items()}},
        "segment": {"methods": ["suv2.5", "watershed"]},
        "pathvars": {"results": "results", "logs": "logs", "benchmarks": "benchmarks"},
    }


@pytest.fixture(scope="session")
def run_of(tmp_path_factory):
    """Makes a run of any configuration, in a new folder."""

    def make(config: dict) -> Run:
        return Run(tmp_path_factory.mktemp("run with spaces"), config)

    return make


@pytest.fixture(scope="session")
def make_run(tmp_path_factory):
    """Makes a run of digital patients, named with their settings, in a new folder."""

    def make(**phantoms: dict) -> Run:
        return Run(tmp_path_factory.mktemp("run with spaces"), configuration(**phantoms))

    return make


@pytest.fixture(scope="session")
def finished(make_run) -> Run:
    """Two digital patients taken through everything, undisturbed."""
    run = make_run(**PATIENTS)
    status, text = run.run()
    assert status == 0, text[-4000:]
    return run


@pytest.fixture(scope="session")
def pipelines(run_of):
    """Makes a run of one study of each pipeline, and of one whose file is cut off, in a new folder."""

    def make():
        run = run_of(yaml.safe_load((Path(__file__).parent / "pipelines.yaml").read_text()))
        (run.folder / "models").symlink_to(ROOT / "models")
        (run.folder / "cut.nii.gz").write_bytes(b"\x1f\x8b\x08\x00 cut off here")
        return run

    return make


@pytest.fixture(scope="session")
def local(pipelines):
    """That run on two cores of this machine."""
    run = pipelines()
    status, text = run.run()
    assert status == 1 and contents(run, "PATIENT"), text[-4000:]  # one study is broken
    return run


def contents(run, *studies: str) -> dict[str, str]:
    """SHA-256 of every file of these studies; of a record that of the part that must not differ from run to run."""
    found = {}
    for study in studies:
        for path in sorted((run.folder / "results" / study).rglob("*")):
            if path.is_file():
                content = path.read_bytes()
                if path.suffix == ".json":
                    record = json.loads(content)
                    content = json.dumps({key: record[key] for key in record if key not in ("run", "commit")}).encode()
                found[str(path.relative_to(run.folder))] = hashlib.sha256(content).hexdigest()
    return found


@pytest.fixture(scope="session")
def fingerprints():
    """`contents`, for tests of other files."""
    return contents
