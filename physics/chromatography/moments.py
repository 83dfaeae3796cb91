"""Cumulants of linear peaks: closed forms, and the exact ones of any product of transfer functions."""

import math

import torch
from torch import Tensor

from physics.chromatography.column import hold_up_factor
from physics.chromatography.peaks import Peaks
from physics.chromatography.transfer import column_logarithm, instrument

POINTS = 64


def kinetic_cumulants(peaks: Peaks) -> Tensor:
    """Mean, variance and third central moment of peaks broadened by exchange and instrument, without diffusion.

    peaks     (b, component)      their dispersion and filters are left out
    returns   (b, component, 3)   s, s^2, s^3, differentiable

        mean     = t0 + t1/2 + tailing + mixing + tM (1 + k)
        variance = t1^2/12 + tailing^2 + mixing^2 + 2 k tM/kd
        third    = 2 tailing^3 + 2 mixing^3 + 6 k tM/kd^2
    """
    k, kd, hold_up, t1 = peaks.retention, peaks.desorption, peaks.hold_up, peaks.injection
    mean = peaks.delay + 0.5 * t1 + peaks.tailing + peaks.mixing + hold_up * (1 + k)
    variance = t1**2 / 12 + peaks.tailing**2 + peaks.mixing**2 + 2 * k * hold_up / kd
    third = 2 * peaks.tailing**3 + 2 * peaks.mixing**3 + 6 * k * hold_up / kd**2
    return torch.stack([mean, variance, third.expand_as(mean)], dim=-1)


def diffusion_variance(peaks: Peaks) -> Tensor:
    """Variance that axial (and Golay's) dispersion adds to each peak, to leading order.

    peaks     (b, component)
    returns   (b, component)   s^2

        2 D0 (1 + k)^2/u0^3 · L (1 + P^2)/2 = e (1 + k)^2 (L/u0)^2 (1 + P^2),     e = D0/(u0 L)
    """
    crossing = peaks.hold_up / hold_up_factor(peaks.pressure_ratio)
    return peaks.effective_dispersion * (1 + peaks.retention) ** 2 * crossing**2 * (1 + peaks.pressure_ratio**2)


def cumulants(peaks: Peaks) -> Tensor:
    """Mean, variance and third central moment of any composed peak, diffusion and filters included.

    peaks     (b, component)
    returns   (b, component, 3)   s, s^2, s^3

        n-th cumulant = (-1)^n d^n ln Y/ds^n at s = 0

    by Cauchy's integral on a circle inside the nearest singularity: exact to rounding, no differences.
    """
    angle = 2 * math.pi * torch.arange(POINTS, dtype=peaks.retention.dtype, device=peaks.retention.device) / POINTS
    circle = torch.polar(torch.ones_like(angle), angle)
    radius = _radius(peaks).unsqueeze(-1)
    s = radius * circle
    logarithm = column_logarithm(s, peaks) + torch.log(instrument(s, peaks) * torch.exp(s * peaks.delay.unsqueeze(-1)))
    derivatives = [
        (logarithm * circle.conj() ** order).mean(dim=-1).real * math.factorial(order) / (-radius[..., 0]) ** order
        for order in (1, 2, 3)
    ]
    derivatives[0] = derivatives[0] + peaks.delay
    return torch.stack(derivatives, dim=-1)


def _radius(peaks: Peaks) -> Tensor:
    """A radius (b, component), 1/s, inside the poles of exchange and mixing and the branch point of dispersion."""
    k, kd = peaks.retention, peaks.desorption
    slowest = torch.maximum(peaks.tailing, peaks.mixing).clamp_min(1e-30)
    branch = hold_up_factor(peaks.pressure_ratio) / (
        4 * peaks.hold_up * (1 + k / 0.6) * peaks.effective_dispersion.clamp_min(1e-30)
    )
    within = torch.minimum(torch.minimum(kd.expand_as(k), 1 / slowest), branch)
    edges = 1 / peaks.injection.clamp_min(1e-30)
    return 0.4 * torch.minimum(within, edges)
