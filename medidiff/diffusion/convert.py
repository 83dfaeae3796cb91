"""What a network predicts, and the clean image in it.

Every output is a mix `clean x0 + noise e` of known weights, and `x = scale x0 + spread e` is another; two lines solve both.
No weight below is a difference of near numbers, so the conversions hold at both ends (Salimans 2022 for v, Karras 2022 for F).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from medidiff.diffusion.process import Process, per_item


@dataclass(frozen=True)
class Mix:
    """The weights of a network output and of its input in (x0, e), each (b,) float64.

    output = clean x0 + noise e          x = scale x0 + spread e
    """

    clean: Tensor
    noise: Tensor
    scale: Tensor
    spread: Tensor

    def denoised(self, output: Tensor, x: Tensor) -> Tensor:
        """x0 from the output and its input (offset removed)."""
        determinant = self.scale * self.noise - self.spread * self.clean
        return per_item(self.noise / determinant, x) * x - per_item(self.spread / determinant, x) * output

    def predicted_noise(self, output: Tensor, x: Tensor) -> Tensor:
        """e from the output and its input (offset removed)."""
        determinant = self.scale * self.noise - self.spread * self.clean
        return per_item(self.scale / determinant, x) * output - per_item(self.clean / determinant, x) * x

    def output(self, x0: Tensor, e: Tensor) -> Tensor:
        """What a perfect network would have said: the training target."""
        return per_item(self.clean, x0) * x0 + per_item(self.noise, x0) * e


def eps(process: Process, time: Tensor) -> Mix:
    """The network predicts the noise e."""
    scale, spread = input_weights(process, time)
    return Mix(torch.zeros_like(time), torch.ones_like(time), scale, spread)


def x0(process: Process, time: Tensor) -> Mix:
    """The network predicts the clean image."""
    scale, spread = input_weights(process, time)
    return Mix(torch.ones_like(time), torch.zeros_like(time), scale, spread)


def v(process: Process, time: Tensor) -> Mix:
    """The network predicts `v = scale e - spread x0` (Salimans 2022)."""
    scale, spread = input_weights(process, time)
    return Mix(-spread, scale, scale, spread)


def velocity(process: Process, time: Tensor) -> Mix:
    """The network predicts dx/dt = scale' x0 + spread' e (flow matching); for the linear flow e - x0."""
    scale, spread = input_weights(process, time)
    return Mix(*process.rates(time), scale, spread)


def score(process: Process, time: Tensor) -> Mix:
    """The network predicts grad log p(x) = -e / spread."""
    scale, spread = input_weights(process, time)
    return Mix(torch.zeros_like(time), -1 / spread, scale, spread)


def edm(sigma: Tensor, sd: float) -> Mix:
    """The network predicts EDM's F, `D = c_skip u + c_out F` (Karras 2022, table 1); its input is u itself.

    sigma    (b,)    noise level, data unit
    sd               standard deviation of the data
    """
    root = torch.sqrt(sigma**2 + sd**2)
    return Mix(sigma / (sd * root), -sd / root, torch.ones_like(sigma), sigma)


def input_weights(process: Process, time: Tensor) -> tuple[Tensor, Tensor]:
    """The weights of x0 and e in the process's variable: alpha and alpha sigma."""
    scale = process.scale(time)
    return scale, scale * process.sigma(time)


@dataclass(frozen=True)
class Preconditioning:
    """EDM's four factors at one set of levels (Karras 2022, table 1), each (b,) float64."""

    c_skip: Tensor
    c_out: Tensor
    c_in: Tensor
    c_noise: Tensor


def edm_factors(sigma: Tensor, sd: float) -> Preconditioning:
    """c_skip, c_out, c_in and c_noise of `D = c_skip u + c_out F(c_in u, c_noise)`.

    sigma    (b,)    noise level, data unit
    sd               standard deviation of the data, data unit
    """
    total = sigma**2 + sd**2
    return Preconditioning(sd**2 / total, sigma * sd / total.sqrt(), 1 / total.sqrt(), sigma.log() / 4)


def edm_weight(sigma: Tensor, sd: float) -> Tensor:
    """The loss weight (sigma^2 + sd^2) / (sigma sd)^2, with which F's target has unit variance at every level."""
    return (sigma**2 + sd**2) / (sigma * sd) ** 2


def phi(k: int, x: float) -> float:
    """The k-th exponential integral, phi_0 = exp, phi_{k+1}(x) = (phi_k(x) - 1/k!) / x, by its series where that would cancel.

    phi_1(x) = (exp(x) - 1) / x,    phi_k(x) = sum_n x^n / (n + k)!,    phi_k(0) = 1/k!
    """
    if abs(x) < 1:
        return sum(x**n / math.factorial(n + k) for n in range(18))
    value = math.exp(x)
    for j in range(k):
        value = (value - 1 / math.factorial(j)) / x
    return value
