"""What sampling masks costs beside MONAI's inferers around the same network, and what more steps are worth.

    python -m benchmarks.segmentation [--quick] [--only speed steps]

`steps` needs the trained models of `models/` and the validation patients in the folder that MEDIDIFF_MIRROR names.
Writes results/segmentation.json.
"""

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.record import Row, interleaved, kept, line, version, write
from medidiff.diffusion.networks.unet import UNet, UNetShape
from medidiff.diffusion.noise import Noise
from medidiff.io.nifti import read_nifti
from medidiff.io.prior_files import read_prior
from medidiff.io.resample import resample_to
from medidiff.io.slab_file import SlabArray
from medidiff.metrics.overlap import dice
from medidiff.segmentation.denoiser import MaskDenoiser, level_grid
from medidiff.segmentation.inference import Found, find_by_ensemble
from medidiff.segmentation.model import assemble_model
from medidiff.segmentation.settings import DiffusionSettings, SegmentSettings
from medidiff.segmentation.sliding import Look, Scene, sample_jointly
from medidiff.segmentation.windows import Windows

PACKAGES = ("torch", "monai", "numpy")
SHAPE = UNetShape(dims=3, channels=1, condition=2, width=32, multipliers=(1, 2, 3), stem=2)  # 2.3 million parameters
VALIDATION = tuple(f"STS_{number:03}" for number in (4, 11, 19, 26, 34, 41, 49))
MODEL = "models/petct-sarcoma"
OVERLAP = 0.25


def speed(quick: bool) -> Iterator[Row]:
    """One mask of a volume of several windows, ours against MONAI's sampler in a sliding window, equal windows and looks."""
    side, roi, steps = (24, 16, 2) if quick else (96, 64, 10)
    network = UNet(SHAPE, seed=0).eval()
    volume = torch.rand(1, 2, side, side, side, generator=torch.Generator().manual_seed(0)) * 1.8 - 0.9
    runs = {"ours": lambda: ours(network, volume, roi, steps), "monai": lambda: monai(network, volume, roi, steps)}
    seconds = interleaved(runs, 1 if quick else 5)
    rate = {name: 60 / value for name, value in seconds.items()}
    case = f"{side}^3, windows of {roi}^3, {steps} looks, one mask, float32"
    note = "MONAI samples every window by itself (seams), ours one state for all"
    yield Row(
        "volumes_per_minute",
        case,
        rate["ours"],
        "1/min",
        rate["monai"],
        version("monai") or "monai",
        rate["ours"] / rate["monai"],
        note=note,
    )


def ours(network: nn.Module, volume: Tensor, roi: int, steps: int) -> None:
    """The joint sliding window."""
    condition = SlabArray((volume.shape[2], 2, *volume.shape[3:]))
    condition.write(0, volume[0].movedim(0, 1).numpy())
    shape = tuple(volume.shape[2:])
    sample_jointly(
        Scene(condition, Windows(shape, (roi,) * 3, OVERLAP)),
        Look(MaskDenoiser(network)),
        level_grid(steps),
        state=SlabArray(shape),
        history=SlabArray(shape),
        noise=lambda index: Noise(0, (index,)),
        observe=lambda step, first, probability: None,
    )


@torch.no_grad()
def monai(network: nn.Module, volume: Tensor, roi: int, steps: int) -> None:
    """`DiffusionInferer.sample` inside `SlidingWindowInferer`, DDIM."""
    from monai.inferers import DiffusionInferer, SlidingWindowInferer
    from monai.networks.schedulers import DDIMScheduler

    scheduler = DDIMScheduler(num_train_timesteps=1000, prediction_type="sample", clip_sample=False)
    scheduler.set_timesteps(steps)

    def predict(x: Tensor, timesteps: Tensor, context: Tensor | None) -> Tensor:
        return torch.tanh(network(x[:, :1], timesteps.float() / 500, x[:, 1:]) / 2)

    def one_window(condition: Tensor) -> Tensor:
        start = torch.randn_like(condition[:, :1])
        return DiffusionInferer(scheduler).sample(start, predict, conditioning=condition, mode="concat", verbose=False)

    SlidingWindowInferer((roi,) * 3, overlap=OVERLAP, mode="gaussian")(volume, one_window)


def steps(quick: bool) -> Iterator[Row]:
    """Mean Dice over the validation patients against the looks per mask; one look is the one-step answer."""
    mirror = os.environ.get("MEDIDIFF_MIRROR")
    if not mirror:
        yield Row("dice", "validation patients", note="no MEDIDIFF_MIRROR: not measured")
        return
    names = VALIDATION[:1] if quick else VALIDATION
    for count in (2, 5) if quick else (2, 5, 10, 20, 50):
        scores = np.array([scored(Path(mirror) / "petct_sts/nifti" / name, count) for name in names])
        if count == 2:
            yield row(scores[:, 1], "1 look", len(names))
        yield row(scores[:, 0], f"{count} looks, mean of 5 masks", len(names))


def row(scores: np.ndarray, case: str, count: int) -> Row:
    """The mean with its bootstrap interval over patients."""
    draws = np.random.default_rng(0).choice(scores, (10_000, count)).mean(1)
    low, high = np.percentile(draws, [2.5, 97.5])
    return Row("dice", f"{count} unseen patients, PET grid, {case}", float(scores.mean()), note=f"95 % {low:.3f} to {high:.3f}")


def scored(folder: Path, count: int) -> tuple[float, float]:
    """Dice of the ensemble and of its one-step answer, without the switch between them."""
    ct, pet, truth = (read_nifti(folder / f"{name}.nii.gz") for name in ("ct", "pet_suv", "gtv_pet"))
    model = assemble_model(read_prior(MODEL), kind="diffusion")
    settings = SegmentSettings(diffusion=DiffusionSettings(steps=count, trusted_gap=1e9))
    found: Found = find_by_ensemble(ct, pet, model, settings, study=folder.name)
    ensemble = resample_to(found.probability, pet.grid, fill=0.0).array >= settings.threshold
    one_step = found.maps["one_step"].array >= settings.threshold
    return tuple(dice(mask, truth.array > 0) for mask in (ensemble, one_step))


PARTS = {"speed": speed, "steps": steps}


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that it runs")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    chosen = parser.parse_args()
    rows = []
    for part in chosen.only:
        for found in PARTS[part](chosen.quick):
            rows.append(found)
            sys.stdout.write(line(found) + "\n")
            sys.stdout.flush()
    if not chosen.quick:
        sys.stdout.write(f"{write('segmentation', kept('segmentation', rows, PACKAGES) + rows, PACKAGES)}\n")


if __name__ == "__main__":
    main()
