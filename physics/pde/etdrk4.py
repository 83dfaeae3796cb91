"""Exponential Runge-Kutta of fourth order for stiff diagonal systems with Burgers' nonlinearity."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

CONTOUR_POINTS = 32
IMAGINARY_LIMIT = 2.83  # of the classical Runge-Kutta method on the imaginary axis


@dataclass(frozen=True)
class Etdrk4:
    """One step of  v_t = linear · v + gain · F(u^2) + force  in Fourier space (Kassam and Trefethen 2005, eqs. 2.5, 26-29)."""

    gain: Tensor  # (mode,)            -0.5 i k, 0 above two thirds of the modes
    full: Tensor  # (b or 1, 1, mode)  exp(linear dt)
    half: Tensor  # exp(linear dt/2)
    quarter: Tensor  # dt · the weight Q of the inner stages
    weights: tuple[Tensor, Tensor, Tensor]  # dt · f1, f2, f3
    points: int  # of the physical grid

    def step(self, v: Tensor, start: Tensor, middle: Tensor, end: Tensor) -> Tensor:
        """v (b, 1, mode) after one step, with the transformed force at its start, middle and end."""
        half, quarter, (first, second, third) = self.half, self.quarter, self.weights
        slope = self._nonlinear(v) + start
        decayed = half * v
        a = decayed + quarter * slope
        slope_a = self._nonlinear(a) + middle
        b = decayed + quarter * slope_a
        slope_b = self._nonlinear(b) + middle
        c = half * a + quarter * (2 * slope_b - slope)
        return self.full * v + first * slope + 2 * second * (slope_a + slope_b) + third * (self._nonlinear(c) + end)

    def _nonlinear(self, v: Tensor) -> Tensor:
        return self.gain * torch.fft.rfft(torch.fft.irfft(v, n=self.points).square())

    def is_stable(self, speed: float) -> bool:
        """Whether no mode grows when a constant speed carries it: |R| <= 1 for the linearised equation."""
        rate = 2 * speed * self.gain
        first, second, third = self.weights
        a = self.half + self.quarter * rate
        b = self.half + self.quarter * rate * a
        c = self.half * a + self.quarter * rate * (2 * b - 1)
        growth = self.full + rate * (first + 2 * second * (a + b) + third * c)
        return bool((growth.abs() <= 1 + 1e-9).all())


def etdrk4(viscosity: Tensor, *, points: int, period: float, step: float) -> Etdrk4:
    """The stepper of one time step, its weights by means over a contour, which cannot cancel.

    viscosity   (b or 1, 1, 1)   > 0, m^2/s
    points                       of one period
    period                       m
    step                         s
    """
    modes = torch.arange(points // 2 + 1, dtype=viscosity.dtype, device=viscosity.device)
    wave = 2 * math.pi / period * modes
    exponent = -viscosity * wave.square() * step
    angles = math.pi * (torch.arange(CONTOUR_POINTS, dtype=viscosity.dtype, device=viscosity.device) + 0.5) / CONTOUR_POINTS
    z = exponent.unsqueeze(-1) + torch.polar(torch.ones_like(angles), angles)
    e = torch.exp(z)
    mean = lambda values: step * values.mean(dim=-1).real
    weights = (
        mean((-4 - z + e * (4 - 3 * z + z.square())) / z**3),
        mean((2 + z + e * (-2 + z)) / z**3),
        mean((-4 - 3 * z - z.square() + e * (4 - z)) / z**3),
    )
    kept = (modes * 3 < points).to(viscosity.dtype)
    gain = torch.complex(torch.zeros_like(wave), -0.5 * wave * kept)
    return Etdrk4(gain, exponent.exp(), (0.5 * exponent).exp(), mean((torch.exp(0.5 * z) - 1) / z), weights, points)
