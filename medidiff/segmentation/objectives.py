"""What a mask model is trained to do: be right about probabilities (`Calibrated`), or overlap in few steps (`Overlap`)."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from medidiff.diffusion.noise import Noise
from medidiff.diffusion.objectives import Batch
from medidiff.diffusion.process import per_item
from medidiff.segmentation.denoiser import LAMBDA_MAX, LAMBDA_MIN, SIGMA_MAX, MaskDenoiser, plain_logits


@dataclass(frozen=True)
class Calibrated:
    """Cross-entropy at all levels: a proper score, so that the minimiser is the true P(y = 1 | u, condition).

    lambda ~ U[LAMBDA_MIN, LAMBDA_MAX], and a share of the items exactly at LAMBDA_MIN, where the one-step answer is made.
    """

    at_start: float = 0.25  # share of the items

    def __call__(self, batch: Batch, denoiser: MaskDenoiser, noise: Noise) -> Tensor:
        x0 = batch["x0"]
        sigma, _ = draw_levels(len(x0), noise, at_start=self.at_start, recycled=0.0)
        u = x0 + per_item(sigma, x0) * noise(0, x0, draw="noise")
        return cross_entropy(denoiser.logits(u, sigma.to(x0.device), batch["condition"]), x0).mean()


@dataclass(frozen=True)
class Overlap:
    """Cross-entropy at all levels, plus the soft Dice loss where the state holds no truth: at the start, and on recycled items.

    A recycled item carries, in place of the true mask, the network's own one-step answer under the noise it was made from:
    what the state of a deterministic sampler looks like. Without it a network trained on little data trusts every mask that it
    is shown, and the ensemble drifts from the one-step answer. Recycling is after ImgX-DiffSeg; Dice is no proper score, so
    probabilities need calibration afterwards.
    """

    at_start: float = 0.4  # share of the items
    recycled: float = 0.3  # share of the items

    def __call__(self, batch: Batch, denoiser: MaskDenoiser, noise: Noise) -> Tensor:
        x0, condition = batch["x0"], batch["condition"]
        sigma, kind = draw_levels(len(x0), noise, at_start=self.at_start, recycled=self.recycled)
        sigma, kind = sigma.to(x0.device), kind.to(x0.device)
        z = noise(0, x0, draw="noise")
        clean = recycle(denoiser, x0, z, condition, kind == RECYCLED)
        logits = denoiser.logits(clean + per_item(sigma, x0) * z, sigma, condition)
        return (cross_entropy(logits, x0) + (kind != TRUE) * dice_loss(logits, x0)).mean()


@dataclass(frozen=True)
class Plain:
    """Cross-entropy and soft Dice of the network without diffusion: the twin that every diffusion result is compared with."""

    def __call__(self, batch: Batch, denoiser: MaskDenoiser, noise: Noise) -> Tensor:
        logits = plain_logits(denoiser.network, batch["condition"])
        return (cross_entropy(logits, batch["x0"]) + dice_loss(logits, batch["x0"])).mean()


START, RECYCLED, TRUE = 0, 1, 2  # kinds of items: only noise; the network's own answer; the true mask in the state


def draw_levels(count: int, noise: Noise, *, at_start: float, recycled: float) -> tuple[Tensor, Tensor]:
    """sigma (count,) float64 and the kind (count,) of every item of a batch."""
    generator = noise.generator(0, "batch", "levels")
    chosen, place = torch.rand(2, count, generator=generator, dtype=torch.float64)
    kind = torch.where(chosen < at_start, START, torch.where(chosen < at_start + recycled, RECYCLED, TRUE))
    lam = torch.where(kind == START, LAMBDA_MIN, LAMBDA_MIN + place * (LAMBDA_MAX - LAMBDA_MIN))
    return torch.exp(-lam), kind


@torch.no_grad()
def recycle(denoiser: MaskDenoiser, x0: Tensor, z: Tensor, condition: Tensor, chosen: Tensor) -> Tensor:
    """x0 with the chosen items replaced by the one-step answer from the noise z, without a gradient."""
    if not bool(chosen.any()):
        return x0
    top = torch.full((int(chosen.sum()),), SIGMA_MAX, dtype=torch.float64, device=x0.device)
    result = x0.clone()
    result[chosen] = denoiser(SIGMA_MAX * z[chosen], top, condition[chosen])
    return result


def cross_entropy(logits: Tensor, x0: Tensor) -> Tensor:
    """The mean over the voxels of each item, (b,)."""
    return binary_cross_entropy_with_logits(logits, (x0 + 1) / 2, reduction="none").flatten(1).mean(1)


def dice_loss(logits: Tensor, x0: Tensor, *, smooth: float = 1.0) -> Tensor:
    """1 - (2 sum p y + smooth) / (sum p + sum y + smooth) of each item, (b,)."""
    p, y = torch.sigmoid(logits).flatten(1), ((x0 + 1) / 2).flatten(1)
    return 1 - (2 * (p * y).sum(1) + smooth) / (p.sum(1) + y.sum(1) + smooth)


def initial_bias(foreground: float) -> float:
    """The logit of a share of foreground: as the last bias it spares the first hundred steps, which would learn just that."""
    return math.log(foreground / (1 - foreground))
