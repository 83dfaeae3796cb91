"""A training run of a model that segments: from the settings of its file to what the runner takes, and from its end to files."""

from dataclasses import asdict, dataclass

import torch
from torch import Tensor

import medidiff
from medidiff.diffusion.checkpoint import read_tensors, weights_hash
from medidiff.io.prior_files import read_prior
from medidiff.segmentation.denoiser import MaskDenoiser
from medidiff.segmentation.model import MaskCard, pack_model
from medidiff.segmentation.patches import Patches
from medidiff.segmentation.training import prepare_run, shape_of
from medidiff.segmentation.training_settings import MaskFile
from medidiff.training.mask_calibration import familiar
from medidiff.training.mask_page import mask_page
from medidiff.training.mask_patients import MaskData, mask_data
from medidiff.training.run import MeanLoss, OnDevice, Run, Trained

HELD_OUT_ITEMS = 48  # patches of held-out patients that choose among raw and averaged weights
HELD_OUT_SEED = 7


@dataclass(frozen=True, eq=False)
class PreparedMask:
    """A run, and what its card says of the patients."""

    run: Run
    data: MaskData


def prepare_mask(file: MaskFile) -> PreparedMask:
    """The network with its first weights, patches of the patients, objective and score.

    Raises ConfigError where the settings, the data set or the model to start from cannot be had.
    """
    settings, found = file.mask, mask_data(file.mask)
    plain = read_tensors(read_prior(settings.start), "model.safetensors") if settings.start else None
    made = prepare_run(settings, found.train, plain=plain)
    seen = found.validation or found.train
    held_out = _drawn(Patches(seen, made.data.conditioning, made.data.size, made.data.neighbours))
    run = Run(
        network=made.network.to(file.device),
        data=OnDevice(made.data, file.device),
        objective=made.objective,
        adapter=MaskDenoiser,
        training=made.training,
        score=MeanLoss(made.objective, {name: value.to(file.device) for name, value in held_out.items()}, batch=8),
        identity={"mask": settings.model_dump(mode="json"), "data": found.identity},
    )
    return PreparedMask(run, found)


def pack_mask(file: MaskFile, prepared: PreparedMask, trained: Trained, *, history: str = "") -> dict[str, bytes]:
    """The files of a trained model: weights, card, and the card as a page.

    history   what happened to the run that its settings do not tell
    """
    settings, data, weights = file.mask, prepared.data, prepared.run.network.state_dict()
    card = MaskCard(
        name=file.name,
        title=file.title,
        kind=settings.kind,
        network=asdict(shape_of(settings)),
        conditioning=settings.input.model_dump(),
        weights_sha256=weights_hash(weights),
        neighbours=settings.network.neighbours,
        patch=(settings.patch,) * 3,
        single_lesion=settings.patients.single_lesion,
        training=settings.model_dump(mode="json"),
        steps=trained.checkpoint.step,
        weights=trained.weights,
        hours=round(trained.hours, 3),
        versions={"medidiff": medidiff.__version__, **trained.checkpoint.card["versions"]},
        history=history,
        data=(dict(data.source),),
        split=dict(data.split),
        scores={"validation_loss": trained.score},
        not_for=file.not_for,
        familiar=familiar(data.train, settings.input.modalities),
    )
    return {**pack_model(card, weights), "README.md": mask_page(card).encode()}


def _drawn(patches: Patches) -> dict[str, Tensor]:
    """Held-out items, the same in every run."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(HELD_OUT_SEED)
        return patches[torch.arange(HELD_OUT_ITEMS) % len(patches)]
