"""Transfer functions of a chromatograph in the Laplace domain, and their exact logarithmic derivatives.

    Y(s) = Inj(s) · Tail(s) · Col(s) · Ext(s) · e^(-s t0),      ∫ y dt = Y(0) = 1

One product describes injection, column, tubing and detector (section 1.8 of the specification). With
    X(s) = tM Phi(s),   Phi(s) = s + k s kd/(s + kd)
the column without diffusion is e^-X (eq. 38 of Cabrera-Codony et al. 2024); with diffusion see `dispersion`.
"""

import torch
from torch import Tensor

from physics.chromatography.dispersion import log_dispersed_column, log_dispersed_slopes
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
    """ln Col(s) of every peak: -X without dispersion, else `log_dispersed_column`.

    s         (frequency,) or (b, component, frequency)   complex, 1/s
    returns   (b, component, frequency)                   complex
    """
    exponent = _expand(peaks.hold_up) * retardation(s, retention=_expand(peaks.retention), desorption=_expand(peaks.desorption))
    if not peaks.has_dispersion:
        return -exponent
    return log_dispersed_column(exponent, _expand(peaks.effective_dispersion), _expand(peaks.pressure_ratio))


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


def retardation(s: Tensor, *, retention: Tensor, desorption: Tensor) -> Tensor:
    """Phi(s) = s + k s kd/(s + kd), 1/s: what replaces s in the gas phase by linear exchange with the film."""
    return s + retention * (s * desorption) / (s + desorption)


def box(z: Tensor) -> Tensor:
    """(1 - e^-z)/z, the transform of a box of unit area and length z/s; 1 at z = 0."""
    small = z.abs() < 1e-3
    safe = torch.where(small, torch.ones_like(z), z)
    series = 1 - z / 2 + z**2 / 6 - z**3 / 24 + z**4 / 120
    return torch.where(small, series, -torch.expm1(-safe) / safe)


def transfer_with_slopes(s: Tensor, peaks: Peaks, names: tuple[str, ...]) -> tuple[Tensor, dict[str, Tensor]]:
    """Y(s) of every peak, and d ln Y/d theta for each named parameter, in closed form.

    s         (frequency,)                                  complex, 1/s
    names                                                   of `GRADIENTS`
    returns   (b, component, frequency), and name -> broadcasts to (b, component, frequency)
    """
    unknown = sorted(set(names) - set(GRADIENTS))
    if unknown:
        raise ValueError(f"no gradient for {', '.join(unknown)}; choose from {', '.join(GRADIENTS)}.")
    k, kd, hold_up = _expand(peaks.retention), _expand(peaks.desorption), _expand(peaks.hold_up)
    phi = retardation(s, retention=k, desorption=kd)
    logarithm, by_exponent, by_dispersion = -hold_up * phi, -torch.ones_like(phi), torch.zeros_like(phi)
    if peaks.has_dispersion or "dispersion" in names:
        effective, pressure_ratio = _expand(peaks.effective_dispersion), _expand(peaks.pressure_ratio)
        logarithm, by_exponent, by_dispersion = log_dispersed_slopes(hold_up * phi, effective, pressure_ratio)
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
    return torch.exp(logarithm) * instrument(s, peaks), {name: formulas[name]() for name in names}


def _log_box_slope(z: Tensor) -> Tensor:
    """d ln((1 - e^-z)/z)/dz = 1/(e^z - 1) - 1/z; -1/2 at z = 0."""
    small = z.abs() < 1e-2
    safe = torch.where(small, torch.ones_like(z), z)
    return torch.where(small, -0.5 + z / 12 - z**3 / 720, torch.exp(-safe) / -torch.expm1(-safe) - 1 / safe)


def _expand(value: Tensor) -> Tensor:
    """A (b, component) parameter with a last axis for the frequency."""
    return value.unsqueeze(-1)
