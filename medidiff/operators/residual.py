"""The form `residual`: a regression, and a diffusion model of what it leaves."""

from dataclasses import dataclass

import torch
from torch import Tensor

from medidiff.diffusion.convert import edm_weight
from medidiff.diffusion.denoiser import Denoiser
from medidiff.diffusion.levels import Levels
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.objectives import Batch
from medidiff.diffusion.process import per_item
from medidiff.operators.denoiser import LEVELS
from medidiff.operators.encoding import along_channels


@dataclass(frozen=True)
class Residual:
    """Denoising of r = (z - guess) / scale, every channel over its own standard deviation.

        loss = mean lambda(sigma) v_c |D(r + sigma n; sigma, [c, guess])_c - r_c|^2,   v_c = scale_c^2 / mean scale^2

    The weights undo the scales, so that the loss is again that of the physical error. A batch holds `x0`, `guess`, `condition`
    and `parameters`; the guess should be of trajectories that the regression was not trained on, whose residuals are larger.
    """

    scale: tuple[float, ...]  # per channel, in units of z
    levels: Levels = LEVELS

    def __call__(self, batch: Batch, denoiser: Denoiser, noise: Noise) -> Tensor:
        x0 = batch["x0"]
        scale = along_channels(self.scale, x0)
        r = (x0 - batch["guess"]) / scale
        sigma = self.levels.draw(len(r), noise).to(r.device)
        u = r + per_item(sigma, r) * noise(0, r, draw="noise")
        told = with_guess(batch["condition"], batch["guess"])
        error = denoiser(u, sigma, condition=told, parameters=batch["parameters"]) - r
        weight = scale.square() / scale.square().mean()
        return (per_item(edm_weight(sigma, 1.0), error) * weight * error.square()).mean()


def with_guess(condition: Tensor, guess: Tensor) -> Tensor:
    """The condition of the residual's network."""
    return torch.cat([condition, guess], 1)
