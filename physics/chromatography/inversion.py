"""Damped Fourier inversion of Laplace transforms of pulses: to machine precision, batched, differentiable.

    y(t) = e^(sigma t) · irfft(Y(sigma + i w_j)) · n/T,     w_j = 2 pi j/T,     sigma = damping/T

Aliases are damped by e^-damping for each period T, rounding grows by e^(damping (t - t_peak)/T); T holds the whole pulse,
so little damping is needed. Steps do not vanish within T, but their aliases are known: see `chromatogram.breakthrough`.
"""

import math
from dataclasses import dataclass

import torch
from scipy.fft import next_fast_len
from torch import Tensor

from physics.chromatography.column import hold_up_factor
from physics.chromatography.peaks import Peaks

DAMPING = {torch.float64: 10.0, torch.float32: 3.0}
NEPERS = 36.0  # e^-36 = 2e-16: where the spectrum has left double precision
LONGEST = 1 << 22


@dataclass(frozen=True)
class Grid:
    """Frequencies of one inversion; time runs over `count` points of one period, of which every `stride`-th is a sample."""

    period: float  # T, s
    damping: float  # sigma T, no unit
    count: int  # n, points of one period: even, and a product of small primes
    bins: int  # frequencies evaluated, <= n/2 + 1; the spectrum above them is below rounding
    stride: int  # points per sampling interval
    origin: float  # time of point 0, s
    first: int  # point of the first sample

    def frequencies(self, like: Tensor) -> Tensor:
        """s_j = sigma + i w_j (frequency,), complex in the precision and on the device of `like`."""
        j = torch.arange(self.bins, dtype=like.dtype, device=like.device)
        return torch.complex(torch.full_like(j, self.damping / self.period), 2 * math.pi / self.period * j)


def choose_grid(times: Tensor, peaks: Peaks) -> Grid:
    """The grid that gives every peak at uniform `times` to rounding.

    times     (time,)   s, uniform
    returns             T of `period_needed`; bins up to 1.1 times the band limit

    Raises ValueError where the band is unbounded (few transfer units and no diffusion): `kernel` serves there.
    """
    start, needed = float(times[0]), period_needed(times, peaks)
    step = (float(times[-1]) - start) / (len(times) - 1) if len(times) > 1 else needed
    band = 1.1 * band_limit(peaks)
    stride = max(1, math.ceil(band * step / math.pi))
    spacing = step / stride
    origin = start % spacing if start > 0 else start
    points = (needed - min(origin, 0.0)) / spacing
    if points > LONGEST:
        raise ValueError(
            f"the inversion would need {points:.3g} points for a band of {band:.3g} rad/s. "
            "Add diffusion or mixing, or use physics.chromatography.kernel for few transfer units."
        )
    count = 2 * next_fast_len(max(4, math.ceil(points / 2)))
    period = count * spacing
    bins = min(count // 2 + 1, math.ceil(band * period / (2 * math.pi)) + 1)
    damping = DAMPING[peaks.retention.dtype]
    return Grid(period, damping, count, bins, stride, origin, round((start - origin) / spacing))


def period_needed(times: Tensor, peaks: Peaks) -> float:
    """Length of the period, s: 1.5 times the last sample, and past every peak's tail.

    The tail ends at mean + 10 sigma + 20 (tailing + mixing): exponential factors fall more slowly than a peak's own flank.
    """
    mean, variance = mean_and_variance(peaks)
    tail = 10.0 * variance.sqrt() + 20.0 * (peaks.tailing + peaks.mixing).detach()
    return max(1.5 * float(times[-1]), float((mean + tail).max()))


def mean_and_variance(peaks: Peaks) -> tuple[Tensor, Tensor]:
    """Mean (s) and variance (s^2) of each peak (b, component), the diffusion to leading order; no gradients."""
    k, kd, hold_up = peaks.retention.detach(), peaks.desorption.detach(), peaks.hold_up.detach()
    P, t1 = peaks.pressure_ratio.detach(), peaks.injection.detach()
    tailing, mixing = peaks.tailing.detach(), peaks.mixing.detach()
    mean = peaks.delay.detach() + 0.5 * t1 + tailing + mixing + hold_up * (1 + k)
    crossing = hold_up / hold_up_factor(P)
    axial = peaks.effective_dispersion.detach() * (1 + k) ** 2 * crossing**2 * (1 + P**2)
    return mean, t1**2 / 12 + tailing**2 + mixing**2 + 2 * k * hold_up / kd + axial


def needs_kernel(peaks: Peaks) -> bool:
    """Whether some peak's spectrum never decays: 36 transfer units or fewer, and no dispersion."""
    units = (peaks.retention * peaks.desorption * peaks.hold_up).detach()
    return bool(((units <= NEPERS) & (peaks.effective_dispersion.detach() == 0)).any())


def band_limit(peaks: Peaks) -> float:
    """Angular frequency (rad/s) above which no peak's spectrum exceeds 2e-16.

    Exchange with the film leaves e^(-N w^2/(w^2 + kd^2)), N = k kd tM: w = kd sqrt(36/(N - 36)) if N > 36. Axial
    dispersion alone leaves Re (Pe/2)(1 - sqrt(1 + 4 i w tM/Pe)): w = Pe/(2 tM) R sqrt(R^2 - 1), R = 1 + 72/Pe, where Pe
    is the value 2 tM^2/variance of an unretained gas. The smaller of the two holds for each peak.
    """
    k, kd, hold_up = peaks.retention.detach(), peaks.desorption.detach(), peaks.hold_up.detach()
    units = k * kd * hold_up
    exchange = torch.where(units > NEPERS, kd * torch.sqrt(NEPERS / (units - NEPERS).clamp_min(1e-30)), math.inf)
    P = peaks.pressure_ratio.detach()
    peclet = 2 * hold_up_factor(P) ** 2 / (peaks.effective_dispersion.detach() * (1 + P**2))
    root = 1 + 2 * NEPERS / peclet
    diffusion = torch.where(torch.isfinite(peclet), peclet / (2 * hold_up) * root * torch.sqrt(root**2 - 1), math.inf)
    limit = float(torch.minimum(exchange, diffusion).max())
    if not math.isfinite(limit):
        raise ValueError(
            f"a peak has {float(units.min()):.3g} transfer units (k kd tM) and no diffusion, so its edges never decay in "
            "frequency. Give its dispersion, or use physics.chromatography.kernel, which has no such limit."
        )
    return limit


def invert(spectrum: Tensor, grid: Grid, *, count: int) -> Tensor:
    """Signals at `count` samples from their transforms on the grid's frequencies.

    spectrum   (..., frequency)   Y(s_j), complex
    returns    (..., time)        real, 1/s for transforms without unit
    """
    s = grid.frequencies(spectrum.real)
    if grid.origin != 0.0:
        spectrum = spectrum * torch.exp(s * grid.origin)
    wanted = slice(grid.first, grid.first + (count - 1) * grid.stride + 1, grid.stride)
    wave = torch.fft.irfft(spectrum, n=grid.count)[..., wanted]
    point = torch.arange(grid.count, dtype=wave.dtype, device=wave.device)[wanted]
    growth = torch.exp(grid.damping / grid.count * point) * (grid.count / grid.period)
    return wave * growth


def invert_at(spectrum: Tensor, grid: Grid, *, times: Tensor) -> Tensor:
    """Signals at arbitrary times by the direct sum, exact but not fast: for non-uniform sampling.

    spectrum   (..., frequency)   Y(s_j), complex, band-limited to the grid's bins
    times      (time,)            s
    returns    (..., time)        real

        y(t) = e^(sigma t)/T · (Y_0 + 2 Re sum over j >= 1 of Y_j e^(i w_j t))
    """
    s = grid.frequencies(spectrum.real)
    angle = s.imag[:, None] * times
    weight = torch.full_like(s.imag, 2.0)
    weight[0] = 1.0
    weighted = spectrum * weight
    total = weighted.real @ torch.cos(angle) - weighted.imag @ torch.sin(angle)
    return total * torch.exp(s.real[0] * times) / grid.period
