"""A column with axial dispersion between two Danckwerts ends: its transfer function and logarithmic derivatives.

With X = tM Phi(s), e = D0/(u0 L) and P = pL/p0 (section 1.8 of the specification):
    c = 4 e X/m(P),   w(p) = sqrt(1 + c p),   w0 = w(1),   wL = w(P),   p running from P to 1
    G = sqrt(w0/wL) · 4 wL · e^(-A) / ((1 + wL)^2 - (1 - wL)^2 e^(-B))
    A = 4X/(m (1 - P^2)) ∫ p^2/(1 + w) dp,      B = 2/(e (1 - P^2)) ∫ p w dp
Exact at P = 1 (Danckwerts 1953); otherwise WKB with its next-order amplitude (a relative 5e-12 at gas-chromatographic
diffusivities). The textbook antiderivative of A divides by c^2 and loses all digits there: A is a quadrature for large c,
and a power series in c, several times faster, where dispersion is weak and the echo B of the ends is below rounding.
"""

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from physics.chromatography.column import hold_up_factor

WEAK = 0.01  # largest e of the series: the echo is below e^-100
SMALL = 0.2  # largest |c| of the series


def log_dispersed_column(exponent: Tensor, dispersion: Tensor, pressure_ratio: Tensor) -> Tensor:
    """ln G of a column with axial dispersion.

    exponent         (b, component, frequency)   X = tM Phi, complex
    dispersion       (b, component, 1)           e = D0/(u0 L), inverse Peclet number, >= 0
    pressure_ratio   (b, 1, 1)                   P = pL/p0
    returns          (b, component, frequency)   complex
    """
    size = _size(exponent, dispersion, pressure_ratio)
    if size is None:
        return _by_quadrature(exponent, dispersion, pressure_ratio)[0]
    c, coefficients, _ = _series(exponent, dispersion, pressure_ratio, size)
    return exponent * _polynomial(coefficients, c)


def log_dispersed_slopes(exponent: Tensor, dispersion: Tensor, pressure_ratio: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """ln G, d ln G/dX and d ln G/de; arguments as `log_dispersed_column`, results shaped like the exponent."""
    size = _size(exponent, dispersion, pressure_ratio)
    if size is None:
        return _by_quadrature(exponent, dispersion, pressure_ratio)
    c, coefficients, amplitudes = _series(exponent, dispersion, pressure_ratio, size)
    order = torch.arange(len(coefficients), dtype=c.real.dtype, device=c.device).reshape(-1, *[1] * pressure_ratio.ndim)
    by_power = _polynomial(coefficients, c)
    slope = _polynomial((order * coefficients)[1:], c)
    by_dispersion = 4 * exponent / hold_up_factor(pressure_ratio) * (_polynomial(amplitudes, c) + exponent * slope)
    return exponent * by_power, by_power + c * slope, by_dispersion


def _series(exponent: Tensor, dispersion: Tensor, pressure_ratio: Tensor, size: float) -> tuple[Tensor, Tensor, Tensor]:
    """c, and two series in c, coefficients first: d_n of ln G = X · sum of d_n c^n, n >= 0, and a_(n+1) of the amplitude.

    d_n = 4 (e a_(n+1) - t_n/(1 + P))/m
    exponent:  (sqrt(1 + z) - 1)/z = sum of binom(1/2, n + 1) z^n,  so t_n = binom(1/2, n + 1) ∫ p^(n+2) dp/(1 - P)
    amplitude: ln(1 + c)/4 + ln(1 + c P)/4 - 2 ln((1 + sqrt(1 + c P))/2) = sum of a_n c^n, n >= 1
    """
    P, m = pressure_ratio, hold_up_factor(pressure_ratio)
    terms = 2 + math.ceil(40.0 / -math.log(max(size, 1e-12)))
    constants = torch.tensor(_series_constants(terms), dtype=P.dtype, device=P.device)
    order, half, central = constants.reshape(3, -1, *[1] * P.ndim)
    powers = P**order
    whole = 1 + torch.cumsum(powers, dim=0)  # at n: 1 + P + ... + P^n
    travel = half / (order + 2) * (whole + powers * P)
    amplitude = 0.25 * order.remainder(2).mul(2).sub(1) / order * (1 + powers) + central * powers
    return 4 * dispersion / m * exponent, 4 / m * (dispersion * amplitude - travel / (1 + P)), amplitude


@lru_cache(maxsize=32)
def _series_constants(terms: int) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
    """n, binom(1/2, n) and the coefficients of -2 ln((1 + sqrt(1 + z))/2), n = 1, 2, ..., terms."""
    order, half = range(1, terms + 1), [0.5]
    for n in order[:-1]:
        half.append(half[-1] * (0.5 - n) / (n + 1))
    central = tuple((-1.0) ** n * math.comb(2 * n, n) / (n * 4.0**n) for n in order)
    return tuple(float(n) for n in order), tuple(half), central


def _polynomial(coefficients: Tensor, c: Tensor) -> Tensor:
    """Sum of coefficients[n] c^n by Horner's rule."""
    value = coefficients[-1]
    for each in coefficients[:-1].flip(0).unbind():
        value = value * c + each
    return value


def _by_quadrature(exponent: Tensor, dispersion: Tensor, pressure_ratio: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """ln G with its derivatives by the exponent X and by the dispersion e, for any c."""
    e, P, X = dispersion + 1e-30, pressure_ratio, exponent
    m = hold_up_factor(P)
    c = 4 * e * X / m
    w0, wL = torch.sqrt(1 + c), torch.sqrt(1 + c * P)
    nodes, weights = _rule(_order(float(c.detach().abs().max()), float(P.detach().min())))
    travel, travel_c, echo, echo_c = 0.0, 0.0, 0.0, 0.0
    for node, weight in zip(nodes, weights):
        p = P + (1 - P) * node
        w = torch.sqrt(1 + c * p)
        travel = travel + weight * p**2 / (1 + w)
        travel_c = travel_c - weight * p**3 / (2 * w * (1 + w) ** 2)
        echo = echo + weight * p * w
        echo_c = echo_c + weight * p**2 / (2 * w)
    rate, rate_echo = 4 / (m * (1 + P)), 2 / (e * (1 + P))
    reflected = torch.exp(-rate_echo * echo)
    denominator = (1 + wL) ** 2 - (1 - wL) ** 2 * reflected
    value = 0.5 * torch.log(w0 * wL) + math.log(4.0) - torch.log(denominator) - rate * X * travel
    wL_c = P / (2 * wL)
    denominator_c = 2 * ((1 + wL) + (1 - wL) * reflected) * wL_c + (1 - wL) ** 2 * reflected * rate_echo * echo_c
    by_c = 0.25 / (1 + c) + 0.5 * wL_c / wL - denominator_c / denominator - rate * X * travel_c
    by_e = by_c * 4 * X / m + (1 - wL) ** 2 * reflected * rate_echo * echo / (e * denominator)
    return value, by_c * 4 * e / m - rate * travel, by_e


def _size(exponent: Tensor, dispersion: Tensor, pressure_ratio: Tensor) -> float | None:
    """Largest |c|, from above, where the series holds; else None."""
    m = float(hold_up_factor(pressure_ratio.detach()).min())
    strength = dispersion.detach()
    size = 4.0 / m * float((strength * exponent.detach().abs().amax(dim=-1, keepdim=True)).max())
    return None if size > SMALL or float(strength.max()) > WEAK else size


def _order(size: float, lowest: float) -> int:
    """Gauss-Legendre points that make sqrt(1 + c p), smooth up to its branch point at p = -1/c, exact to rounding."""
    if lowest == 1.0:
        return 1
    distance = 1.0 + 2.0 * (1.0 / max(size, 1e-12)) / (1.0 - lowest)
    ellipse = distance + math.sqrt(distance**2 - 1.0)
    return min(24, max(2, math.ceil(16.0 / (2.0 * math.log10(ellipse))) + 1))


@lru_cache(maxsize=32)
def _rule(order: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Gauss-Legendre nodes and weights on [0, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss(order)
    return tuple((0.5 * (nodes + 1.0)).tolist()), tuple((0.5 * weights).tolist())
