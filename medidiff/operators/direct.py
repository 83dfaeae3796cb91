"""The form `direct`: one diffusion model of state and force together, for which the force may be given or unknown."""

from dataclasses import dataclass

import torch
from torch import Tensor

from medidiff.diffusion.denoiser import Denoiser
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.objectives import Batch, Denoising, Objective
from medidiff.operators.denoiser import LEVELS

EDM_LOSS = Denoising(1.0, LEVELS)


@dataclass(frozen=True)
class Direct:
    """Denoising of (state, force), where with probability `dropout` the force is moved from the conditions to the unknowns.

        loss = mean lambda(sigma) |D(z + sigma n; sigma, c) - z|^2,   lambda = (sigma^2 + 1) / sigma^2

    So one network holds p(u | f, u0), which simulates, and p(u, f | u0), which controls. Where the force is given its channels
    are zero, and so is their error. A batch holds `x0`, `forcing` (b, force_channels, *grid), `condition` and `parameters`.
    ("Wavelet Diffusion Neural Operator" 2025 trains one network for each.)
    """

    given_channel: int | None
    dropout: float = 0.5
    loss: Objective = EDM_LOSS  # of what is unknown

    def __call__(self, batch: Batch, denoiser: Denoiser, noise: Noise) -> Tensor:
        x0, condition = batch["x0"], batch["condition"]
        if self.given_channel is not None:
            chance = noise.uniform(0, x0.new_empty(len(x0), 1), draw="given")
            given = (chance >= self.dropout).to(x0).reshape(-1, *[1] * (x0.ndim - 1))
            x0 = torch.cat([x0, (1 - given) * batch["forcing"]], 1)
            condition = hidden(condition, self.given_channel, given)
        handed = {"x0": x0, "condition": condition, "parameters": batch["parameters"]}
        return self.loss(handed, denoiser, noise)


def hidden(condition: Tensor, given_channel: int, given: Tensor | float) -> Tensor:
    """The condition in which the force, and that it is given, are multiplied by `given`: 0 hides it."""
    return torch.cat([condition[:, : given_channel + 1] * given, condition[:, given_channel + 1 :]], 1)
