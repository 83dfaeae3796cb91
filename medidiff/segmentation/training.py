"""A training run of a mask model: from settings and patients to what the engine's loop needs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from medidiff.diffusion.networks.unet import UNet, UNetShape
from medidiff.diffusion.objectives import Objective
from medidiff.diffusion.train import Training
from medidiff.errors import ConfigError
from medidiff.io.resample import resample_to
from medidiff.io.volume import Volume
from medidiff.segmentation.conditioning import Conditioning, conditions, network_grid
from medidiff.segmentation.objectives import Calibrated, Overlap, Plain, initial_bias
from medidiff.segmentation.patches import Patches, Patient
from medidiff.segmentation.training_settings import MaskTraining
from medidiff.segmentation.warm_start import from_plain


@dataclass(frozen=True, eq=False)
class MaskRun:
    """The arguments of `medidiff.diffusion.train.train`; its adapter is `MaskDenoiser`."""

    network: UNet
    data: Patches
    objective: Objective
    training: Training


def as_patient(ct: Volume, pet: Volume, mask: Volume, conditioning: Conditioning) -> Patient:
    """A study on the network's grid.

    ct, pet, mask   HU, SUV, and 0 to 1; each on its own grid
    """
    grid = network_grid(pet.grid, conditioning.spacing_mm)
    channels = torch.from_numpy(conditions(ct, pet, grid, conditioning))
    return Patient(channels, torch.from_numpy(resample_to(mask, grid, fill=0.0).array))


def prepare_run(settings: MaskTraining, patients: Sequence[Patient], *, plain: Mapping[str, Tensor] | None = None) -> MaskRun:
    """A network with its first weights, its patches, its objective and the numbers of the loop.

    patients   for training only
    plain      weights of the plain model that `settings.start` names

    Raises ConfigError when `settings.start` and `plain` do not go together.
    """
    if bool(settings.start) != (plain is not None):
        raise ConfigError(f"training.start is {settings.start!r}; expected a plain model's weights exactly when it is named")
    conditioning = conditioning_of(settings)
    network = UNet(shape_of(settings), seed=settings.seed)
    with torch.no_grad():
        network.last.bias.fill_(initial_bias(settings.initial_share))
    if plain is not None:
        network.load_state_dict(from_plain(plain, network))
    side = settings.patch
    data = Patches(
        patients,
        conditioning,
        size=(side, side, side if settings.network.dims == 3 else 1),
        neighbours=settings.network.neighbours,
        foreground=settings.foreground,
    )
    return MaskRun(network, data, objective_of(settings), training_of(settings))


def conditioning_of(settings: MaskTraining) -> Conditioning:
    """The input, as the model's card will say it."""
    return Conditioning(**settings.input.model_dump())


def shape_of(settings: MaskTraining) -> UNetShape:
    """The network with one state channel, and as many condition channels as its patches have."""
    sizes = settings.network.model_dump(exclude={"neighbours"})
    channels = len(settings.input.modalities) * (1 + 2 * settings.network.neighbours)
    return UNetShape(channels=1, condition=channels, **sizes)


def objective_of(settings: MaskTraining) -> Objective:
    """What is minimised."""
    if settings.kind == "unet":
        return Plain()
    if settings.objective == "calibrated":
        return Calibrated(settings.at_start)
    return Overlap(settings.at_start, settings.recycled)


def training_of(settings: MaskTraining) -> Training:
    """The numbers of the engine's loop."""
    names = ("steps", "batch", "learning_rate", "final_rate", "warmup", "weight_decay", "ema_widths", "seed", "save_every")
    return Training(**{name: getattr(settings, name) for name in names}, look_every=settings.steps)
