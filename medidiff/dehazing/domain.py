"""The units in which models see a signal, and complex signals as the two channels that networks take."""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from physics.ultrasound.companding import compand, expand, expand_slope


class Domain(Protocol):
    """A monotone change of amplitude that keeps the phase, from signals to what networks see, and back."""

    def compress(self, signal: Tensor) -> Tensor:
        """Companded signal, complex as the signal."""

    def expand(self, companded: Tensor) -> Tensor:
        """The signal again; amplitudes that no signal has are cut."""

    def slope(self, amplitude: Tensor) -> Tensor:
        """d|signal| / d|companded| where the signal has this amplitude."""


@dataclass(frozen=True)
class MuLaw:
    """Companding by the mu-law, for signals of amplitude up to 1: expand cuts companded amplitudes at 1."""

    mu: float = 255.0

    def compress(self, signal: Tensor) -> Tensor:
        return compand(signal, mu=self.mu)

    def expand(self, companded: Tensor) -> Tensor:
        return expand(cut(companded), mu=self.mu)

    def slope(self, amplitude: Tensor) -> Tensor:
        return expand_slope(amplitude, mu=self.mu)


@dataclass(frozen=True)
class Linear:
    """Signals as they are: what Gaussian priors need to be exact."""

    def compress(self, signal: Tensor) -> Tensor:
        return signal

    def expand(self, companded: Tensor) -> Tensor:
        return companded

    def slope(self, amplitude: Tensor) -> Tensor:
        return torch.ones_like(amplitude)


def cut(signal: Tensor) -> Tensor:
    """The signal with amplitudes above 1 brought down to 1, phases kept."""
    return signal / signal.abs().clamp(min=1)


def channels(signal: Tensor) -> Tensor:
    """Complex (b, axial, lateral) as real (b, 2, axial, lateral), I then Q."""
    return torch.stack([signal.real, signal.imag], dim=1)


def signal(channels: Tensor) -> Tensor:
    """Real (b, 2, axial, lateral) as complex (b, axial, lateral), the inverse of `channels`."""
    return torch.complex(channels[:, 0].contiguous(), channels[:, 1].contiguous())


def joined(tissue: Tensor, haze: Tensor) -> Tensor:
    """Two complex (b, axial, lateral) as the state of the joint samplers, (b, 4, axial, lateral), tissue first."""
    return torch.cat([channels(tissue), channels(haze)], dim=1)


def parted(state: Tensor) -> tuple[Tensor, Tensor]:
    """Tissue and haze, complex (b, axial, lateral) each, of a joint state."""
    tissue, haze = state.chunk(2, dim=1)
    return signal(tissue), signal(haze)
