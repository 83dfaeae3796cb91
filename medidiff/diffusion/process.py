"""Forward processes: every one is `x = scale x0 + shift anchor + scale sigma n`, three functions of time.

In the state `u = (x - shift anchor) / scale` all of them are the same Brownian motion of variance sigma^2, so the samplers know
none of them: a process only tells an adapter which time, scale and shift belong to a level. `anchor` is where it drifts to:
the degraded image of a restoration process, nothing for the others. The view is that of Karras 2022 (EDM); no form cancels.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from medidiff.errors import ConfigError


class Process(ABC):
    """A forward process. Times and levels are float64 tensors of any one shape."""

    @property
    def name(self) -> str:
        """The name that error messages use."""
        return type(self).__name__

    @abstractmethod
    def sigma(self, time: Tensor) -> Tensor:
        """The noise level at a time, in data units."""

    @abstractmethod
    def time(self, sigma: Tensor) -> Tensor:
        """The time of a noise level, the inverse of `sigma`."""

    def scale(self, time: Tensor) -> Tensor:
        """The factor in front of x0, the paper's alpha."""
        return torch.ones_like(time)

    def shift(self, time: Tensor) -> Tensor:
        """The weight of the anchor; 0 where the process has none."""
        return torch.zeros_like(time)

    def rates(self, time: Tensor) -> tuple[Tensor, Tensor]:
        """Time derivatives of `scale` and of `scale sigma`: the velocity is `rate0 x0 + rate1 n`."""
        with torch.enable_grad():
            free = time.detach().requires_grad_()
            weights = torch.stack([self.scale(free), self.scale(free) * self.sigma(free)]) + 0 * free  # a constant has slope 0
            scale, noise = (torch.autograd.grad(weight.sum(), free, retain_graph=True)[0] for weight in weights)
        return scale, noise

    def to_x(self, u: Tensor, sigma: Tensor, anchor: Tensor | None = None) -> Tensor:
        """The process's own variable `x = scale u + shift anchor` of a state.

        u         (b, c, *space)    data unit
        sigma     (b,)              float64
        anchor    as u              what the process drifts to; needed where it has a shift
        """
        time = self.time(sigma)
        x = per_item(self.scale(time), u) * u
        return x if anchor is None else x + per_item(self.shift(time), u) * anchor

    def to_state(self, x: Tensor, sigma: Tensor, anchor: Tensor | None = None) -> Tensor:
        """The state `u = (x - shift anchor) / scale`, the inverse of `to_x`."""
        time = self.time(sigma)
        centred = x if anchor is None else x - per_item(self.shift(time), x) * anchor
        return centred / per_item(self.scale(time), x)


def per_item(values: Tensor, like: Tensor) -> Tensor:
    """One number per item, (b,), in the dtype of `like` and shaped to broadcast over it."""
    return values.to(like).view(-1, *[1] * (like.ndim - 1))


@dataclass(frozen=True)
class VE(Process):
    """Variance exploding: EDM (Karras 2022), and the score models of Song 2021 with a geometric time. sigma = t."""

    def sigma(self, time: Tensor) -> Tensor:
        return time

    def time(self, sigma: Tensor) -> Tensor:
        return sigma


@dataclass(frozen=True)
class GeometricVE(Process):
    """NCSN (Song 2021): sigma = low (high / low)^t."""

    low: float = 0.01  # sigma at t = 0
    high: float = 50.0  # sigma at t = 1

    def sigma(self, time: Tensor) -> Tensor:
        return self.low * torch.exp(time * math.log(self.high / self.low))

    def time(self, sigma: Tensor) -> Tensor:
        return torch.log(sigma / self.low) / math.log(self.high / self.low)


@dataclass(frozen=True)
class VPLinear(Process):
    """Variance preserving, beta linear in time (Song 2021): B = (beta1 - beta0) t^2 / 2 + beta0 t, scale = exp(-B/2)."""

    beta0: float = 0.1
    beta1: float = 20.0

    def exponent(self, time: Tensor) -> Tensor:
        return (self.beta1 - self.beta0) * time**2 / 2 + self.beta0 * time

    def scale(self, time: Tensor) -> Tensor:
        return torch.exp(-self.exponent(time) / 2)

    def sigma(self, time: Tensor) -> Tensor:
        return torch.sqrt(torch.expm1(self.exponent(time)))

    def time(self, sigma: Tensor) -> Tensor:
        q = 2 * (self.beta1 - self.beta0) * torch.log1p(sigma**2)
        return q / (torch.sqrt(self.beta0**2 + q) + self.beta0) / (self.beta1 - self.beta0)


@dataclass(frozen=True)
class VPCosine(Process):
    """Variance preserving, cosine (Nichol 2021): f = pi (t + c) / (2 (1 + c)), scale = cos f / cos f0."""

    c: float = 0.008

    def angle(self, time: Tensor) -> Tensor:
        return math.pi * (time + self.c) / (2 * (1 + self.c))

    @property
    def angle0(self) -> float:
        return math.pi * self.c / (2 * (1 + self.c))

    def scale(self, time: Tensor) -> Tensor:
        return torch.cos(self.angle(time)) / math.cos(self.angle0)

    def sigma(self, time: Tensor) -> Tensor:
        f = self.angle(time)
        return torch.sqrt(torch.sin(f - self.angle0) * torch.sin(f + self.angle0)) / torch.cos(f)

    def time(self, sigma: Tensor) -> Tensor:
        sin0 = math.sin(self.angle0)
        f = torch.atan2(torch.sqrt(sin0**2 + sigma**2), torch.full_like(sigma, math.cos(self.angle0)))
        return f * (2 * (1 + self.c) / math.pi) - self.c


@dataclass(frozen=True)
class Flow(Process):
    """Rectified flow, x = (1 - t') x0 + t' n with t' = k t / (1 + (k - 1) t) (Liu 2023; shift k: Esser 2024)."""

    shift_factor: float = 1.0  # k: 3 for large images, 1 for the plain flow

    def scale(self, time: Tensor) -> Tensor:
        return (1 - time) / (1 + (self.shift_factor - 1) * time)

    def sigma(self, time: Tensor) -> Tensor:
        return self.shift_factor * time / (1 - time)

    def time(self, sigma: Tensor) -> Tensor:
        return sigma / (self.shift_factor + sigma)

    def rates(self, time: Tensor) -> tuple[Tensor, Tensor]:
        rate = self.shift_factor / (1 + (self.shift_factor - 1) * time) ** 2
        return -rate, rate


@dataclass(frozen=True)
class Trigonometric(Process):
    """Trigonometric interpolant (Albergo 2023): x = cos(pi t / 2) x0 + sin(pi t / 2) n."""

    def scale(self, time: Tensor) -> Tensor:
        return torch.cos(math.pi / 2 * time)

    def sigma(self, time: Tensor) -> Tensor:
        return torch.tan(math.pi / 2 * time)

    def time(self, sigma: Tensor) -> Tensor:
        return torch.atan(sigma) * (2 / math.pi)


@dataclass(frozen=True)
class Interpolant(Process):
    """General one-sided interpolant x = alpha(t) x0 + beta(t) n, t in (0, 1), beta / alpha rising (Albergo 2023)."""

    alpha: Callable[[Tensor], Tensor]
    beta: Callable[[Tensor], Tensor]

    def scale(self, time: Tensor) -> Tensor:
        return self.alpha(time)

    def sigma(self, time: Tensor) -> Tensor:
        return self.beta(time) / self.alpha(time)

    def time(self, sigma: Tensor) -> Tensor:
        low, high = torch.zeros_like(sigma), torch.ones_like(sigma)
        for _ in range(60):  # bisection to the last bit of a time near 1; beta <= sigma alpha needs no division by alpha = 0
            middle = (low + high) / 2
            below = self.beta(middle) <= sigma * self.alpha(middle)
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        return (low + high) / 2


@dataclass(frozen=True)
class MeanReverting(Process):
    """IR-SDE (Luo 2023) and MRS: decays to the anchor with stationary noise; time is the integral of theta."""

    stationary_std: float = 50 / 255  # tau, data unit

    def scale(self, time: Tensor) -> Tensor:
        return torch.exp(-time)

    def shift(self, time: Tensor) -> Tensor:
        return -torch.expm1(-time)

    def sigma(self, time: Tensor) -> Tensor:
        return self.stationary_std * torch.sqrt(torch.expm1(2 * time))

    def time(self, sigma: Tensor) -> Tensor:
        return torch.log1p((sigma / self.stationary_std) ** 2) / 2


@dataclass(frozen=True)
class ResShift(Process):
    """ResShift (Yue 2023): x = (1 - eta) x0 + eta y + kappa sqrt(eta) n; time is eta."""

    kappa: float = 2.0

    def scale(self, time: Tensor) -> Tensor:
        return 1 - time

    def shift(self, time: Tensor) -> Tensor:
        return time

    def sigma(self, time: Tensor) -> Tensor:
        return self.kappa * torch.sqrt(time) / (1 - time)

    def time(self, sigma: Tensor) -> Tensor:
        s, k = sigma**2, self.kappa
        return 2 * s / (2 * s + k**2 + k * torch.sqrt(4 * s + k**2))


@dataclass(frozen=True)
class PFGM(Process):
    """PFGM++ (Xu 2023): D extra dimensions; time is the radius r = sigma sqrt(D)."""

    extra_dimensions: float = 128.0

    def sigma(self, time: Tensor) -> Tensor:
        return time / math.sqrt(self.extra_dimensions)

    def time(self, sigma: Tensor) -> Tensor:
        return sigma * math.sqrt(self.extra_dimensions)


@dataclass(frozen=True)
class Table(Process):
    """A process known at integer times only: DDPM betas, RDDM. Between them ln sigma, ln scale and shift are linear.

    levels    (n,)    rising sigma at times 0 .. n - 1
    scales    (n,)    scale at those times
    shifts    (n,)    weight of the anchor at those times
    label             name for messages, as `linear-1000`

    ConfigError for a level above the last one: the network has never seen it.
    """

    levels: Tensor = field(repr=False)
    scales: Tensor = field(repr=False)
    shifts: Tensor = field(repr=False)
    label: str = "table"

    @property
    def name(self) -> str:
        return self.label

    def interpolate(self, time: Tensor, values: Tensor) -> Tensor:
        low = time.detach().floor().clamp(0, len(values) - 2).long()
        values = values.to(time)
        return values[low] + (time - low) * (values[low + 1] - values[low])

    def sigma(self, time: Tensor) -> Tensor:
        return torch.exp(self.interpolate(time, self.levels.log()))

    def scale(self, time: Tensor) -> Tensor:
        return torch.exp(self.interpolate(time, self.scales.log()))

    def shift(self, time: Tensor) -> Tensor:
        return self.interpolate(time, self.shifts)

    def time(self, sigma: Tensor) -> Tensor:
        last = float(self.levels[-1])
        if float(sigma.max()) > last * (1 + 1e-9):
            raise ConfigError(
                f"sigma {float(sigma.max()):.4g} is beyond the last level of {self.name} ({last:.4g}); lower sigma_max"
            )
        grid, value = self.levels.to(sigma).log(), sigma.log()
        low = (torch.searchsorted(grid, value, right=True) - 1).clamp(0, len(grid) - 2)
        return low + (value - grid[low]) / (grid[low + 1] - grid[low])


def vp_table(betas: Tensor, label: str = "table") -> Table:
    """The process of a DDPM table (Ho 2020): sigma = sqrt(1/abar - 1), scale = sqrt(abar), times are the indices.

    betas    (n,)    variances of the forward steps, in (0, 1)
    """
    log_alpha_bar = torch.log1p(-betas.double()).cumsum(0)
    levels = torch.sqrt(torch.expm1(-log_alpha_bar))
    return Table(levels, torch.exp(log_alpha_bar / 2), torch.zeros_like(levels), label)


def ddpm(steps: int = 1000, beta0: float = 1e-4, beta1: float = 0.02) -> Table:
    """The table of Ho 2020, section 4: betas rise linearly from `beta0` to `beta1`."""
    return vp_table(torch.linspace(beta0, beta1, steps, dtype=torch.float64), f"linear-{steps}")


def rddm(alpha_bar: Tensor, beta_bar: Tensor) -> Table:
    """The process of RDDM (Liu 2024, eq. 7): x = x0 + abar (y - x0) + bbar n, times are the indices.

    alpha_bar    (n,)    share of the residual, rising, below 1
    beta_bar     (n,)    noise, rising, positive
    """
    alpha_bar, beta_bar = alpha_bar.double(), beta_bar.double()
    return Table(beta_bar / (1 - alpha_bar), 1 - alpha_bar, alpha_bar, f"rddm-{len(alpha_bar)}")
