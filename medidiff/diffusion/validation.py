"""How well a network denoises, level by level, on data, levels and noise that never change: early and cheap to look at."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from medidiff.diffusion.convert import edm_weight
from medidiff.diffusion.denoiser import Denoiser
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.process import per_item


@dataclass(frozen=True)
class Look:
    """Losses per bin of the noise level."""

    edges: tuple[float, ...]  # n + 1 levels around n bins
    loss: tuple[float, ...]  # weighted mean squared error, 1 for a network that knows nothing
    gate: tuple[float, ...]  # mean squared error over that of the best linear denoiser; below 1 the network is worth using

    @property
    def mean(self) -> float:
        """The mean loss over the bins."""
        return sum(self.loss) / len(self.loss)


@dataclass(frozen=True)
class Validation:
    """A callable denoiser -> `Look` with fixed (x0, sigma, n) triples.

    held_out   named tensors: `x0` (n, c, *space), and conditions
    linear     the best linear denoiser, e.g. `Stationary.of(training data)`
    sd         standard deviation of the training data
    edges      of the bins of the noise level
    batch      items per call of the denoiser
    seed       of levels and noise
    """

    held_out: Mapping[str, Tensor]
    linear: Denoiser
    sd: float
    edges: tuple[float, ...] = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
    batch: int = 32
    seed: int = 2024

    @torch.no_grad()
    def __call__(self, denoiser: Denoiser) -> Look:
        bins = [self._bin(denoiser, index) for index in range(len(self.edges) - 1)]
        return Look(self.edges, tuple(loss for loss, _ in bins), tuple(gate for _, gate in bins))

    def _bin(self, denoiser: Denoiser, index: int) -> tuple[float, float]:
        low, high = self.edges[index : index + 2]
        x0 = self.held_out["x0"]
        share = (torch.arange(len(x0), dtype=torch.float64, device=x0.device) + 0.5) / len(x0)
        sigma = low * (high / low) ** share
        u = x0 + per_item(sigma, x0) * Noise(self.seed)(index, x0)
        error = self._errors(denoiser, u, sigma)
        reference = ((self.linear(u, sigma) - x0) ** 2).flatten(1).mean(1)
        return float((edm_weight(sigma, self.sd) * error).mean()), float(error.mean() / reference.mean())

    def _errors(self, denoiser: Denoiser, u: Tensor, sigma: Tensor) -> Tensor:
        errors = []
        for first in range(0, len(u), self.batch):
            part = slice(first, first + self.batch)
            named = {name: value[part] for name, value in self.held_out.items()}
            x0 = named.pop("x0")
            errors.append(((denoiser(u[part], sigma[part], **named) - x0) ** 2).flatten(1).mean(1))
        return torch.cat(errors).double()
