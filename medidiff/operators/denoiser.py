"""The two kinds of network of an operator: a denoiser of (state, force), and a regression that answers at once."""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from medidiff.diffusion.denoiser import Limits, clipped, edm, from_eps
from medidiff.diffusion.levels import LogNormal
from medidiff.diffusion.networks.unet import UNet, UNetShape
from medidiff.operators.published import STEPS, cosine_table

LEVELS = LogNormal(0.0, 1.4)  # of the training noise; data have root mean square 1
REGRESSION_LEVEL = 1.0  # what a network that regresses is told in place of a noise level: any constant


def network_shape(size: dict, *, dims: int, channels: int, condition: int, parameters: int) -> UNetShape:
    """The U-Net of one part; parameters go in beside the noise level and act by scale and shift of every block."""
    return UNetShape(dims=dims, channels=channels, condition=condition, levels=1 + parameters, **size)


@dataclass(frozen=True)
class Told:
    """A U-Net that is told parameters beside its level: (x, level, condition, parameters) -> output."""

    network: nn.Module = field(repr=False)

    def __call__(self, x: Tensor, level: Tensor, condition: Tensor, parameters: Tensor) -> Tensor:
        return self.network(x, torch.cat([level[:, None], parameters.to(level)], 1), condition)


@dataclass(frozen=True)
class Regressor:
    """z = F(0, condition, parameters), the mean of p(z | condition) once it is trained with the squared error.

    Grids that the network cannot halve often enough are filled up with zeros and cut off again.
    """

    network: nn.Module = field(repr=False)
    channels: int

    def __call__(self, condition: Tensor, parameters: Tensor) -> Tensor:
        sizes = condition.shape[2:]
        condition = _filled(condition, multiple_of(self.network))
        nothing = condition.new_zeros(len(condition), self.channels, *condition.shape[2:])
        level = condition.new_full((len(condition),), REGRESSION_LEVEL)
        found = Told(self.network)(nothing, level, condition, parameters)
        return found[(..., *(slice(0, size) for size in sizes))]


@dataclass(frozen=True)
class StateDenoiser:
    """E[z | u, condition, parameters] of data with root mean square 1, by EDM's preconditioning (Karras 2022, eq. 7).

    noise           edm; or cosine: the network predicts the noise at one of 1000 steps, as published
    is_clipped      hold the answer in [-1, 1], as the published sampler does
    states          how many of the channels are of the state; the others are of the force
    given_channel   the condition channel that is 1 where the force is given: its channels are then zero, in and out
    """

    network: nn.Module = field(repr=False)
    states: int
    given_channel: int | None = None
    noise: str = "edm"
    is_clipped: bool = False

    @property
    def limits(self) -> Limits:
        """The levels of training."""
        levels = cosine_table().levels
        low, high = LEVELS.trained_range if self.noise == "edm" else (float(levels[0]), float(levels[-1]))
        return Limits(sigma_min=low, sigma_max=high, data_std=None, multiple=multiple_of(self.network))

    def __call__(self, u: Tensor, sigma: Tensor, condition: Tensor, parameters: Tensor) -> Tensor:
        plain = edm(Told(self.network), 1.0) if self.noise == "edm" else from_eps(self._at_step, cosine_table())
        plain = clipped(plain, -1.0, 1.0) if self.is_clipped else plain
        if self.given_channel is None or u.shape[1] == self.states:
            return plain(u, sigma, condition=condition, parameters=parameters)
        free = 1 - condition[:, self.given_channel : self.given_channel + 1]
        mask = torch.cat([torch.ones_like(u[:, : self.states]), free.expand_as(u[:, self.states :])], 1)
        return mask * plain(mask * u, sigma, condition=condition, parameters=parameters)

    def _at_step(self, x: Tensor, step: Tensor, condition: Tensor, parameters: Tensor) -> Tensor:
        """The noise in x; the network is told the step's share of all."""
        return Told(self.network)(x, step / STEPS, condition, parameters)


def multiple_of(network: nn.Module) -> int:
    """Every side of what the network sees must be a multiple of this."""
    return network.shape.multiple if isinstance(network, UNet) else 1


def _filled(x: Tensor, multiple: int) -> Tensor:
    """Zeros behind the end of every axis of space, up to a multiple."""
    ends = [number for size in reversed(x.shape[2:]) for number in (0, -size % multiple)]
    return functional.pad(x, ends) if any(ends) else x
