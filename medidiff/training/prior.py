"""A training run of a prior: from the settings of its file to what the runner takes, and from its end to the prior's files."""

import json
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np
import torch

import medidiff
from medidiff.diffusion.card import Card, pack_prior
from medidiff.diffusion.checkpoint import weights_hash
from medidiff.diffusion.denoiser import edm
from medidiff.diffusion.levels import LogNormal
from medidiff.diffusion.networks.unet import UNet, UNetShape
from medidiff.diffusion.objectives import Denoising
from medidiff.diffusion.spectrum import Stationary
from medidiff.diffusion.train import Training
from medidiff.diffusion.validation import Validation
from medidiff.errors import ConfigError
from medidiff.reconstruction.training_slices import CtImages, MrImages, smooth_phase
from medidiff.training.images import Images, training_images
from medidiff.training.page import model_page
from medidiff.training.run import MeanLoss, OnDevice, Run, Trained
from medidiff.training.settings import PriorTraining, TrainingFile

EDGES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)  # bins of the noise level in which the loss is measured
MOST_FOR_SPECTRUM = 1024  # images from which the best linear denoiser is made
MOST_FOR_LOOK = 128  # held-out images in which the loss per noise level is measured
VALIDATION_SEED = 7  # of the phases of validation images


@dataclass(frozen=True, eq=False)
class PriorRun:
    """A run, and what its card says of the images."""

    run: Run
    shape: UNetShape
    images: Images


def prepare_prior(file: TrainingFile) -> PriorRun:
    """The network with its first weights, its images, objective and scores.

    Raises ConfigError where the settings, the data sets or the device cannot be had.
    """
    settings, device = file.prior, _device(file.device)
    images = training_images(settings)
    data = _batches(settings, images.stacked("train"))
    held_out = {"x0": _held_out(settings, images.stacked("validation")).to(device)}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        linear = Stationary.of(data[_spread(len(data), MOST_FOR_SPECTRUM)]["x0"])
    looked_at = {"x0": held_out["x0"][_spread(len(held_out["x0"]), MOST_FOR_LOOK)]}
    shape = UNetShape(dims=2, channels=settings.channels, **settings.network.model_dump())
    network = UNet(shape, seed=settings.seed).to(device, memory_format=torch.channels_last)
    objective = Denoising(settings.sd, LogNormal(settings.level_mean, settings.level_std))
    run = Run(
        network=network,
        data=OnDevice(data, device),
        objective=objective,
        adapter=partial(edm, sd=settings.sd),
        training=_training(settings),
        score=MeanLoss(objective, held_out),
        identity={"prior": settings.model_dump(mode="json"), "data": images.sha256},
        look=Validation(looked_at, linear, settings.sd, EDGES),
    )
    return PriorRun(run, shape, images)


def pack_trained(file: TrainingFile, prepared: PriorRun, trained: Trained, *, history: str = "") -> dict[str, bytes]:
    """The files of a trained prior: weights, card, and the card as a page.

    history   what happened to the run that its settings do not tell
    """
    weights = prepared.run.network.state_dict()
    settings = file.prior
    card = Card(
        name=file.name,
        process="edm",
        output="F",
        sd=settings.sd,
        trained_range=prepared.run.objective.levels.trained_range,
        window=settings.window,
        units=settings.units,
        channels=settings.channels,
        multiple=prepared.shape.multiple,
        network=asdict(prepared.shape),
        weights_sha256=weights_hash(weights),
        data_sha256=tuple(prepared.images.sha256),
        seed=settings.seed,
        steps=trained.checkpoint.step,
        threads=trained.checkpoint.card["threads"],
        versions={"medidiff": medidiff.__version__, "numpy": np.__version__, **trained.checkpoint.card["versions"]},
        level_edges=trained.look.edges,
        loss=trained.look.loss,
        gate=trained.look.gate,
        title=file.title,
        data=tuple(prepared.images.sources),
        split=prepared.images.split,
        training=json.loads(settings.model_dump_json()),
        weights=trained.weights,
        validation_loss=trained.score,
        hours=round(trained.hours, 3),
        history=history,
        not_for=file.not_for,
        axes=settings.axes,
    )
    return {**pack_prior(card, weights), "README.md": model_page(card).encode()}


def _batches(settings: PriorTraining, images: np.ndarray) -> CtImages | MrImages:
    if settings.channels == 2:
        return MrImages(images, settings.mirrored)
    return CtImages(images, settings.window, settings.mirrored)


def _held_out(settings: PriorTraining, images: np.ndarray) -> torch.Tensor:
    """Validation images in network units, none mirrored, phases from a seed of their own."""
    if settings.channels == 1:
        return CtImages(images, settings.window).images(images)
    magnitude = torch.from_numpy(images).float()
    phase = smooth_phase(magnitude.shape, generator=torch.Generator().manual_seed(VALIDATION_SEED))
    return torch.stack([magnitude * phase.cos(), magnitude * phase.sin()], dim=1)


def _spread(size: int, most: int) -> torch.Tensor:
    """At most `most` of `size` indices, evenly spread."""
    return torch.linspace(0, size - 1, min(size, most)).long()


def _training(settings: PriorTraining) -> Training:
    names = ("steps", "batch", "learning_rate", "final_rate", "warmup", "ema_widths", "seed", "look_every", "save_every")
    return Training(**{name: getattr(settings, name) for name in names})


def _device(asked: str) -> str:
    if asked == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if asked == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device: found cuda, but there is no card here; use cpu or auto")
    return asked
