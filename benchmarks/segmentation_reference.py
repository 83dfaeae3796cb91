"""MONAI's SegResNet and our U-Net trained alike: the same patients, patches, loss, steps and code."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.record import Row, version
from benchmarks.segmentation_answers import KEPT, mirror, model, on, patient
from benchmarks.segmentation_quality import interval
from medidiff.metrics.overlap import dice
from medidiff.segmentation.inference import find_by_unet
from medidiff.segmentation.model import MaskModel
from medidiff.segmentation.settings import SegmentSettings, UnetSettings
from medidiff.segmentation.thresholds import largest_component
from medidiff.training.mask import prepare_mask
from medidiff.training.run import run_training
from medidiff.training.settings import read_training

CONFIG = "configs/priors/petct-sarcoma-unet.yaml"
STEPS, QUICK_STEPS, FLIPS = 400, 1, 2


class SegResNet(nn.Module):
    """MONAI's network as ours are called: it sees the condition alone. 1.2 million parameters, ours has 2.3."""

    def __init__(self):
        from monai.networks.nets import SegResNet as Inside

        super().__init__()
        torch.manual_seed(0)
        self.inside = Inside(init_filters=8, in_channels=2, out_channels=1, blocks_down=(1, 2, 2, 4), blocks_up=(1, 1, 1))
        with torch.no_grad():
            self.inside.conv_final[-1].conv.bias.fill_(-2.0)

    def forward(self, x: Tensor, noise_level: Tensor, condition: Tensor) -> Tensor:
        return self.inside(condition)


def reference(quick: bool) -> Iterator[Row]:
    """Mean Dice of both on the validation patients after equally many steps, two mirrored looks."""
    if mirror() is None or version("monai") is None:
        yield Row("dice_reference", "validation patients", note="no MEDIDIFF_MIRROR or no MONAI: not measured")
        return
    file = read_training(CONFIG)
    steps = QUICK_STEPS if quick else STEPS
    settings = {"steps": steps, "warmup": min(file.mask.warmup, steps)}
    file = file.model_copy(update={"mask": file.mask.model_copy(update=settings)})
    ours = prepare_mask(file).run
    runs = {"unet": ours, "segresnet": replace(ours, network=SegResNet(), identity={**ours.identity, "network": "SegResNet"})}
    names = file.mask.patients.held_out[: 1 if quick else None]
    scores = {}
    for name, run in runs.items():
        run_training(run, Path(KEPT) / f"{name}-{steps}")
        scores[name] = np.array([score(replace(model("unet"), network=run.network.eval()), one) for one in names])
    yield compared(scores["unet"], scores["segresnet"], steps)


def score(trained: MaskModel, name: str) -> float:
    """Dice of one patient, the largest part of the mask."""
    ct, pet, truth = patient(name)
    probability = on(find_by_unet(ct, pet, trained, SegmentSettings(unet=UnetSettings(flips=FLIPS))), pet)
    return dice(largest_component(probability >= 0.5), truth.array > 0)


def compared(ours: np.ndarray, theirs: np.ndarray, steps: int) -> Row:
    """Both means, and their difference with its bootstrap interval over patients."""
    low, high = interval(ours - theirs)
    return Row(
        "dice_reference",
        f"{len(ours)} unseen patients, PET grid, {steps} steps of 2 patches each, U-Net without diffusion against SegResNet",
        float(ours.mean()),
        theirs=float(theirs.mean()),
        peer=version("monai") or "monai",
        difference=float(ours.mean() - theirs.mean()),
        low=low,
        high=high,
    )
