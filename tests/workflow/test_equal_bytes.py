"""One study of each pipeline has the same bytes however it is made: one core or two, by hand, or by calls of Python."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from medidiff.chromatography.settings import ChromatographSettings
from medidiff.chromatography.task import chromatograph
from medidiff.dehazing.bmode_settings import BmodeSettings
from medidiff.dehazing.model import assemble_priors
from medidiff.dehazing.settings import NEED_MODEL, DehazeSettings
from medidiff.dehazing.track import dehaze_recording
from medidiff.diffusion.prior import assemble_prior
from medidiff.io.chromatogram.reading import read_chromatogram
from medidiff.io.measurement import read_measurement
from medidiff.io.nifti import read_nifti, write_nifti
from medidiff.io.pde.trajectories import read_trajectories
from medidiff.io.prior_files import read_prior
from medidiff.io.ultrasound.reading import read_recording
from medidiff.io.ultrasound.settings import RecordingFacts
from medidiff.io.ultrasound.zea import write_zea
from medidiff.operators.evaluation import evaluate
from medidiff.operators.model import assemble_operator
from medidiff.operators.settings import OperateSettings
from medidiff.operators.systems import SystemSettings
from medidiff.reconstruction.settings import ReconstructSettings
from medidiff.reconstruction.task import reconstruct
from medidiff.segmentation.settings import SegmentSettings
from medidiff.segmentation.task import segment
from medidiff.training.trajectories import solved_of

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("slurm")]  # they share the finished run with those through Slurm

STUDIES = ("PATIENT", "CHEST", "BTEX", "HAZE", "BURGERS")


def test_one_core_makes_the_bytes_of_two(local, pipelines, fingerprints):
    run = pipelines()
    command = [*run.command()]
    command[command.index("--cores") + 1] = "1"
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    subprocess.run(command, cwd=run.folder, env=environment, capture_output=True)
    for study in STUDIES:
        assert fingerprints(run, study) == fingerprints(local, study) != {}, study


def test_steps_by_hand_make_the_bytes_of_the_workflow(local, pipelines, fingerprints):
    run = pipelines()
    attempts = [json.loads(line) for path in (local.folder / "logs").rglob("*.jsonl") for line in path.read_text().splitlines()]
    begun = [each for each in attempts if "command" in each and each["study"] in STUDIES and each["step"] != "page"]
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    for each in sorted(begun, key=lambda each: each["start"]):
        command = [sys.executable, "-m", "medidiff", *each["command"]]
        done = subprocess.run(command, cwd=run.folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    for study in STUDIES:
        assert fingerprints(run, study) == fingerprints(local, study) != {}, study


@pytest.fixture
def made(local, monkeypatch):
    """Of the finished run: folder of a study, and settings and numbers of one of its records; calls use one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    monkeypatch.chdir(local.folder)

    def read(record: str) -> tuple[Path, dict, dict]:
        content = json.loads(Path("results", record).read_text())
        return Path("results", Path(record).parts[0]), content["settings"], content["result"]["numbers"]

    yield read
    torch.set_num_threads(threads)


@pytest.mark.parametrize("method", ["suv2.5", "diffusion"])
def test_python_makes_the_mask_of_the_workflow(made, tmp_path, method):
    folder, settings, _ = made(f"PATIENT/segment/{method}.json")
    volumes = (read_nifti(folder / "convert" / name) for name in ("ct.nii.gz", "pet.nii.gz"))
    found = segment(*volumes, method=method, settings=SegmentSettings.model_validate(settings), study="PATIENT")
    write_nifti(found.mask, tmp_path / "mask.nii.gz")
    assert (tmp_path / "mask.nii.gz").read_bytes() == (folder / "segment" / f"{method}.nii.gz").read_bytes()


def test_python_makes_the_volume_of_the_workflow(made, tmp_path):
    folder, settings, _ = made("CHEST/reconstruct/nadds.json")
    chosen = ReconstructSettings.model_validate(settings)
    prior = assemble_prior(read_prior(chosen.prior))
    measurement = read_measurement(folder / "simulate" / "measurement.h5")
    write_nifti(reconstruct(measurement, method="nadds", prior=prior, settings=chosen).volume, tmp_path / "volume.nii.gz")
    assert (tmp_path / "volume.nii.gz").read_bytes() == (folder / "reconstruct" / "nadds.nii.gz").read_bytes()


def test_python_makes_the_clip_of_the_workflow(made, tmp_path):
    folder, settings, _ = made("HAZE/dehaze/regress.json")
    chosen, shown = DehazeSettings.model_validate(settings["dehaze"]), BmodeSettings.model_validate(settings["bmode"])
    kind = NEED_MODEL["regress"]
    priors = assemble_priors({kind: read_prior(getattr(chosen, kind))})
    command = command_of("HAZE/dehaze/regress.json")
    facts = command[command.index("--facts") + 1]
    recording, _ = read_recording(folder / "phantom" / "scan.hdf5", RecordingFacts.model_validate_json(facts))
    found = dehaze_recording(recording, method="regress", settings=chosen, bmode=shown, priors=priors, seed=chosen.seed)
    write_zea(found.recording, tmp_path / "clip.hdf5", extras=found.extras)
    assert (tmp_path / "clip.hdf5").read_bytes() == (folder / "dehaze" / "regress.hdf5").read_bytes()


def command_of(record: str) -> list[str]:
    return json.loads(Path("results", record).read_text())["command"]


def test_python_fits_the_numbers_of_the_workflow(made):
    _, settings, numbers = made("BTEX/chromatograph/chromatograph.json")
    chosen = ChromatographSettings.model_validate(settings)
    trace = read_chromatogram(Path(command_of("BTEX/chromatograph/chromatograph.json")[1]))
    found = chromatograph(trace, settings=chosen, seed=0)
    assert json.loads(json.dumps(found.numbers, default=float)) == numbers


def test_python_simulates_the_numbers_of_the_workflow(made):
    folder, settings, numbers = made("BURGERS/operate/operate.json")
    chosen = OperateSettings.model_validate(settings)
    known = read_trajectories(folder / "trajectories" / "trajectories.h5")
    system = SystemSettings.model_validate(known.facts["settings"])
    found = evaluate(assemble_operator(read_prior(chosen.model), device="cpu"), solved_of(known), system=system, settings=chosen)
    expected = {name: value for name, value in numbers.items() if name != "model"}
    assert json.loads(json.dumps(found.numbers, default=float)) == expected
