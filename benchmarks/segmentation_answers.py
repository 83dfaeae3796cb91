"""What every method says of the validation patients, on the grid of their PET; kept on disk, since it takes long."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from medidiff.io.atomic import atomic_path
from medidiff.io.nifti import read_nifti
from medidiff.io.prior_files import read_prior
from medidiff.io.resample import resample_to
from medidiff.io.volume import Volume
from medidiff.segmentation.calibration import Calibration
from medidiff.segmentation.inference import Found, find_by_ensemble, find_by_unet
from medidiff.segmentation.model import MaskModel, assemble_model
from medidiff.segmentation.settings import DiffusionSettings, SegmentSettings

VALIDATION = tuple(f"STS_{number:03}" for number in (4, 11, 19, 26, 34, 41, 49))
MODELS = {"diffusion": "models/petct-sarcoma", "unet": "models/petct-sarcoma-unet"}
LOOKS = (2, 5, 10, 20, 50)
KEPT = Path("benchmarks_run/segmentation")  # safe to remove: made again

Answers = dict[str, np.ndarray]


def mirror() -> Path | None:
    """The folder of public data, None where MEDIDIFF_MIRROR does not name it."""
    found = os.environ.get("MEDIDIFF_MIRROR")
    return Path(found) if found else None


def patient(name: str) -> tuple[Volume, Volume, Volume]:
    """CT, PET and the contour on the grid of the PET."""
    folder = mirror() / "petct_sts/nifti" / name
    return tuple(read_nifti(folder / f"{kind}.nii.gz") for kind in ("ct", "pet_suv", "gtv_pet"))


def model(kind: str) -> MaskModel:
    """The shipped model, its probabilities as the network says them."""
    return replace(assemble_model(read_prior(MODELS[kind]), kind=kind), calibration=Calibration())


def networks(name: str) -> Answers:
    """unet, ensemble and one_step, probabilities; volume_gap, of the ensemble from the one-step answer."""

    def make(ct: Volume, pet: Volume) -> Answers:
        settings = SegmentSettings(diffusion=DiffusionSettings(trusted_gap=1e9))  # the ensemble even where it has drifted
        plain = find_by_unet(ct, pet, model("unet"), settings)
        drawn = find_by_ensemble(ct, pet, model("diffusion"), settings, study=name)
        gap = np.array(drawn.numbers["volume_gap"])
        return {"unet": on(plain, pet), "ensemble": on(drawn, pet), "one_step": drawn.maps["one_step"].array, "volume_gap": gap}

    return kept_answers(f"{name}.networks.npz", name, make)


def by_looks(name: str, looks: int) -> Answers:
    """One mask drawn in a number of looks."""

    def make(ct: Volume, pet: Volume) -> Answers:
        chosen = DiffusionSettings(steps=looks, members=1, flips=False, trusted_gap=1e9)
        return {"mask": on(find_by_ensemble(ct, pet, model("diffusion"), SegmentSettings(diffusion=chosen), study=name), pet)}

    return kept_answers(f"{name}.looks{looks}.npz", name, make)


def on(found: Found, pet: Volume) -> np.ndarray:
    """The probability on the grid of the PET."""
    return resample_to(found.probability, pet.grid, fill=0.0).array


def kept_answers(file: str, name: str, make: Callable[[Volume, Volume], Answers]) -> Answers:
    """What is on disk under a name, made first where it is missing; `make` gets CT and PET of the patient."""
    path = KEPT / file
    if not path.is_file():
        ct, pet, _ = patient(name)
        with atomic_path(path) as temporary, temporary.open("wb") as opened:
            np.savez_compressed(opened, **make(ct, pet))
    with np.load(path) as stored:
        return dict(stored)
