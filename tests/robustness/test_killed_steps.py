"""SIGKILL at random moments of steps, in processes that start warm: nothing unreadable, and equal bytes when they go on."""

import hashlib
import os
import random
import shutil
import signal
import time
import traceback
from pathlib import Path

import numpy as np
import pytest
import torch

from medidiff.diffusion.checkpoint import Checkpoint, pack, unpack
from medidiff.io.checkpoint_files import read_checkpoint, write_checkpoint
from medidiff.io.convert import convert_petct, convert_truth
from medidiff.io.dicom.seg import write_seg
from medidiff.io.dicom.selection import find_petct
from medidiff.io.maps import Maps, write_maps
from medidiff.io.measurement import write_measurement
from medidiff.io.nifti import read_nifti, write_nifti
from medidiff.io.ultrasound.cine import write_gif
from medidiff.io.ultrasound.recording import Recording
from medidiff.io.ultrasound.zea import write_zea
from medidiff.phantoms.dicom import write_patient
from medidiff.phantoms.petct import make_patient
from medidiff.phantoms.settings import PetCtPhantom
from medidiff.record import Record
from tests.medidiff.diffusion.test_prior import network
from tests.medidiff.io.test_measurement import kspace
from tests.medidiff.io.ultrasound.test_zea import FACTS, SECTOR, iq
from tests.robustness.wholeness import unreadable

SMALL = {"ct_matrix": 24, "ct_slices": 12, "ct_spacing_mm": (7.0, 7.0, 8.0), "pet_matrix": 16, "pet_slices": 12}
PATIENT = PetCtPhantom(seed=1, nodes=(0, 1), annotators=1, pet_spacing_mm=(11.0, 11.0, 8.0), **SMALL)


def phantom(source: Path, out: Path) -> list[Path]:
    write_patient(make_patient(PATIENT), out / "study")
    return [out / "study" / "manifest.json"]


def convert(source: Path, out: Path) -> list[Path]:
    made, truth = convert_petct(source / "phantom/study"), convert_truth(source / "phantom/study", roi="GTV*")
    volumes = {"ct": made.ct, "pet": made.pet, "truth": truth.pet}
    for name, volume in volumes.items():
        write_nifti(volume, out / f"{name}.nii.gz")
    return [out / f"{name}.nii.gz" for name in volumes]


def segment(source: Path, out: Path) -> list[Path]:
    pet = read_nifti(source / "convert/pet.nii.gz")
    mask = pet.with_array((pet.array > 2.5).astype(np.uint8))
    write_nifti(mask, out / "mask.nii.gz")
    series = find_petct(source / "phantom/study").pet
    write_seg(mask, series.paths, out / "mask.dcm", label="Lesion", algorithm="suv2.5", version="1")
    write_maps(Maps({"suv": pet}, pet.affine), out / "maps.h5")
    return [out / "mask.nii.gz", out / "mask.dcm", out / "maps.h5"]


def acquire(source: Path, out: Path) -> list[Path]:
    write_measurement(kspace(), out / "measurement.h5")
    return [out / "measurement.h5"]


def dehaze(source: Path, out: Path) -> list[Path]:
    recording = Recording(iq((6, 40, 30)), "iq", SECTOR, **FACTS)
    write_zea(recording, out / "a.hdf5", extras={"haze": iq((6, 40, 30), seed=1)})
    write_gif(np.abs(recording.values * 40).clip(0, 255).astype(np.uint8), out / "a.gif", frame_rate_hz=20.0)
    return [out / "a.hdf5", out / "a.gif"]


STEPS = (phantom, convert, segment, acquire, dehaze)


def run(folder: Path) -> None:
    """Every step whose record is not there yet, as the workflow calls them, and then a training of four checkpoints."""
    for step in STEPS:
        record = folder / step.__name__ / "record.json"
        if not record.exists():
            outputs = step(folder, record.parent)
            Record(step.__name__, "A", "", 1, {}, [], outputs).write(record)
    files = read_checkpoint(folder / "training", settings="a")
    weights = network().state_dict()
    for number in range(unpack(files).step + 1 if files else 1, 5):
        write_checkpoint(folder / "training", pack(Checkpoint(number, weights, {}, {})), step=number, settings="a")


def start(folder: Path) -> int:
    child = os.fork()
    if child == 0:
        torch.set_num_threads(1)  # threads do not survive a fork
        try:
            run(folder)
            os._exit(0)
        except BaseException:
            (folder / "failed.log").write_text(traceback.format_exc())
            os._exit(1)
    return child


def results(folder: Path) -> dict[str, str]:
    """SHA-256 of every result but records, which hold times; of a training that of its newest checkpoint, not of old ones."""
    files = read_checkpoint(folder / "training", settings="a") or {}
    found = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != "record.json" and "training" not in path.parts:
            found[path.relative_to(folder).as_posix()] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def wait(child: int, folder: Path, seconds: float) -> bool:
    """Whether the process ended by itself, and well, within this time; otherwise it is killed."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            assert os.waitstatus_to_exitcode(status) == 0, (folder / "failed.log").read_text()
            return True
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


@pytest.mark.parametrize("kills", [10, pytest.param(100, marks=pytest.mark.slow)])
def test_steps_that_are_killed_leave_nothing_unreadable_and_come_to_the_same_bytes(tmp_path, kills):
    begun = time.monotonic()
    assert wait(start(tmp_path / "undisturbed"), tmp_path / "undisturbed", 3600)
    whole = time.monotonic() - begun
    chance, done, faults, folder = random.Random(kills), 0, [], tmp_path / "killed"
    while done < kills:
        if wait(start(folder), folder, chance.uniform(0, 0.6) * whole):
            assert results(folder) == results(tmp_path / "undisturbed")
            shutil.rmtree(folder)
        else:
            done += 1
            faults += [f"kill {done}: {fault}" for fault in unreadable(folder)]
    assert wait(start(folder), folder, 3600)
    assert faults == []
    assert results(folder) == results(tmp_path / "undisturbed")
