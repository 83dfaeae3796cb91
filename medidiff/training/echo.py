"""A training run of a model of echoes: from the settings of its file to what the runner takes, and from its end to files."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

import medidiff
from medidiff.dehazing.amortised import Regression
from medidiff.dehazing.denoiser import HAZE, TISSUE, ClassDenoiser, depth_channel
from medidiff.dehazing.domain import MuLaw
from medidiff.dehazing.gate import error_over_linear
from medidiff.dehazing.mixtures import Mixtures, measured_sd
from medidiff.dehazing.model import CONDITIONS, EchoCard, denoiser_of, pack_model
from medidiff.dehazing.objectives import ClassDenoising, Separating
from medidiff.dehazing.training_settings import EchoFile, EchoTraining
from medidiff.diffusion.checkpoint import weights_hash
from medidiff.diffusion.denoiser import Denoiser, edm
from medidiff.diffusion.levels import LogNormal
from medidiff.diffusion.networks.unet import UNet, UNetShape
from medidiff.diffusion.objectives import Denoising, Objective
from medidiff.diffusion.spectrum import Stationary
from medidiff.diffusion.train import Training
from medidiff.phantoms.echo import Echo, draw_echo, insert_target
from medidiff.training.echo_page import echo_page
from medidiff.training.run import MeanLoss, Run, Trained

MOST_FOR_SPREAD = 128  # items from which standard deviations and the linear denoiser are made
HELD_OUT_ITEMS = 48  # that choose among raw and averaged weights
SEED_OF_TRAINING, SEED_OF_VALIDATION = 6, 7  # of those items
TARGET_STREAM = 9  # random numbers of their own for the choice of targets


@dataclass(frozen=True, eq=False)
class PreparedEcho:
    """A run, and what its card says of the signals."""

    run: Run
    shape: UNetShape
    sd: tuple[float, ...]
    example: Echo  # the first, for its grid and frequencies
    items: dict[str, Tensor]  # of training
    held_out: dict[str, Tensor]


def prepare_echo(file: EchoFile) -> PreparedEcho:
    """The network with its first weights, generated echoes, objective and score."""
    settings = file.echo
    data, example = mixtures(settings, range(settings.first_seed, settings.first_seed + settings.echoes))
    last = settings.first_validation_seed + settings.validation_echoes
    validation, _ = mixtures(settings, range(settings.first_validation_seed, last))
    items, held_out = _drawn(data, MOST_FOR_SPREAD, SEED_OF_TRAINING), _drawn(validation, HELD_OUT_ITEMS, SEED_OF_VALIDATION)
    sd = measured_sd(items)
    classes = 2 if settings.kind == "joint" else 0
    shape = UNetShape(channels=2, condition=CONDITIONS[settings.kind], classes=classes, **settings.network.model_dump())
    objective, adapter = _what_is_learned(settings, sd)
    run = Run(
        network=UNet(shape, seed=settings.seed).to(memory_format=torch.channels_last),
        data=data,
        objective=objective,
        adapter=adapter,
        training=_training(settings),
        score=MeanLoss(objective, held_out, batch=8),
        identity={"echo": settings.model_dump(mode="json")},
    )
    return PreparedEcho(run, shape, sd, example, items, held_out)


def mixtures(settings: EchoTraining, seeds: range) -> tuple[Mixtures, Echo]:
    """The training set of generated echoes of these seeds, and the first echo."""
    echoes = [_learned_echo(settings, seed) for seed in seeds]
    parts = {name: torch.cat([getattr(echo, part) for echo in echoes]) for name, part in _PARTS.items()}
    htr_db = torch.tensor([echo.htr_db for echo in echoes])
    data = Mixtures(
        **parts,
        htr_db=htr_db,
        depth=depth_channel(echoes[0].grid, settings.frame),
        kind=settings.kind,
        wanted_db=settings.htr_db,
        gain_db=settings.gain_db,
        crop=settings.crop,
        headroom=settings.headroom,
        domain=MuLaw(settings.mu),
    )
    return data, echoes[0]


_PARTS = {"tissue": "x", "haze": "h", "noise": "n"}


def _learned_echo(settings: EchoTraining, seed: int) -> Echo:
    """The echo of a seed, in the share `targets` of seeds with a weak structure in the ventricle."""
    echo = draw_echo(seed, family=settings.family, shape=settings.frame)
    chance = np.random.default_rng([seed, TARGET_STREAM])
    if chance.random() >= settings.targets:
        return echo
    return insert_target(echo, seed=seed, level_db=chance.uniform(*settings.target_db))[0]


def pack_echo(file: EchoFile, prepared: PreparedEcho, trained: Trained, *, history: str = "") -> dict[str, bytes]:
    """The files of a trained model: weights, card, and the card as a page.

    history   what happened to the run that its settings do not tell
    """
    settings, frequencies = file.echo, prepared.example.frequencies
    levels = LogNormal(settings.level_mean, settings.level_std)
    first, last = settings.first_validation_seed, settings.first_validation_seed + settings.validation_echoes - 1
    card = EchoCard(
        name=file.name,
        kind=settings.kind,
        network=asdict(prepared.shape),
        sd=prepared.sd,
        mu=settings.mu,
        range_step_m=prepared.example.grid.range_step_m,
        angle_step_rad=prepared.example.grid.angle_step_rad,
        demodulation_hz=frequencies.demodulation_hz,
        htr_db=settings.htr_db,
        trained_range=(0.0, 0.0) if settings.kind == "regress" else levels.trained_range,
        title=file.title,
        training=settings.model_dump(mode="json"),
        steps=trained.checkpoint.step,
        weights=trained.weights,
        hours=round(trained.hours, 3),
        versions={"medidiff": medidiff.__version__, **trained.checkpoint.card["versions"]},
        history=history,
        data=({"name": "generated echoes", "title": f"family {settings.family}", "licence": "of this project", "citation": []},),
        split={
            "train": [f"seeds {settings.first_seed} to {settings.first_seed + settings.echoes - 1}"],
            "validation": [f"seeds {first} to {last}"],
        },
        validation_loss=trained.score,
        not_for=file.not_for,
    )
    weights = prepared.run.network.state_dict()
    card = replace(card, gate=_gate(prepared, denoiser_of(prepared.run.network, card)), weights_sha256=weights_hash(weights))
    return {**pack_model(card, weights), "README.md": echo_page(card).encode()}


def _what_is_learned(settings: EchoTraining, sd: tuple[float, ...]) -> tuple[Objective, Callable[[nn.Module], Denoiser]]:
    levels = LogNormal(settings.level_mean, settings.level_std)
    if settings.kind == "joint":
        return ClassDenoising(levels), partial(ClassDenoiser, sd=sd)
    if settings.kind == "regress":
        return Separating(sd[0], MuLaw(settings.mu)), Regression
    return Denoising(sd[0], levels), partial(edm, sd=sd[0])


def _gate(prepared: PreparedEcho, denoiser: Denoiser) -> dict[str, dict[str, float]]:
    """Errors of both priors over those of the best linear denoisers, on held-out signals; nothing for other kinds."""
    if "label" not in prepared.held_out:
        return {}
    found = {}
    for name, kind in (("tissue", TISSUE), ("haze", HAZE)):
        chosen = prepared.held_out["label"] == kind
        held_out = {key: value[chosen] for key, value in prepared.held_out.items()}
        linear = Stationary.of(prepared.items["x0"][prepared.items["label"] == kind])
        found[name] = error_over_linear(denoiser, held_out.pop("x0"), linear, **held_out)
    return found


def _training(settings: EchoTraining) -> Training:
    names = ("steps", "batch", "learning_rate", "final_rate", "warmup", "ema_widths", "seed", "save_every")
    return Training(**{name: getattr(settings, name) for name in names})


def _drawn(data: Mixtures, count: int, seed: int) -> dict[str, Tensor]:
    """Items that are the same in every run."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return data[torch.arange(count) % len(data)]
