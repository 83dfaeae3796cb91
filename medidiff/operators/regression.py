"""The form `regression`: one call of one network, trained with the squared error."""

from dataclasses import dataclass

import torch
from torch import Tensor

from medidiff.diffusion.noise import Noise
from medidiff.diffusion.objectives import Batch
from medidiff.operators.denoiser import Regressor


@dataclass(frozen=True)
class Regression:
    """mean |F(condition, parameters) - z|^2: with one scale per field the physical loss, for orthogonal families exactly."""

    def __call__(self, batch: Batch, regressor: Regressor, noise: Noise) -> Tensor:
        return (regressor(batch["condition"], batch["parameters"]) - batch["x0"]).square().mean()


@torch.no_grad()
def answers(regressor: Regressor, condition: Tensor, parameters: Tensor, *, batch: int = 64) -> Tensor:
    """F(condition, parameters) of any number of items, `batch` at once."""
    pieces = zip(condition.split(batch), parameters.split(batch), strict=True)
    return torch.cat([regressor(*piece) for piece in pieces])
