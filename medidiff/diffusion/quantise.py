"""Networks with rounded weights and activations, emulated in floating point: what a low-precision kernel would compute."""

import copy
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from medidiff.errors import ConfigError

KINDS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


class Rounding(Protocol):
    """A number format: values up to `largest`, rounded by a call."""

    @property
    def largest(self) -> float: ...

    def __call__(self, x: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class Integer:
    """Symmetric integers of `bits` bits."""

    bits: int = 8

    @property
    def largest(self) -> float:
        return 2 ** (self.bits - 1) - 1

    def __call__(self, x: Tensor) -> Tensor:
        return x.round().clamp(-self.largest, self.largest)


@dataclass(frozen=True)
class Float8:
    """Eight-bit floating point, four bits of exponent and three of mantissa (e4m3, arXiv 2209.05433)."""

    @property
    def largest(self) -> float:
        return 448.0

    def __call__(self, x: Tensor) -> Tensor:
        return x.clamp(-448, 448).to(torch.float8_e4m3fn).to(x.dtype)


class Quantised(nn.Module):
    """A copy of a network that rounds: weights per output channel, activations per tensor and per bucket of the noise level.

    network      any network (x, noise_level, ...)
    calibrate    runs the sampler with what it is given, so that activations are seen on the sampler's own states
    rounding     `Integer(bits)` or `Float8()`
    buckets      parts of the noise levels seen, with as many levels each, that have scales of their own

    PTQ4DM (arXiv 2211.15736): calibration over the levels of the sampler. With few calibration images many buckets clip.
    """

    def __init__(
        self,
        network: nn.Module,
        calibrate: Callable[[nn.Module], None],
        *,
        rounding: Rounding = Integer(8),
        buckets: int = 1,
    ):
        super().__init__()
        if buckets < 1:
            raise ConfigError(f"buckets {buckets}: expected 1 or more")
        self.inner = copy.deepcopy(network)
        self.place = _Place()
        self.layers = _replace(self.inner, self.place, rounding)
        with torch.no_grad():
            calibrate(self)
        seen = sorted(self.place.seen)
        if not seen:
            raise ConfigError("calibrate did not call the network; run the sampler with the network it is given")
        cuts = [len(seen) * index // buckets for index in range(1, buckets)]
        self.place.edges = [seen[cut] for cut in cuts]
        for layer in self.layers:
            layer.freeze(self.place.edges)

    def forward(self, x: Tensor, noise_level: Tensor, **condition: Tensor) -> Tensor:
        self.place.enter(noise_level)
        return self.inner(x, noise_level, **condition)


class _Place:
    """Where on the path the network is now, shared by all its layers."""

    def __init__(self):
        self.seen: set[float] = set()
        self.edges: list[float] | None = None
        self.level, self.bucket = 0.0, None

    def enter(self, noise_level: Tensor) -> None:
        levels = noise_level.detach().cpu().double()
        if self.edges is None:
            self.level = float(levels.max())
            self.seen.add(self.level)
        else:
            edges = torch.tensor(self.edges, dtype=torch.float64)
            self.bucket = torch.searchsorted(edges, levels, right=True).to(noise_level.device)


class _Rounded(nn.Module):
    """A layer that notes the size of its inputs by level, and rounds inputs and weights after `freeze`."""

    def __init__(self, layer: nn.Module, place: _Place, rounding: Rounding):
        super().__init__()
        self.layer, self.place, self.rounding = layer, place, rounding
        self.sizes: dict[float, float] = {}
        self.scale: Tensor | None = None

    def freeze(self, edges: list[float]) -> None:
        sizes = [0.0] * (len(edges) + 1)
        for level, size in self.sizes.items():
            bucket = bisect_right(edges, level)
            sizes[bucket] = max(sizes[bucket], size)
        device = self.layer.weight.device
        self.scale = (torch.tensor(sizes, device=device) / self.rounding.largest).clamp(min=torch.finfo(torch.float32).tiny)
        with torch.no_grad():
            weight = self.layer.weight
            largest = weight.flatten(1).abs().amax(1).reshape(-1, *[1] * (weight.ndim - 1))
            step = (largest / self.rounding.largest).clamp(min=torch.finfo(torch.float32).tiny)
            weight.copy_(self.rounding(weight / step) * step)

    def forward(self, x: Tensor) -> Tensor:
        if self.scale is None:
            level = self.place.level
            self.sizes[level] = max(self.sizes.get(level, 0.0), float(x.detach().abs().max()))
            return self.layer(x)
        step = self.scale[self.place.bucket].to(x.dtype).reshape(-1, *[1] * (x.ndim - 1))
        return self.layer(self.rounding(x / step) * step)


def _replace(module: nn.Module, place: _Place, rounding: Rounding) -> list[_Rounded]:
    layers = []
    for name, child in module.named_children():
        if isinstance(child, KINDS):
            rounded = _Rounded(child, place, rounding)
            setattr(module, name, rounded)
            layers.append(rounded)
        else:
            layers += _replace(child, place, rounding)
    return layers
