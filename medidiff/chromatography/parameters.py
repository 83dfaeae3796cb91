"""The free parameters of a fit: which quantities of the peaks move, on which scale, and between which bounds."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from medidiff.errors import ConfigError
from physics.chromatography.peaks import Peaks

PER_PEAK = ("retention", "desorption", "dispersion")
LOGARITHMIC = {"retention": 10.0, "desorption": 1000.0, "hold_up": 10.0, "dispersion": 1e4}  # and the factor they may move by
NOT_NEGATIVE = ("injection", "tailing", "mixing")
FREE = (*PER_PEAK, "hold_up", *NOT_NEGATIVE, "delay")


@dataclass(frozen=True)
class Parameters:
    """The map between a vector theta (b, p) and peaks: logarithms of k, kd, tM and dispersion, seconds of all others.

    Quantities per peak give one entry for each component, shared ones a single entry; in the order of `free`.
    """

    base: Peaks  # (b, component)   where the fit starts; what is not free stays as here
    free: tuple[str, ...]  # of `FREE`

    def __post_init__(self):
        unknown, twice = sorted(set(self.free) - set(FREE)), len(set(self.free)) < len(self.free)
        if unknown or twice or not self.free:
            found = f"unknown {', '.join(unknown)}" if unknown else "a name twice" if twice else "nothing"
            raise ConfigError(f"fit.free: found {found}, expected some of {', '.join(FREE)}, each once.")
        for name in set(self.free) & set(LOGARITHMIC):
            if bool((getattr(self.base, name) <= 0).any()):
                raise ConfigError(f"fit.free: {name} starts at 0, but its logarithm is fitted. Give a positive start.")

    @property
    def slices(self) -> dict[str, slice]:
        """Where each quantity sits in theta."""
        result, begin = {}, 0
        for name in self.free:
            count = self.base.shape[1] if name in PER_PEAK else 1
            result[name] = slice(begin, begin + count)
            begin += count
        return result

    @property
    def labels(self) -> tuple[tuple[str, int | None], ...]:
        """Name and component (None where shared) of every entry of theta."""
        components = range(self.base.shape[1])
        return tuple(label for name in self.free for label in _labels(name, components))

    def pack(self, peaks: Peaks) -> Tensor:
        """theta (b, p) of some peaks."""
        parts = []
        for name, part in self.slices.items():
            value = getattr(peaks, name).expand(peaks.shape[0], part.stop - part.start)
            parts.append(value.log() if name in LOGARITHMIC else value)
        return torch.cat(parts, dim=1)

    def unpack(self, theta: Tensor) -> Peaks:
        """Peaks whose free quantities are those of theta (b, p)."""
        values = {name: theta[:, part] for name, part in self.slices.items()}
        return replace(self.base, **{name: v.exp() if name in LOGARITHMIC else v for name, v in values.items()})

    def rows(self, rows: Tensor) -> "Parameters":
        """The same for some chromatograms of the batch, by their numbers."""
        names = ("retention", "desorption", "hold_up", "dispersion", "radial", "pressure_ratio", *NOT_NEGATIVE, "delay")
        kept = {name: getattr(self.base, name) for name in names}
        return replace(self, base=replace(self.base, **{n: v[rows] if v.shape[0] > 1 else v for n, v in kept.items()}))

    def limits(self, bounds: Mapping[str, tuple[float, float]]) -> tuple[Tensor, Tensor]:
        """Lowest and highest theta, each (b, p).

        bounds   name -> (lowest, highest), SI units; without: a factor of `LOGARITHMIC` around the start, times >= 0,
                 the delay unbounded

        Raises ConfigError for a bound that is not of a free quantity, is empty, or leaves out the start.
        """
        start = self.pack(self.base)
        low, high = torch.full_like(start, -math.inf), torch.full_like(start, math.inf)
        unknown = sorted(set(bounds) - set(self.free))
        if unknown:
            raise ConfigError(f"fit.bounds.{unknown[0]}: found bounds, but it is not free; fit.free is {', '.join(self.free)}.")
        for name, part in self.slices.items():
            if name in bounds:
                low[:, part], high[:, part] = _given(name, bounds[name])
                if bool((start[:, part] < low[:, part]).any() or (start[:, part] > high[:, part]).any()):
                    raise ConfigError(f"fit.bounds.{name}: {bounds[name]} leave out the start of the fit. Widen them.")
            elif name in LOGARITHMIC:
                low[:, part] = start[:, part] - math.log(LOGARITHMIC[name])
                high[:, part] = start[:, part] + math.log(LOGARITHMIC[name])
            elif name in NOT_NEGATIVE:
                low[:, part] = 0.0
        return low, high

    def priors(self, priors: Mapping[str, tuple[float, float]]) -> tuple[Tensor, Tensor]:
        """Centres and inverse standard deviations (b, p) of Gaussian priors on theta; 0 where there is none.

        priors   name -> (mean, standard deviation), SI units; those of logarithms become relative

        Raises ConfigError for a prior that is not of a free quantity, or has no positive deviation.
        """
        centre = self.pack(self.base)
        root = torch.zeros_like(centre)
        for name, (mean, deviation) in priors.items():
            if name not in self.free or not deviation > 0 or (name in LOGARITHMIC and not mean > 0):
                raise ConfigError(
                    f"fit.priors.{name}: found ({mean}, {deviation}), expected a mean and a positive standard deviation of a "
                    f"free quantity ({', '.join(self.free)})."
                )
            part, is_log = self.slices[name], name in LOGARITHMIC
            centre[:, part] = math.log(mean) if is_log else mean
            root[:, part] = mean / deviation if is_log else 1 / deviation
        return centre, root


def _labels(name: str, components: range) -> list[tuple[str, int | None]]:
    return [(name, i) for i in components] if name in PER_PEAK else [(name, None)]


def _given(name: str, bounds: tuple[float, float]) -> tuple[float, float]:
    """Bounds of the user on the scale of theta."""
    low, high = bounds
    if not low < high or (name in LOGARITHMIC and low < 0) or (name in NOT_NEGATIVE and low < 0):
        raise ConfigError(f"fit.bounds.{name}: found {bounds}, expected lowest < highest, neither below what is physical.")
    if name not in LOGARITHMIC:
        return low, high
    return math.log(low) if low > 0 else -math.inf, math.log(high)
