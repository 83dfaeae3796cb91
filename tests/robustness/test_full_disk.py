"""A disk that fills up in the middle of a write: our own error, nothing under the final name, no stump, no crash."""

import gc
import resource
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from medidiff.errors import DataError
from medidiff.io.atomic import write_text
from medidiff.io.checkpoint_files import write_checkpoint
from medidiff.io.chromatogram.andi import write_andi
from medidiff.io.chromatogram.storage import Curves, write_curves
from medidiff.io.dicom.series_writer import write_series
from medidiff.io.maps import Maps, write_maps
from medidiff.io.measurement import KSpace, write_measurement
from medidiff.io.nifti import write_nifti
from medidiff.io.pde.predictions import Predictions, write_predictions
from medidiff.io.ultrasound.cine import write_gif
from medidiff.io.ultrasound.dicom_writer import write_dicom_clip
from medidiff.io.ultrasound.mha import write_mha
from medidiff.io.ultrasound.recording import Pixels, Recording, Sector
from medidiff.io.ultrasound.zea import write_zea
from medidiff.io.volume import Volume
from tests.medidiff.io.chromatogram.test_fuzz import MADE
from tests.robustness.trial import attempt, found

RANDOM = np.random.default_rng(4)
AFFINE = np.diag([1.4, 1.9, 3.0, 1.0])
VALUES = RANDOM.normal(size=(40, 30, 20)).astype("f4")  # 96 kB that do not pack
KSPACE = (RANDOM.normal(size=(2, 2, 60, 40)) + 1j).astype("c8")
FRAMES = RANDOM.integers(0, 256, (3, 60, 50), dtype=np.uint8)
US = {"sampling_hz": 2.5e6, "centre_hz": 2.4e6, "demodulation_hz": 2.5e6, "sound_speed": 1540.0}
CLIP = {"method": "nlm", "version": "1.0", "geometry": Pixels(), "frame_rate_hz": 40.0}
WRITERS: dict[str, Callable[[Path], object]] = {
    "a.nii": lambda path: write_nifti(Volume(VALUES, AFFINE), path),
    "a.nii.gz": lambda path: write_nifti(Volume(VALUES, AFFINE), path),
    "a.txt": lambda path: write_text(path, "x" * 90_000),
    "step": lambda path: write_checkpoint(path, {"model.safetensors": VALUES.tobytes()}, step=1, settings="a"),
    "measurement.h5": lambda path: write_measurement(KSpace(KSPACE, np.ones((60, 40), bool), AFFINE), path),
    "maps.h5": lambda path: write_maps(Maps({"spread": Volume(VALUES, AFFINE)}, AFFINE), path),
    "predictions.h5": lambda path: write_predictions(Predictions({"u": VALUES}), path),
    "curves.h5": lambda path: write_curves(path, Curves(np.arange(9e3), {"signal": RANDOM.random(9000)}, (), {})),
    "a.hdf5": lambda path: write_zea(Recording(KSPACE[0], "iq", Sector(0.01, 3e-4, -0.5, 0.02), **US), path),
    "a.cdf": lambda path: write_andi(path, MADE),
    "a.mha": lambda path: write_mha(FRAMES, path),
    "a.gif": lambda path: write_gif(FRAMES, path, frame_rate_hz=20.0),
    "clip.dcm": lambda path: write_dicom_clip(FRAMES, path, **CLIP),
    "series": lambda path: write_series(Volume(100 * VALUES, AFFINE), path, modality="CT", method="fbp", version="1"),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_write_that_does_not_fit_leaves_nothing_and_says_so(tmp_path, own_memory, name):
    for size in (0, 100, 300):

        def write(folder: Path, size: int = size) -> object:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # the write fails instead, as on a full disk
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
            try:
                WRITERS[name](folder / name)
            except DataError:
                gc.collect()  # what is left of an open file must not crash when it goes
                raise
            return found([])

        folder = tmp_path / f"limit-{size}"
        folder.mkdir()
        outcome = attempt(write, folder)
        assert (outcome.word, "could not be written" in outcome.message) == ("refused", True), outcome
        left = [path.name for path in folder.rglob("*") if path.is_file()]
        assert left == []
    WRITERS[name](tmp_path / name)
    assert (tmp_path / name).exists()
