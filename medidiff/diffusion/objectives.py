"""What is minimised in training: plain callables (batch, denoiser, noise) -> loss, so that one loop trains everything."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from medidiff.diffusion.convert import edm_weight
from medidiff.diffusion.denoiser import Denoiser
from medidiff.diffusion.levels import Levels, LogNormal
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.process import per_item

Batch = Mapping[str, Tensor]
EDM_LEVELS = LogNormal()  # of Karras et al. 2022, for data of standard deviation .5


class Objective(Protocol):
    """A loss of one batch.

    batch      named tensors with leading b: `x0` is clean data, the others are conditions handed to the denoiser
    denoiser   what is trained, (u, sigma, **condition) -> E[x0 | u]
    noise      of this step; two calls with the same arguments give the same loss
    returns    () float32 or float64, mean over pixels and batch
    """

    def __call__(self, batch: Batch, denoiser: Denoiser, noise: Noise) -> Tensor: ...


@dataclass(frozen=True)
class Denoising:
    """The weighted mean squared error of the denoised data, at 1.00 for a network that gives zero if `sd` is right.

        loss = mean  w (D(x0 + sigma n; sigma) - x0)^2,    w = (sigma^2 + sd^2) / (sigma sd)^2

    Karras et al. 2022 (arXiv 2206.00364, eqs 2 and 8): the target of the preconditioned network has unit variance at every level.
    """

    sd: float  # standard deviation of the data in network units
    levels: Levels = EDM_LEVELS  # of the training noise

    def __call__(self, batch: Batch, denoiser: Denoiser, noise: Noise) -> Tensor:
        x0 = batch["x0"]
        sigma = self.levels.draw(len(x0), noise).to(x0.device)
        u = x0 + per_item(sigma, x0) * noise(0, x0, draw="noise")
        error = denoiser(u, sigma, **conditions(batch)) - x0
        return (per_item(edm_weight(sigma, self.sd), error) * error**2).mean()


@dataclass(frozen=True)
class SplitMeasurement:
    """Training where no clean data exist: predict the image from one part of a measurement, compare in the other part.

        loss = mean |A2 D(start(y1) + sigma n; sigma) - y2|^2 / noise_std^2

    The batch holds `y1`, `y2` and what the parts' operators need (masks, angles) by name; operators arrive as functions of
    (x, batch). The minimiser is E[x0 | start(y1) + sigma n] wherever part 2 looks; the prior is identifiable when each pair of
    unknowns is seen together with positive probability. Tewari et al. 2023 (arXiv 2306.11719).
    """

    start: Callable[[Batch], Tensor]  # a first image (b, c, *space) from part 1 only, e.g. its adjoint
    second: Callable[[Tensor, Batch], Tensor]  # A2: what part 2 would have measured of an image
    noise_std: float = 1.0  # of y2
    handed: tuple[str, ...] = ()  # tensors of the batch that the denoiser is told as well
    levels: Levels = EDM_LEVELS

    def __call__(self, batch: Batch, denoiser: Denoiser, noise: Noise) -> Tensor:
        first = self.start(batch)
        sigma = self.levels.draw(len(first), noise).to(first.device)
        u = first + per_item(sigma, first) * noise(0, first, draw="noise")
        predicted = self.second(denoiser(u, sigma, **{name: batch[name] for name in self.handed}), batch)
        return ((predicted - batch["y2"]) ** 2).mean() / self.noise_std**2


def conditions(batch: Batch) -> dict[str, Tensor]:
    """Everything of a batch that is handed to the denoiser: all but the clean data."""
    return {name: value for name, value in batch.items() if name != "x0"}
