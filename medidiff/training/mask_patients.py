"""Who a model that segments is trained on: patients of a public set, or digital ones outlined by several readers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from medidiff.datasets import dataset, locate
from medidiff.errors import ConfigError
from medidiff.io.nifti import read_nifti
from medidiff.io.resample import resample_to
from medidiff.io.volume import Volume
from medidiff.phantoms.petct import Patient as Phantom
from medidiff.phantoms.petct import make_patient
from medidiff.phantoms.settings import RESULT_VERSION, PetCtPhantom
from medidiff.segmentation.conditioning import network_grid
from medidiff.segmentation.patches import Patient
from medidiff.segmentation.training import as_patient, conditioning_of
from medidiff.segmentation.training_settings import DigitalPatients, MaskPatients, MaskTraining


@dataclass(frozen=True, eq=False)
class MaskData:
    """Patients on the network's grid, and what the card says of them."""

    train: list[Patient]
    validation: list[Patient]
    split: Mapping[str, Sequence[str]]
    source: Mapping[str, object]  # name, title, licence, citation
    identity: list[object]  # JSON: hashes of the files, or what the digital patients are made from


def mask_data(settings: MaskTraining) -> MaskData:
    """The patients that the settings name. Raises ConfigError for a set or a patient that cannot be had."""
    if isinstance(settings.patients, DigitalPatients):
        return _digital_data(settings, settings.patients)
    chosen = settings.patients
    split, source = split_of(chosen), dataset(chosen.dataset)
    folder = locate(source.name, subset=[*split["train"], *split["validation"]])
    train, validation = (read_patients(folder, split[part], settings) for part in ("train", "validation"))
    digests = {one.path: one.sha256 for one in source.files}
    paths = [f"{name}/{getattr(chosen, kind)}" for name in split["train"] for kind in ("ct", "pet", "mask")]
    told = {"name": source.name, "title": source.title, "licence": source.licence, "citation": list(source.citation)}
    return MaskData(train, validation, split, told, [digests[path] for path in paths])


def split_of(patients: MaskPatients) -> dict[str, list[str]]:
    """Names of the patients to train on, and of those held out for validation; ConfigError for a patient that the set lacks."""
    source = dataset(patients.dataset)
    if unknown := sorted(set(patients.held_out) - set(source.members)):
        raise ConfigError(f"{source.name} has no {', '.join(unknown)}; `medidiff data show {source.name}` tells of the set")
    return {"train": sorted(set(source.members) - set(patients.held_out)), "validation": sorted(patients.held_out)}


def read_patients(folder: Path, names: Sequence[str], settings: MaskTraining) -> list[Patient]:
    """Patients on the network's grid, one after the other."""
    files = (settings.patients.ct, settings.patients.pet, settings.patients.mask)
    volumes = ([read_nifti(folder / name / file) for file in files] for name in names)
    return [as_patient(ct, pet, mask, conditioning_of(settings)) for ct, pet, mask in volumes]


def digital_patient(chosen: DigitalPatients, seed: int) -> Phantom:
    """The digital patient of one number, with as many readers as the settings say; the PET is that of the demo."""
    difficulty = chosen.difficulties[seed % len(chosen.difficulties)]
    return make_patient(
        PetCtPhantom(
            seed=seed,
            difficulty=difficulty,
            annotators=chosen.readers,
            ct_matrix=chosen.ct_matrix,
            ct_slices=chosen.ct_slices,
            ct_spacing_mm=chosen.ct_spacing_mm,
        )
    )


def validation_seeds(chosen: DigitalPatients) -> range:
    """Numbers of the digital patients that are never trained on."""
    first = chosen.first_seed + chosen.count
    return range(first, first + chosen.validation)


def _digital_data(settings: MaskTraining, chosen: DigitalPatients) -> MaskData:
    seeds = {"train": range(chosen.first_seed, chosen.first_seed + chosen.count), "validation": validation_seeds(chosen)}
    made = {part: [item for seed in numbers for item in _items(settings, chosen, seed)] for part, numbers in seeds.items()}
    split = {part: [f"seed {seed}" for seed in numbers] for part, numbers in seeds.items()}
    title = f"digital necks in PET/CT, outlined by {chosen.readers} readers each, difficulties {', '.join(chosen.difficulties)}"
    told = {"name": "digital necks", "title": title, "licence": "of this project", "citation": []}
    return MaskData(made["train"], made["validation"], split, told, [f"phantoms {RESULT_VERSION}"])


def _items(settings: MaskTraining, chosen: DigitalPatients, seed: int) -> list[Patient]:
    """One item per reader, all with the same channels."""
    phantom, conditioning = digital_patient(chosen, seed), conditioning_of(settings)
    outlines = [Volume((one.array > 0).astype(np.float32), one.affine) for one in phantom.annotations]
    first = as_patient(phantom.ct, phantom.pet, outlines[0], conditioning)
    grid = network_grid(phantom.pet.grid, conditioning.spacing_mm)
    others = (resample_to(outline, grid, fill=0.0).array for outline in outlines[1:])
    return [first, *(Patient(first.condition, torch.from_numpy(mask)) for mask in others)]
