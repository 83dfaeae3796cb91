"""Langevin steps at one level, and denoising MCMC: a chain over images *and* levels, a short run away from samples."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from medidiff.diffusion.denoiser import Denoiser, limits_of, predict
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.process import per_item
from medidiff.diffusion.sample import State, Step, sample

LevelClassifier = Callable[[Tensor], Tensor]  # u (b, c, *space) -> log p(level | u) + constant, (b, n)


def langevin(denoiser: Denoiser, u: Tensor, sigma: float, *, tau: float, noise: Noise, count: int = 1) -> Tensor:
    """The state after `count` Langevin steps at one level (Song 2019, algorithm 1): u += tau score + sqrt(2 tau) z.

    tau    step, data unit squared; stable below sigma^2
    """
    limits_of(denoiser).need_gaussian_kernel()
    for step in range(count):
        score = (predict(denoiser, u, sigma) - u) / sigma**2
        u = u + tau * score + math.sqrt(2 * tau) * noise(step, u, "langevin")
    return u


def exact_classifier(log_density: Callable[[Tensor, Tensor], Tensor], grid: Tensor) -> LevelClassifier:
    """log p(level | u) from an oracle's density, with equal prior shares for the levels of the grid."""

    def classify(u: Tensor) -> Tensor:
        return torch.stack([log_density(u, level.expand(len(u))) for level in grid], 1)

    return classify


@dataclass(frozen=True)
class DenoisingMCMC:
    """Denoising Langevin-Gibbs (Kim 2022, algorithm 1): the chain moves among all levels, and so between modes; each state
    is then taken down to level 0 by a few steps of any sampler.

        u <- u + (D(u, sigma) - u) / 2 + sigma z;        sigma ~ p(sigma | u) over the levels of the grid

    The move of u is a Langevin step with tau = sigma^2 / 2. One call per move; a state at grid[i] costs the steps from i on.
    """

    denoiser: Denoiser
    classifier: LevelClassifier  # trained, or `exact_classifier`
    grid: Tensor  # falling levels; only the last may be 0, and no state stays there
    noise: Noise

    def __post_init__(self):
        limits_of(self.denoiser).need_gaussian_kernel()

    def moved(self, u: Tensor, index: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """The chain's next state and level index, from u (b, c, *space) at levels grid[index], index (b,)."""
        sigma = self.grid[index]
        z = self.noise(step, u, "langevin")
        u = u + (self.denoiser(u, sigma) - u) / 2 + per_item(sigma, u) * z
        shares = torch.softmax(self.classifier(u), 1).cumsum(1)
        pick = self.noise.uniform(step, u.new_empty(len(u), 1, dtype=torch.float64), "level").to(shares)
        return u, torch.searchsorted(shares, pick * shares[:, -1:]).flatten().clamp(max=shares.shape[1] - 1)

    def finished(self, u: Tensor, index: Tensor, step: Step) -> tuple[Tensor, int]:
        """Every state taken down to the end of the grid, and the calls that cost, summed over the batch."""
        out, calls = u.clone(), 0
        for start in index.unique().tolist():
            rows = torch.nonzero(index == start).flatten()
            if start < len(self.grid) - 1:
                out[rows] = sample(self.denoiser, State(u[rows], start), self.grid, step)
                calls += len(rows) * (len(self.grid) - 1 - start)
        return out, calls
