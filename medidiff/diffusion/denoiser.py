"""The denoiser contract, and the adapters that make a denoiser of any network.

    denoised = denoiser(u, sigma, **condition)

    u            (b, c, *space)    real state, data unit
    sigma        (b,)              float64 noise level of each item, data unit
    condition    named tensors with leading b
    denoised     as u              E[x0 | u]

A network, an exact oracle and a posterior rule all look like this. A denoiser may carry `limits`; `sample` then checks them.
Nothing here clips: `clipped` is a wrapper of its own, and it breaks every identity between samplers.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from medidiff.diffusion import convert
from medidiff.diffusion.process import Process, per_item
from medidiff.errors import ConfigError, DataError

Network = Callable[..., Tensor]  # network(x, time, **condition) -> output, as x


class Denoiser(Protocol):
    """Any callable (u, sigma, **condition) -> E[x0 | u]."""

    def __call__(self, u: Tensor, sigma: Tensor, **condition: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class Limits:
    """Where a denoiser may be used; the defaults allow everything."""

    sigma_min: float = 0.0  # trained range, data unit
    sigma_max: float = math.inf
    data_std: float | None = None  # standard deviation of the data; None: the noise shell is not checked
    multiple: int = 1  # spatial sizes must be multiples of this
    gaussian_kernel: bool = True  # False for PFGM++ with finite D: no score, so no stochastic rule

    def need_gaussian_kernel(self) -> None:
        """ConfigError where scores and stochastic rules do not hold."""
        if not self.gaussian_kernel:
            raise ConfigError("PFGM++ with finite D has no Gaussian kernel: use a deterministic method (heun, pp2m, unipc)")


def limits_of(denoiser: Denoiser) -> Limits:
    """The limits a denoiser carries, looking through `partial`; no limits for a bare callable."""
    while isinstance(denoiser, partial):
        denoiser = denoiser.func
    return getattr(denoiser, "limits", Limits())


def predict(denoiser: Denoiser, u: Tensor, sigma: float) -> Tensor:
    """E[x0 | u] with the whole batch at one level."""
    return denoiser(u, torch.full((len(u),), sigma, dtype=torch.float64, device=u.device))


@dataclass(frozen=True)
class Preconditioned:
    """EDM's denoiser around a network F: D = c_skip u + c_out F(c_in u, c_noise) (Karras 2022, eq. 7)."""

    network: Network = field(repr=False)
    sd: float  # standard deviation of the training data, data unit
    limits: Limits = Limits()

    def __call__(self, u: Tensor, sigma: Tensor, **condition: Tensor) -> Tensor:
        factors = convert.edm_factors(sigma, self.sd)
        output = self.network(per_item(factors.c_in, u) * u, factors.c_noise.to(u.dtype), **condition)
        return torch.addcmul(per_item(factors.c_skip, u) * u, per_item(factors.c_out, u), output)


@dataclass(frozen=True)
class Adapted:
    """The denoiser around a network that was trained in the time and the variable of some process.

    network          (x, time, **condition) -> output
    process          gives time, scale and shift of a level
    output           which mix of x0 and e the network predicts: one of the functions of `convert`
    limits           where it may be used
    integer_times    the network knows whole table indices only: the nearest one is used, with that index's own level in the
                     conversion. Sample on `grid.on_table`, else the network is told a wrong level.

    A condition named `anchor` fills the offset of restoration processes and goes on to the network.
    """

    network: Network = field(repr=False)
    process: Process
    output: Callable[[Process, Tensor], convert.Mix]
    limits: Limits = Limits()
    integer_times: bool = False

    def __call__(self, u: Tensor, sigma: Tensor, **condition: Tensor) -> Tensor:
        time = self.process.time(sigma)
        if self.integer_times:
            time = time.round()
        mix = self.output(self.process, time)
        centred = per_item(mix.scale, u) * u
        x = centred
        if "anchor" in condition:
            x = centred + per_item(self.process.shift(time), u) * condition["anchor"]
        told = time.long() if self.integer_times else time.to(u.dtype)
        return mix.denoised(self.network(x, told, **condition), centred)


def edm(network: Network, sd: float, limits: Limits = Limits()) -> Denoiser:
    """The denoiser of a network trained with EDM preconditioning on data of standard deviation `sd`."""
    return Preconditioned(network, sd, limits)


def from_eps(network: Network, process: Process, **options) -> Denoiser:
    """The denoiser of a network that predicts the noise; its error grows with sigma. Options as in `Adapted`."""
    return Adapted(network, process, convert.eps, **options)


def from_x0(network: Network, process: Process, **options) -> Denoiser:
    """The denoiser of a network that predicts the clean image."""
    return Adapted(network, process, convert.x0, **options)


def from_v(network: Network, process: Process, **options) -> Denoiser:
    """The denoiser of a network that predicts v = scale e - spread x0; safe at both ends."""
    return Adapted(network, process, convert.v, **options)


def from_velocity(network: Network, process: Process, **options) -> Denoiser:
    """The denoiser of a flow network, which predicts dx/dt; safe at both ends."""
    return Adapted(network, process, convert.velocity, **options)


def from_residual(network: Network, process: Process, **options) -> Denoiser:
    """The denoiser of a network that predicts the residual anchor - x0 (RDDM); needs the condition `anchor`."""

    def clean(x: Tensor, time: Tensor, *, anchor: Tensor, **condition: Tensor) -> Tensor:
        return anchor - network(x, time, anchor=anchor, **condition)

    return Adapted(clean, process, convert.x0, **options)


@dataclass(frozen=True)
class Clipped:
    """A denoiser whose output is held in [low, high]."""

    denoiser: Denoiser
    low: float
    high: float

    @property
    def limits(self) -> Limits:
        return limits_of(self.denoiser)

    def __call__(self, u: Tensor, sigma: Tensor, **condition: Tensor) -> Tensor:
        return self.denoiser(u, sigma, **condition).clamp(self.low, self.high)


def clipped(denoiser: Denoiser, low: float, high: float) -> Denoiser:
    """The denoiser with its output held in [low, high], data unit."""
    return Clipped(denoiser, low, high)


@dataclass(frozen=True)
class Sliced:
    """A denoiser of volumes from a denoiser of their slices: (b, c, z, y, x) is worked through in equal batches of slices."""

    denoiser: Denoiser
    axis: int
    budget_bytes: int
    copies: int

    @property
    def limits(self) -> Limits:
        return limits_of(self.denoiser)

    def __call__(self, u: Tensor, sigma: Tensor, **condition: Tensor) -> Tensor:
        count = u.shape[self.axis]
        slices = self.to_slices(u)
        levels = sigma.repeat_interleave(count)
        named = {
            key: self.to_slices(value) if value.ndim == u.ndim else value.repeat_interleave(count, 0)
            for key, value in condition.items()
        }
        size = max(1, min(len(slices), self.budget_bytes // (slices[0].nbytes * self.copies)))
        outputs = []
        for first in range(0, len(slices), size):
            # the last batch is filled up with its last slice, so that every call has one shape (compile, CUDA graphs)
            index = torch.arange(first, first + size, device=u.device).clamp(max=len(slices) - 1)
            batch = {key: value[index] for key, value in named.items()}
            outputs.append(self.denoiser(slices[index], levels[index], **batch)[: len(slices) - first])
        return torch.cat(outputs).unflatten(0, (len(u), count)).movedim(1, self.axis)

    def to_slices(self, volume: Tensor) -> Tensor:
        """(b, c, z, y, x) as (b z, c, y, x), z being the sliced axis."""
        return volume.movedim(self.axis, 1).flatten(0, 1)


def sliced(denoiser: Denoiser, axis: int = 2, budget_bytes: int = 2**30, *, copies: int = 256) -> Denoiser:
    """A denoiser of volumes from one of slices; the result does not depend on the batch size.

    axis            which axis of (b, c, *space) the slices lie along, 2 and up
    budget_bytes    memory for one call
    copies          memory the network needs for one slice, in units of that slice (256: a U-Net of 64 channels)
    """
    if axis < 2:
        raise ConfigError(f"axis {axis}: slices lie along a spatial axis, 2 or more")
    return Sliced(denoiser, axis, budget_bytes, copies)


def as_channels(x: Tensor) -> Tensor:
    """Complex (b, c, *space) as real (b, 2 c, *space), real parts first; sigma is then per real channel."""
    return torch.cat([x.real, x.imag], dim=1)


def as_complex(u: Tensor) -> Tensor:
    """Real (b, 2 c, *space) as complex (b, c, *space), the inverse of `as_channels`. DataError for an odd number of channels."""
    if u.shape[1] % 2:
        raise DataError(f"state has {u.shape[1]} channels; complex data need an even number (real parts, then imaginary parts)")
    return torch.complex(*u.chunk(2, dim=1))
