"""Five-fold cross-validation: what networks that have never seen a patient say of it, for all patients; kept on disk.

In every fold a U-Net is trained from nothing, then a diffusion model from it, far smaller and shorter than the shipped ones: what
is fitted and judged on these answers is the method, not the shipped weights.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache, partial

import numpy as np
import torch
from torch import Tensor

from benchmarks.segmentation_answers import KEPT, VALIDATION, Answers, kept_answers, model, on
from medidiff.diffusion.networks.unet import UNet
from medidiff.io.volume import Volume
from medidiff.segmentation.denoiser import MaskDenoiser
from medidiff.segmentation.inference import find_by_ensemble, find_by_unet
from medidiff.segmentation.model import MaskModel
from medidiff.segmentation.patches import Patches, Patient
from medidiff.segmentation.settings import DiffusionSettings, SegmentSettings, UnetSettings
from medidiff.segmentation.training import prepare_run
from medidiff.segmentation.training_settings import MaskTraining
from medidiff.training.mask_calibration import familiar
from medidiff.training.mask_patients import mask_data
from medidiff.training.run import MeanLoss, Run, run_training
from medidiff.training.settings import read_training

FOLDS = 5
CONFIGS = {"unet": "configs/priors/petct-sarcoma-unet.yaml", "diffusion": "configs/priors/petct-sarcoma.yaml"}
START = "the U-Net of the fold"
ITEMS = 16  # patches of the training that choose among raw and averaged weights


@dataclass(frozen=True)
class Budget:
    """What each fold costs."""

    unet: int = 200  # steps of two patches
    diffusion: int = 100  # further steps
    width: int = 16  # of the network; 32 is shipped
    patch: int = 40  # voxels along each side; 48 is shipped
    members: int = 3
    looks: int = 4
    flips: int = 2  # mirrored looks of the U-Net

    @property
    def name(self) -> str:
        return f"folds-{self.unet}-{self.diffusion}-{self.width}-{self.patch}"

    @property
    def words(self) -> str:
        steps = f"width {self.width}, {self.unet} steps of two patches of {self.patch}^3, {self.diffusion} more with diffusion"
        return f"{steps}, {self.members} masks of {self.looks} looks"

    def training(self, kind: str) -> MaskTraining:
        """The shipped training, shortened."""
        shipped = read_training(CONFIGS[kind]).mask
        steps = self.unet if kind == "unet" else self.diffusion
        changes = {
            "network": shipped.network.model_copy(update={"width": self.width}),
            "patch": self.patch,
            "steps": steps,
            "warmup": steps // 10,
            "save_every": 50,
            "start": START if kind == "diffusion" else "",
        }
        return shipped.model_copy(update=changes)


def partition() -> tuple[tuple[str, ...], ...]:
    """The patients of each fold: first those for validation, then the others dealt out by name."""
    others = sorted(set(everybody()) - set(VALIDATION))
    return (VALIDATION, *(tuple(others[first :: FOLDS - 1]) for first in range(FOLDS - 1)))


@cache
def everybody() -> Mapping[str, Patient]:
    """All patients on the network's grid."""
    settings = read_training(CONFIGS["unet"]).mask
    found = mask_data(settings.model_copy(update={"patients": settings.patients.model_copy(update={"held_out": ()})}))
    return dict(zip(found.split["train"], found.train, strict=True))


def answers_of(fold: int, names: Sequence[str], budget: Budget) -> dict[str, Answers]:
    """Of the patients of a fold: unet, ensemble, one_step and variance on the PET grid, and what is known without the truth."""
    made: list[tuple[MaskModel, MaskModel]] = []  # trained only where an answer is missing

    def make(ct: Volume, pet: Volume, name: str) -> Answers:
        if not made:
            made.append(trained_models(fold, budget))
        return answer(ct, pet, name, made[0], budget)

    return {name: kept_answers(f"{budget.name}/{name}.npz", name, partial(make, name=name)) for name in names}


def answer(ct: Volume, pet: Volume, name: str, models: tuple[MaskModel, MaskModel], budget: Budget) -> Answers:
    """Both networks' answers to one patient."""
    drawing = DiffusionSettings(members=budget.members, steps=budget.looks, trusted_gap=1e9)  # never gives up the ensemble
    settings = SegmentSettings(diffusion=drawing, unet=UnetSettings(flips=budget.flips))
    plain = find_by_unet(ct, pet, models[0], settings)
    drawn = find_by_ensemble(ct, pet, models[1], settings, study=name)
    numbers = {**drawn.numbers, "baseline_dice": drawn.baseline_dice or 0.0, "strange": len(drawn.strange)}
    maps = {kind: drawn.maps[kind].array for kind in ("one_step", "variance")}
    return {"unet": on(plain, pet), "ensemble": on(drawn, pet), **maps, **{key: np.array(one) for key, one in numbers.items()}}


def trained_models(fold: int, budget: Budget) -> tuple[MaskModel, MaskModel]:
    """U-Net and diffusion model of a fold, its patients left out of everything."""
    without = partition()[fold]
    files = {kind: budget.training(kind) for kind in CONFIGS}
    networks = {"unet": trained(files["unet"], without, f"{budget.name}/{fold}-unet")}
    weights = {name: value.clone() for name, value in networks["unet"].state_dict().items()}
    networks["diffusion"] = trained(files["diffusion"], without, f"{budget.name}/{fold}-diffusion", plain=weights)
    known = familiar(seen_patients(without), files["unet"].input.modalities)
    return tuple(_as_model(kind, networks[kind], known, patch=budget.patch) for kind in CONFIGS)


def trained(settings: MaskTraining, without: Sequence[str], folder: str, *, plain: Mapping[str, Tensor] | None = None) -> UNet:
    """A network that has never seen some patients; interrupted and called again, it goes on from its newest checkpoint."""
    made = prepare_run(settings, seen_patients(without), plain=plain)
    run = Run(
        network=made.network,
        data=made.data,
        objective=made.objective,
        adapter=MaskDenoiser,
        training=made.training,
        score=MeanLoss(made.objective, _items(made.data), batch=8),
        identity={"mask": settings.model_dump(mode="json"), "without": list(without)},
    )
    run_training(run, KEPT / folder)
    return made.network


def seen_patients(without: Sequence[str]) -> list[Patient]:
    """All but some."""
    return [patient for name, patient in everybody().items() if name not in without]


def _items(patches: Patches) -> dict[str, Tensor]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return patches[torch.arange(ITEMS) % len(patches)]


def _as_model(kind: str, network: UNet, known: Mapping[str, tuple[float, float]], *, patch: int) -> MaskModel:
    shipped = model(kind)
    card = replace(shipped.card, network=asdict(network.shape), patch=(patch,) * 3, familiar=dict(known))
    return replace(shipped, network=network.eval(), card=card)
