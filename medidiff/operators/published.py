"""The diffusion of "Wavelet Diffusion Neural Operator" (Hu et al. 2025) as in its code: 1000 cosine steps, noise predicted."""

import math
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from medidiff.diffusion.denoiser import Denoiser
from medidiff.diffusion.levels import Levels
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.objectives import Batch, conditions
from medidiff.diffusion.process import Table, per_item, vp_table
from medidiff.operators.encoding import along_channels

STEPS = 1000
OFFSET = 0.008  # of the cosine
LARGEST = 0.999  # variance of one forward step


@cache
def cosine_table() -> Table:
    """The forward process:  alpha_bar(t) = cos^2(pi/2 (t/1000 + 0.008) / 1.008),  beta = 1 - alpha_bar(t + 1) / alpha_bar(t).

    (Nichol and Dhariwal 2021, eq. 17, variances of a step held below 0.999.)
    """
    share = torch.linspace(0, 1, STEPS + 1, dtype=torch.float64)
    left = torch.cos((share + OFFSET) / (1 + OFFSET) * math.pi / 2).square()
    return vp_table((1 - left[1:] / left[:-1]).clamp(0, LARGEST), f"cosine-{STEPS}")


@dataclass(frozen=True)
class CosineLevels(Levels):
    """All steps of the table alike."""

    def quantile(self, probability: Tensor) -> Tensor:
        index = (probability.double() * STEPS).floor().clamp(0, STEPS - 1).long()
        return cosine_table().levels[index]


@dataclass(frozen=True)
class NoisePrediction:
    """mean k_c |e(u, sigma, c)_c - n_c|^2,  e = (u - D) / sigma: the plain loss of the noise, channel by channel.

    weights   k_c of every channel; the published ones are the very constants by which the channels were divided
    """

    weights: tuple[float, ...]

    def __call__(self, batch: Batch, denoiser: Denoiser, noise: Noise) -> Tensor:
        x0 = batch["x0"]
        sigma = CosineLevels().draw(len(x0), noise).to(x0.device)
        u = x0 + per_item(sigma, x0) * noise(0, x0, draw="noise")
        error = (denoiser(u, sigma, **conditions(batch)) - x0) / per_item(sigma, x0)
        return (along_channels(self.weights, x0) * error.square()).mean()


def rounded_maximum(w: Tensor) -> tuple[float, ...]:
    """The largest absolute value of every channel (axis 1), rounded up to two digits; 1 for a channel that is zero."""
    largest = w.abs().double().transpose(0, 1).flatten(1).amax(1)
    unit = 10 ** (largest.clamp_min(1e-300).log10().floor() - 1)
    return tuple(torch.where(largest > 0, (largest / unit).ceil() * unit, 1.0).tolist())
