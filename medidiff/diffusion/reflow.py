"""Straightening a flow: pairs of noise and the sample it leads to, regression on them, and one-step distillation."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from medidiff.diffusion.denoiser import Denoiser
from medidiff.diffusion.levels import Levels, LogNormal
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.objectives import Batch, conditions
from medidiff.diffusion.process import per_item
from medidiff.diffusion.sample import Step, sample

FLOW_LEVELS = LogNormal(0.0, 1.0)  # logit-normal in flow time


@dataclass(frozen=True)
class Reflow:
    """The squared error of the velocity on pairs of noise `z` and sample `x0`, or with a share B of fresh noise in z.

        t = sigma / (1 + sigma),   z_B = sqrt(1 - B^2) z + B z',   u = x0 + sigma z_B
        loss = mean (w - (z_B - x0))^2 = mean ((D(u; sigma) - x0) / t)^2

    B = 0 is the reflow loss of Liu et al. 2023 (arXiv 2209.03003, eq. 1) and B = 1 that of the first flow, with no pairs needed;
    SlimFlow (arXiv 2407.12718) trains a smaller student while B falls from 1 to 0: one stage of `train` per value.
    """

    fresh_share: float = 0.0  # B
    levels: Levels = FLOW_LEVELS

    def __call__(self, batch: Batch, denoiser: Denoiser, noise: Noise) -> Tensor:
        x0 = batch["x0"]
        sigma = self.levels.draw(len(x0), noise).to(x0.device)
        fresh = noise(0, x0, draw="noise")
        z = fresh if self.fresh_share == 1 else math.sqrt(1 - self.fresh_share**2) * batch["z"] + self.fresh_share * fresh
        named = {name: value for name, value in conditions(batch).items() if name != "z"}
        error = denoiser(x0 + per_item(sigma, x0) * z, sigma, **named) - x0
        return (per_item((1 + sigma) / sigma, x0) ** 2 * error**2).mean()


@dataclass(frozen=True)
class HalfSteps:
    """One Euler step of the whole flow against two half steps of the same network without gradient: zero for a straight flow.

        loss = mean (D(u; smax) - D(u_half; 1))^2,     u = smax z,     u_half = D + (u - D) / smax    (flow time 1/2, sigma = 1)

    An Euler step to the end of the flow is D itself. Second stage of SlimFlow (arXiv 2407.12718). The batch holds `z`.
    """

    smax: float = 1000.0  # where the flow starts; its time smax/(1 + smax) stands for 1

    def __call__(self, batch: Batch, denoiser: Denoiser, noise: Noise) -> Tensor:
        z = batch["z"]
        named = {name: value for name, value in conditions(batch).items() if name != "z"}
        top, half = (torch.full((len(z),), level, dtype=torch.float64, device=z.device) for level in (self.smax, 1.0))
        whole = denoiser(self.smax * z, top, **named)
        with torch.no_grad():
            middle = whole + (self.smax * z - whole) / self.smax
            target = denoiser(middle, half, **named)
        return ((whole - target) ** 2).mean()


def reflow_pairs(denoiser: Denoiser, z: Tensor, grid: Tensor, step: Step, **condition: Tensor) -> dict[str, Tensor]:
    """A batch of `z` and the sample `x0` that the ODE leads it to, and the conditions it was led by.

    z      (b, c, *space)   white noise
    grid   (n,)             falling levels; the first well above the data
    step   a deterministic method
    """
    with torch.no_grad():
        x0 = sample(denoiser, float(grid[0]) * z, grid, step, **condition)
    return {"x0": x0, "z": z, **condition}
