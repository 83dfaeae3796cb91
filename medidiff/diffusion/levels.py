"""Which noise levels a network is trained at, drawn stratified so that every batch covers the whole distribution."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from medidiff.diffusion.noise import Noise


class Levels(ABC):
    """A distribution of noise levels, known by its inverse cumulative distribution."""

    @abstractmethod
    def quantile(self, probability: Tensor) -> Tensor:
        """The level below which a share `probability` of the draws lies, float64."""

    def draw(self, batch: int, noise: Noise) -> Tensor:
        """One level per item, (batch,) float64, one from each of `batch` equally likely strata.

        probability_i = (i + shift) / batch,   shift ~ U(0, 1) once per batch
        """
        shift = torch.rand(1, generator=noise.generator(0, "batch", "levels"), dtype=torch.float64)
        return self.quantile((torch.arange(batch, dtype=torch.float64) + shift) / batch)

    @property
    def trained_range(self) -> tuple[float, float]:
        """The .1 % and 99.9 % quantiles: outside them the network has seen nothing."""
        low, high = self.quantile(torch.tensor([0.001, 0.999], dtype=torch.float64)).tolist()
        return low, high


@dataclass(frozen=True)
class LogNormal(Levels):
    """ln sigma ~ N(mean, std^2), Karras et al. 2022 (arXiv 2206.00364, table 1).

    In flow time t = sigma / (1 + sigma) this is the logit-normal law of Esser et al. 2024 (arXiv 2403.03206).
    """

    mean: float = -1.2  # for data of standard deviation .5
    std: float = 1.2

    def quantile(self, probability: Tensor) -> Tensor:
        return torch.exp(self.mean + self.std * torch.special.ndtri(probability.double()))


@dataclass(frozen=True)
class UniformLambda(Levels):
    """ln sigma uniform between two levels."""

    smin: float = 0.002
    smax: float = 80.0

    def quantile(self, probability: Tensor) -> Tensor:
        return self.smin * torch.exp(probability.double() * math.log(self.smax / self.smin))
