"""Measurements as the solvers want them: an operator of norm 1, data to match, images in the window [0, 1]."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from medidiff.diffusion.denoiser import as_channels, as_complex
from medidiff.diffusion.measurement import Measurement
from medidiff.errors import DataError
from medidiff.io.measurement import Projections
from medidiff.io.volume import Grid as VoxelGrid
from physics.ct.fan import FanBeam
from physics.ct.grid import Grid
from physics.ct.noise import noise_std
from physics.ct.parallel import ParallelBeam
from physics.operator import LinearOperator

BEAMS = {"parallel": ParallelBeam, "fan": FanBeam}


@dataclass(frozen=True)
class Window:
    """Image values v as x = (v - low) / width, so that solver parameters mean the same for every study."""

    low: float  # what 0 stands for, HU or the unit of the MR image
    width: float

    def values(self, x: Tensor) -> Tensor:
        """low + width x."""
        return self.low + self.width * x


@dataclass(frozen=True, eq=False)
class Normalised(LinearOperator):
    """factor A, with zeros where nothing was measured.

    operator   A
    factor     1 / |A|
    trusted    (slice, *range)   1 where there is a measurement, 0 where none; None: everywhere. A batch is then the first slices
    """

    operator: LinearOperator
    factor: float
    trusted: Tensor | None = None

    @classmethod
    def of(cls, operator: LinearOperator, trusted: Tensor | None = None) -> Self:
        """The operator with norm 1."""
        norm = operator.norm
        return cls(operator, 1 / norm if norm > 0 else 1.0, trusted)

    @property
    def is_complex(self) -> bool:
        return self.operator.is_complex

    @property
    def measurement_axis(self) -> int:
        return self.operator.measurement_axis

    @property
    def domain(self) -> tuple[int, ...]:
        return self.operator.domain

    @property
    def range(self) -> tuple[int, ...]:
        return self.operator.range

    @cached_property
    def norm(self) -> float:
        """|A| factor, what it would be with everything measured: an upper bound."""
        return self.factor * self.operator.norm

    def subset(self, indices: Sequence[int]) -> Self:
        """Norm 1 again, with only these views or lines."""
        trusted = self.trusted if self.trusted is None else chosen(self.trusted, self.measurement_axis, indices)
        return Normalised.of(self.operator.subset(indices), trusted)

    def _forward(self, x: Tensor) -> Tensor:
        return self._masked(self.factor * self.operator.forward(x))

    def _adjoint(self, y: Tensor) -> Tensor:
        return self.factor * self.operator.adjoint(self._masked(y))

    def _normal(self, x: Tensor) -> Tensor:
        return self.factor**2 * self.operator.normal(x) if self.trusted is None else self._adjoint(self._forward(x))

    def _masked(self, y: Tensor) -> Tensor:
        return y if self.trusted is None else y * self.trusted[: len(y)].to(y)


@dataclass(frozen=True, eq=False)
class Parts:
    """An operator on complex slices (slice, row, column) as one on states (slice, 2, row, column) of their parts."""

    operator: LinearOperator

    def forward(self, u: Tensor) -> Tensor:
        return self.operator.forward(as_complex(u)[:, 0])

    def adjoint(self, y: Tensor) -> Tensor:
        return as_channels(self.operator.adjoint(y)[:, None])

    def normal(self, u: Tensor) -> Tensor:
        return as_channels(self.operator.normal(as_complex(u)[:, 0])[:, None])


@dataclass(frozen=True, eq=False)
class Scan:
    """y = A x + noise, with |A| = 1 and x in window units.

    operator         A; its domain is one slice, a volume is a batch of slices
    y                (slice, *range)
    noise_std        of y per real component; 0 where it is not known
    variance         (slice, *range) or shorter   of y per real component, infinite where nothing was measured; None: noise_std
    window           of the images
    hideable         views or lines that may be held out
    slice_ratio      edge of a pixel over distance of slices
    slice_operator   of one slice, before it got norm 1
    support          (slice, *domain)   1 where an image can be seen at all, 0 where no coil sees; None: everywhere
    """

    operator: Normalised
    y: Tensor
    noise_std: float
    variance: Tensor | None
    window: Window
    hideable: tuple[int, ...]
    slice_ratio: float
    slice_operator: LinearOperator
    support: Tensor | None = None

    def keep(self, indices: Sequence[int]) -> "Scan":
        """The scan with only these views or lines, its operator of norm 1 again."""
        axis = self.operator.measurement_axis
        operator = self.operator.subset(indices)
        gain = operator.factor / self.operator.factor
        variance = self.variance if self.variance is None else gain**2 * chosen(self.variance, axis, indices)
        y = gain * chosen(self.y, axis, indices)
        return replace(self, operator=operator, y=y, noise_std=gain * self.noise_std, variance=variance, hideable=())

    def measurement(self) -> Measurement:
        """The same scan in network units, on real states (slice, c, row, column): u = 2 x - 1, or the parts of a complex x."""
        if self.operator.is_complex:
            return Measurement(Parts(self.operator), self.y, self.noise_std)
        ones = self.y.new_ones((len(self.y), *self.operator.domain))
        return Measurement(self.operator, 2 * self.y - self.operator.forward(ones), 2 * self.noise_std)

    @property
    def unit(self) -> float:
        """Network units in one window unit."""
        return 1.0 if self.operator.is_complex else 2.0

    def state(self, x: Tensor) -> Tensor:
        """A volume (slice, *domain) in network units, (slice, c, row, column)."""
        return as_channels(x[:, None]) if self.operator.is_complex else 2 * x - 1

    def volume(self, u: Tensor) -> Tensor:
        """The inverse of `state`."""
        return as_complex(u)[:, 0] if self.operator.is_complex else (u + 1) / 2

    def supported(self, x: Tensor) -> Tensor:
        """A volume (slice, *domain) with 0 where nothing could be seen."""
        return x if self.support is None else x * self.support.to(x)

    def misfit(self, x: Tensor) -> float:
        """|A x - y| / |y|  of a volume (slice, *domain) in window units."""
        size = torch.linalg.vector_norm(self.y).clamp(min=torch.finfo(torch.float32).tiny)
        return float(torch.linalg.vector_norm(self.operator.forward(x) - self.y) / size)

    def unexplained(self, x: Tensor) -> float:
        """|A x - y| / |y| beyond what noise alone leaves, which is not known better than it scatters.

        sqrt(max(|A x - y|^2 - E|n|^2, E|n|^2 sqrt(2 / m))) / |y|,   m real numbers in y
        """
        noise, count = self._noise_energy()
        size = float(torch.linalg.vector_norm(self.y))
        error = self.misfit(x) ** 2 - noise / max(size, 1e-30) ** 2
        return max(error, noise * (2 / count) ** 0.5 / max(size, 1e-30) ** 2) ** 0.5

    def _noise_energy(self) -> tuple[float, int]:
        """E|n|^2 over all that was measured, 0 where the noise is not known, and the count of real numbers."""
        parts = 2 if self.y.is_complex() else 1
        if self.noise_std == 0 or self.variance is None:
            return self.noise_std**2 * parts * self.y.numel(), parts * self.y.numel()
        variance = self.variance.expand(self.y.shape)
        measured = variance[torch.isfinite(variance)]
        return parts * float(measured.sum()), max(1, parts * measured.numel())

    def chi_square(self, x: Tensor) -> float | None:
        """Mean of |A x - y|^2 over its expectation, 1 for the true volume; None where the noise is not known."""
        if self.noise_std == 0:
            return None
        squared = (self.operator.forward(x) - self.y).abs() ** 2 / (2 if self.y.is_complex() else 1)
        if self.variance is None:
            return float(squared.mean() / self.noise_std**2)
        variance = self.variance.expand_as(squared)
        measured = torch.isfinite(variance)
        return float((squared[measured] / variance[measured]).mean())


def ct_scan(measurement: Projections, window_hu: tuple[float, float]) -> Scan:
    """The scan of CT line integrals on a window in HU.

    window_hu   attenuation that 0 and 1 stand for;  HU = 1000 (mu / water - 1)

    DataError where the geometry is not one that can be computed, or where it does not fit the line integrals.
    """
    beam = beam_of(measurement.geometry)
    water = measurement.water_per_mm
    low, high = (water * (1 + hu / 1000) for hu in window_hu)
    raw = torch.as_tensor(np.ascontiguousarray(measurement.line_integrals), dtype=torch.float32)[:, None]
    if raw.shape[2:] != beam.range[1:]:
        raise DataError(
            f"line_integrals: found {tuple(raw.shape[2:])} (view, bin), expected {beam.range[1:]} of the geometry. "
            f"Convert the study again."
        )
    weights = None if measurement.weights is None else torch.as_tensor(measurement.weights, dtype=torch.float32)[:, None]
    trusted = None if weights is None or bool((weights > 0).all()) else (weights > 0).float()
    operator = Normalised.of(beam, trusted)
    unit = operator.factor / (high - low)  # from line integrals to y
    y = unit * (raw - low * beam.forward(torch.ones((1, *beam.domain))))
    return Scan(
        operator=operator,
        y=y if trusted is None else y * trusted,
        noise_std=0.0 if weights is None else unit * noise_std(weights),
        variance=None if weights is None else unit**2 / weights,
        window=Window(window_hu[0], window_hu[1] - window_hu[0]),
        hideable=tuple(range(len(beam.angles_rad))),
        slice_ratio=beam.grid.pixel_mm / VoxelGrid((1, 1, 1), measurement.affine).spacing_mm[2],
        slice_operator=beam,
    )


def beam_of(geometry: Mapping[str, Any]) -> ParallelBeam | FanBeam:
    """The operator of a geometry as `Projections` names it. DataError for a beam without a name here or one that cannot be."""
    named = dict(geometry)
    kind = named.pop("beam", "")
    if kind not in BEAMS:
        raise DataError(f"geometry.beam: found {kind!r}, expected one of {', '.join(BEAMS)}. Convert the study again.")
    try:
        grid = Grid(named.pop("rows"), named.pop("columns"), named.pop("pixel_mm"))
        return BEAMS[kind](grid=grid, angles_rad=tuple(map(float, named.pop("angles_rad"))), **named)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"geometry of the {kind} beam: {error}") from error


def chosen(values: Tensor, axis: int, indices: Sequence[int]) -> Tensor:
    """`values` at these indices of a negative axis."""
    return values.index_select(values.ndim + axis, torch.as_tensor(list(indices), device=values.device))
