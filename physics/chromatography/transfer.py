"""Transfer functions of a chromatograph in the Laplace domain, and their exact logarithmic derivatives.

    Y(s) = Inj(s) · Tail(s) · Col(s) · Ext(s) · e^(-s t0),      ∫ y dt = Y(0) = 1

One product describes injection, column, tubing and detector (section 1.8 of the specification). With
    X(s) = tM Phi(s),   Phi(s) = s + k s kd/(s + kd)
the column without diffusion is e^-X (eq. 38 of Cabrera-Codony et al. 2024); with diffusion see `dispersed_column`.
"""

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from physics.chromatography.column import hold_up_factor
from physics.chromatography.peaks import Peaks

GRADIENTS = ("retention", "desorption", "hold_up", "injection", "tailing", "mixing", "delay", "dispersion")


def transfer(s: Tensor, peaks: Peaks) -> Tensor:
    """Y(s) of every peak.

    s         (frequency,)                 complex, 1/s, right half plane
    peaks     (b, component)
    returns   (b, component, frequency)    complex, no unit
    """
    return torch.exp(column_logarithm(s, peaks)) * instrument(s, peaks)


def column_logarithm(s: Tensor, peaks: Peaks) -> Tensor:
    """ln Col(s) of every peak: -X without dispersion, else the logarithm of `dispersed_column`.

    s         (frequency,) or (b, component, frequency)   complex, 1/s
    returns   (b, component, frequency)                   complex
    """
    exponent = _expand(peaks.hold_up) * retardation(s, _expand(peaks.retention), _expand(peaks.desorption))
    if not peaks.has_dispersion:
        return -exponent
    return _log_dispersed(exponent, _expand(peaks.effective_dispersion()), _expand(peaks.pressure_ratio))[0]


def instrument(s: Tensor, peaks: Peaks) -> Tensor:
    """The factors outside the column: box injection, tailing, mixing, extra filters, delay.

    s         (frequency,)                            complex, 1/s
    returns   broadcasts to (b, component, frequency)

        (1 - e^(-s t1))/(s t1) · 1/(1 + s tailing) · 1/(1 + s mixing) · e^(-s t0)
    """
    factor = box(s * _expand(peaks.injection)) * torch.exp(-s * _expand(peaks.delay))
    factor = factor / ((1 + s * _expand(peaks.tailing)) * (1 + s * _expand(peaks.mixing)))
    for extra in peaks.filters:
        factor = factor * extra(s)
    return factor


def retardation(s: Tensor, retention: Tensor, desorption: Tensor) -> Tensor:
    """Phi(s) = s + k s kd/(s + kd), 1/s: what replaces s in the gas phase by linear exchange with the film."""
    return s + retention * (s * desorption) / (s + desorption)


def box(z: Tensor) -> Tensor:
    """(1 - e^-z)/z, the transform of a box of unit area and length z/s; 1 at z = 0."""
    small = z.abs() < 1e-3
    safe = torch.where(small, torch.ones_like(z), z)
    series = 1 - z / 2 + z**2 / 6 - z**3 / 24 + z**4 / 120
    return torch.where(small, series, -torch.expm1(-safe) / safe)


def dispersed_column(exponent: Tensor, dispersion: Tensor, pressure_ratio: Tensor) -> Tensor:
    """Transfer function of a column with axial dispersion between two Danckwerts ends.

    exponent         (b, component, frequency)   X = tM Phi, complex
    dispersion       (b, component, 1)           e = D0/(u0 L), inverse Peclet number, >= 0
    pressure_ratio   (b, 1, 1)                   P = pL/p0
    returns          (b, component, frequency)   complex

        c = 4 e X/m(P),   w(p) = sqrt(1 + c p),   w0 = w(1),   wL = w(P),   p running from P to 1
        G = sqrt(w0/wL) · 4 wL · e^(-A) / ((1 + wL)^2 - (1 - wL)^2 e^(-B))
        A = 4X/(m (1 - P^2)) ∫ p^2/(1 + w) dp,      B = 2/(e (1 - P^2)) ∫ p w dp

    Exact at P = 1 (Danckwerts 1953); otherwise WKB with its next-order amplitude (a relative 5e-12 at gas-chromatographic
    diffusivities). The textbook antiderivative of A divides by c^2 and loses all digits there, hence the quadrature.
    """
    return torch.exp(_log_dispersed(exponent, dispersion, pressure_ratio)[0])


def log_derivatives(s: Tensor, peaks: Peaks, names: tuple[str, ...]) -> dict[str, Tensor]:
    """d ln Y/d theta for each named parameter, in closed form.

    s         (frequency,)                                  complex, 1/s
    names                                                   of `GRADIENTS`
    returns   name -> broadcasts to (b, component, frequency)
    """
    k, kd, hold_up = _expand(peaks.retention), _expand(peaks.desorption), _expand(peaks.hold_up)
    phi = retardation(s, k, kd)
    by_exponent, by_dispersion = -torch.ones_like(phi), torch.zeros_like(phi)
    if peaks.has_dispersion:
        effective = _expand(peaks.effective_dispersion())
        _, by_exponent, by_dispersion = _log_dispersed(hold_up * phi, effective, _expand(peaks.pressure_ratio))
    golay_slope = (4 + 16 * k) / (48 * (1 + k) ** 3) * _expand(peaks.radial)
    formulas = {
        "retention": lambda: by_exponent * hold_up * s * kd / (s + kd) + by_dispersion * golay_slope,
        "desorption": lambda: by_exponent * hold_up * k * (s / (s + kd)) ** 2,
        "hold_up": lambda: by_exponent * phi,
        "injection": lambda: s * _log_box_slope(s * _expand(peaks.injection)),
        "tailing": lambda: -s / (1 + s * _expand(peaks.tailing)),
        "mixing": lambda: -s / (1 + s * _expand(peaks.mixing)),
        "delay": lambda: -s,
        "dispersion": lambda: by_dispersion,
    }
    unknown = sorted(set(names) - set(formulas))
    if unknown:
        raise ValueError(f"no gradient for {', '.join(unknown)}; choose from {', '.join(GRADIENTS)}.")
    return {name: formulas[name]() for name in names}


def _log_dispersed(exponent: Tensor, dispersion: Tensor, pressure_ratio: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """ln G of `dispersed_column` with its derivatives by the exponent X and by the dispersion e."""
    e, P, X = dispersion + 1e-30, pressure_ratio, exponent
    m = hold_up_factor(P)
    c = 4 * e * X / m
    w0, wL = torch.sqrt(1 + c), torch.sqrt(1 + c * P)
    nodes, weights = _quadrature(_order(c, P))
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


def _log_box_slope(z: Tensor) -> Tensor:
    """d ln((1 - e^-z)/z)/dz = 1/(e^z - 1) - 1/z; -1/2 at z = 0."""
    small = z.abs() < 1e-2
    safe = torch.where(small, torch.ones_like(z), z)
    return torch.where(small, -0.5 + z / 12 - z**3 / 720, torch.exp(-safe) / -torch.expm1(-safe) - 1 / safe)


def _order(c: Tensor, pressure_ratio: Tensor) -> int:
    """Gauss-Legendre points that make sqrt(1 + c p), smooth up to its branch point at p = -1/c, exact to rounding."""
    size = float(c.detach().abs().max())
    narrow = 1.0 - float(pressure_ratio.detach().min())
    if narrow == 0.0:
        return 1
    distance = 1.0 + 2.0 * (1.0 / max(size, 1e-12)) / narrow
    ellipse = distance + math.sqrt(distance**2 - 1.0)
    return min(24, max(2, math.ceil(16.0 / (2.0 * math.log10(ellipse))) + 1))


@lru_cache(maxsize=32)
def _quadrature(order: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Gauss-Legendre nodes and weights on [0, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss(order)
    return tuple((0.5 * (nodes + 1.0)).tolist()), tuple((0.5 * weights).tolist())


def _expand(value: Tensor) -> Tensor:
    """A (b, component) parameter with a last axis for the frequency."""
    return value.unsqueeze(-1)
