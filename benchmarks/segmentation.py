"""What sampling masks costs beside MONAI's inferers around the same network, how good masks are, and what doubt is worth.

    python -m benchmarks.segmentation [--quick] [--only speed methods doubt looks reference ablation folds]

All but `speed` need the patients in the folder that MEDIDIFF_MIRROR names. `reference` trains for half an hour and `folds` for an
hour, and both keep their checkpoints; `ablation` reads models of configs/priors. Writes results/segmentation.json.
"""

import argparse
import sys
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from benchmarks.record import Row, interleaved, kept, line, version, write
from benchmarks.segmentation_ablation import ablation
from benchmarks.segmentation_crossvalidation import folds
from benchmarks.segmentation_quality import doubt, looks, methods
from benchmarks.segmentation_reference import reference
from medidiff.diffusion.networks.unet import UNet, UNetShape
from medidiff.diffusion.noise import Noise
from medidiff.io.slab_file import SlabArray
from medidiff.segmentation.denoiser import MaskDenoiser, level_grid
from medidiff.segmentation.sliding import Look, Scene, sample_jointly
from medidiff.segmentation.windows import Windows

PACKAGES = ("torch", "monai", "numpy")
SHAPE = UNetShape(dims=3, channels=1, condition=2, width=32, multipliers=(1, 2, 3), stem=2)  # 2.3 million parameters
OVERLAP = 0.25


def speed(quick: bool) -> Iterator[Row]:
    """One mask of a volume of several windows, ours against MONAI's sampler in a sliding window, equal windows and looks."""
    side, roi, steps = (24, 16, 2) if quick else (72, 48, 3)
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


PARTS = {
    "speed": speed,
    "methods": methods,
    "doubt": doubt,
    "looks": looks,
    "reference": reference,
    "ablation": ablation,
    "folds": folds,
}


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
