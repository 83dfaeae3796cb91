"""Companding of amplitudes by the mu-law, which keeps the phase: small echoes become large enough for a network to see."""

import math

import torch
from torch import Tensor

MU = 255.0


def compand(signal: Tensor, *, mu: float = MU) -> Tensor:
    """The signal with amplitudes from 0 to 1 companded to 0 to 1, real or complex.

    signal   any shape, real RF or complex IQ, amplitudes up to 1
    mu       strength

        C(s) = s / |s| · ln(1 + mu |s|) / ln(1 + mu),   C(0) = 0       (ITU-T G.711, of the modulus)

    Amplitudes above 1 go on along the same curve. A turn of the phase of `signal` turns what comes back.
    """
    amplitude, floor = _amplitude(signal)
    ratio = torch.log1p(mu * floor) / (math.log1p(mu) * floor)
    return signal * torch.where(amplitude > 0, ratio, mu / math.log1p(mu))


def expand(companded: Tensor, *, mu: float = MU) -> Tensor:
    """The signal whose companded form this is, real or complex.

    companded   any shape, amplitudes up to 1; beyond, amplitudes grow as (1 + mu)^|u| and soon without use: cut them first

        C^-1(u) = u / |u| · ((1 + mu)^|u| - 1) / mu
    """
    amplitude, floor = _amplitude(companded)
    ratio = torch.expm1(math.log1p(mu) * floor) / (mu * floor)
    return companded * torch.where(amplitude > 0, ratio, math.log1p(mu) / mu)


def expand_slope(amplitude: Tensor, *, mu: float = MU) -> Tensor:
    """d|signal| / d|companded| along the radius, at signal amplitudes from 0 to 1:  (1 + mu a) ln(1 + mu) / mu."""
    return (1 + mu * amplitude) * (math.log1p(mu) / mu)


def expand_turn(amplitude: Tensor, *, mu: float = MU) -> Tensor:
    """How far a companded step across the radius moves the signal, at signal amplitudes a from 0 to 1:  a / C(a)."""
    _, floor = _amplitude(amplitude)
    return torch.where(amplitude > 0, floor * math.log1p(mu) / torch.log1p(mu * floor), math.log1p(mu) / mu)


def _amplitude(signal: Tensor) -> tuple[Tensor, Tensor]:
    """|signal|, and the same with a floor that can be divided by; the floor has no influence on any slope."""
    amplitude = signal.abs()
    return amplitude, amplitude.clamp(min=torch.finfo(amplitude.dtype).tiny)
