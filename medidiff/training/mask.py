"""A training run of a model that segments: from the settings of its file to what the runner takes, and from its end to files."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

import medidiff
from medidiff.datasets import Dataset, dataset, locate
from medidiff.diffusion.checkpoint import read_tensors
from medidiff.errors import ConfigError
from medidiff.io.nifti import read_nifti
from medidiff.io.prior_files import read_prior
from medidiff.segmentation.denoiser import MaskDenoiser
from medidiff.segmentation.model import MaskCard, pack_model
from medidiff.segmentation.patches import Patches, Patient
from medidiff.segmentation.training import as_patient, conditioning_of, prepare_run, shape_of
from medidiff.segmentation.training_settings import MaskFile, MaskPatients, MaskTraining
from medidiff.training.mask_page import mask_page
from medidiff.training.run import MeanLoss, OnDevice, Run, Trained

HELD_OUT_ITEMS = 48  # patches of held-out patients that choose among raw and averaged weights
HELD_OUT_SEED = 7


@dataclass(frozen=True, eq=False)
class PreparedMask:
    """A run, and what its card says of the patients."""

    run: Run
    split: Mapping[str, Sequence[str]]
    source: Dataset


def prepare_mask(file: MaskFile) -> PreparedMask:
    """The network with its first weights, patches of the patients, objective and score.

    Raises ConfigError where the settings, the data set or the model to start from cannot be had.
    """
    settings = file.mask
    split, source = split_of(settings.patients), dataset(settings.patients.dataset)
    folder = locate(source.name, subset=[*split["train"], *split["validation"]])
    train, validation = (read_patients(folder, split[part], settings) for part in ("train", "validation"))
    plain = read_tensors(read_prior(settings.start), "model.safetensors") if settings.start else None
    made = prepare_run(settings, train, plain=plain)
    held_out = _drawn(Patches(validation or train, made.data.conditioning, made.data.size, made.data.neighbours))
    paths = [f"{name}/{getattr(settings.patients, kind)}" for name in split["train"] for kind in ("ct", "pet", "mask")]
    digests = {one.path: one.sha256 for one in source.files}
    run = Run(
        network=made.network.to(file.device),
        data=OnDevice(made.data, file.device),
        objective=made.objective,
        adapter=MaskDenoiser,
        training=made.training,
        score=MeanLoss(made.objective, {name: value.to(file.device) for name, value in held_out.items()}, batch=8),
        identity={"mask": settings.model_dump(mode="json"), "data": [digests[path] for path in paths]},
    )
    return PreparedMask(run, split, source)


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


def pack_mask(file: MaskFile, prepared: PreparedMask, trained: Trained, *, history: str = "") -> dict[str, bytes]:
    """The files of a trained model: weights, card, and the card as a page.

    history   what happened to the run that its settings do not tell
    """
    settings, source = file.mask, prepared.source
    card = MaskCard(
        name=file.name,
        title=file.title,
        kind=settings.kind,
        network=asdict(shape_of(settings)),
        conditioning=settings.input.model_dump(),
        weights_sha256="",
        neighbours=settings.network.neighbours,
        patch=(settings.patch,) * 3,
        single_lesion=settings.patients.single_lesion,
        training=settings.model_dump(mode="json"),
        steps=trained.checkpoint.step,
        weights=trained.weights,
        hours=round(trained.hours, 3),
        versions={"medidiff": medidiff.__version__, **trained.checkpoint.card["versions"]},
        history=history,
        data=({"name": source.name, "title": source.title, "licence": source.licence, "citation": list(source.citation)},),
        split=dict(prepared.split),
        scores={"validation_loss": trained.score},
        not_for=file.not_for,
    )
    return {**pack_model(card, prepared.run.network.state_dict()), "README.md": mask_page(card).encode()}


def _drawn(patches: Patches) -> dict[str, Tensor]:
    """Held-out items, the same in every run."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(HELD_OUT_SEED)
        return patches[torch.arange(HELD_OUT_ITEMS) % len(patches)]
