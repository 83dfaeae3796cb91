"""Conjugate gradients, the sweep of NA-DDS and 3-D total variation on volumes that lie on disk.

Each does what its namesake in `physics.solvers` or `sweep` does, pass by pass.
"""

from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from medidiff.diffusion.measurement import Measurement
from medidiff.errors import NumericsError
from medidiff.io.slab_file import Slabs
from medidiff.reconstruction.slabs import Passes, Span
from medidiff.reconstruction.sweep import shrink
from physics.solvers import total_variation
from physics.solvers.conjugate_gradient import inner
from physics.solvers.differences import difference_z, difference_z_adjoint, gradient, gradient_adjoint

TV_START = 10  # iterations of CGLS before total variation
ROUNDING = 10 * torch.finfo(torch.float32).eps


@dataclass(frozen=True, eq=False)
class Fields:
    """What a solver keeps on disk: volumes (slice, c, row, column); of total variation w and m are (slice, 3, c, row, column)."""

    back: Slabs  # A^T y
    h: Slabs  # the image
    w: Slabs  # its split differences
    m: Slabs  # their scaled multipliers
    r: Slabs = field(repr=False)  # residual, direction and its image in conjugate gradients
    p: Slabs = field(repr=False)
    q: Slabs = field(repr=False)

    @classmethod
    def new(cls, passes: Passes, shape: tuple[int, ...], *, directions: tuple[int, ...] = ()) -> "Fields":
        """All zero but A^T y; `directions` (3,) for differences along three axes."""
        split = (shape[0], *directions, *shape[1:])
        fields = cls(*(passes.plan.store(size) for size in (shape, shape, split, split, shape, shape, shape)))
        passes.each(_back_project, fields)
        return fields


class System(Protocol):
    """A symmetric system  H h = b  whose H reaches one slice to each side."""

    def right(self, span: Span, fields: Fields) -> Tensor: ...  # b of a slab

    def apply(self, span: Span, part: Measurement, values: Tensor) -> Tensor: ...  # H of a slab, from its values with their halo


@dataclass(frozen=True)
class Sweeping:
    """A^T A + rho D_z^T D_z + kappa,   A^T y + rho D_z^T (w - m) + kappa h."""

    kappa: float = 0.0
    rho: float = 0.0

    def right(self, span: Span, fields: Fields) -> Tensor:
        b = span.read(fields.back) + self.kappa * span.read(fields.h)
        if self.rho == 0:
            return b
        return b + self.rho * span.inner(difference_z_adjoint(span.read(fields.w, halo=1) - span.read(fields.m, halo=1)))

    def apply(self, span: Span, part: Measurement, values: Tensor) -> Tensor:
        middle = span.inner(values)
        out = part.operator.normal(middle) + self.kappa * middle
        return out + self.rho * span.inner(difference_z_adjoint(difference_z(values))) if self.rho > 0 else out


@dataclass(frozen=True)
class Variation:
    """A^T A + penalty D^T D,   A^T y + penalty D^T (w - m),   D along slices, rows and columns."""

    penalty: float

    def right(self, span: Span, fields: Fields) -> Tensor:
        slopes = span.read(fields.w, halo=1) - span.read(fields.m, halo=1)
        return span.read(fields.back) + self.penalty * span.inner(gradient_adjoint(slopes.transpose(0, 1)))

    def apply(self, span: Span, part: Measurement, values: Tensor) -> Tensor:
        return part.operator.normal(span.inner(values)) + self.penalty * span.inner(gradient_adjoint(gradient(values)))


def solve(passes: Passes, fields: Fields, system: System, *, iterations: int) -> None:
    """Moves `fields.h` so many conjugate gradients towards the solution; `physics.solvers.conjugate_gradient` on slabs.

    NumericsError where H is not positive: the adjoint behind it is not the transpose.
    """
    rr, size = passes.total(_residual, fields, system)
    for _ in range(iterations):
        if rr <= ROUNDING**2 * size:
            break
        curvature, pp, qq = passes.total(_curvature, fields, system)
        least = ROUNDING * (pp * qq) ** 0.5
        if not curvature >= -least:
            raise NumericsError(
                f"the step towards the data broke down: found p^T H p = {curvature:.3g}, expected more than 0. "
                f"The operator and its adjoint do not match: use the exact transpose."
            )
        if curvature <= least:
            break
        (new,) = passes.total(_advance, fields, rr / curvature)
        passes.each(_turn, fields, new / rr)
        rr = new


@dataclass(frozen=True)
class SlabSweep:
    """`sweep.Sweep` on fields; arguments as there."""

    iterations: int
    rho: float
    threshold: float

    def __call__(self, passes: Passes, fields: Fields, kappa: float) -> None:
        """Move `fields.h` from h0 to h, and the duals to those of the next round. NumericsError as in `solve`."""
        solve(passes, fields, Sweeping(kappa, self.rho), iterations=self.iterations)
        if self.rho > 0:
            passes.each(_duals, fields, self.threshold)


def cgls_in_slabs(passes: Passes, shape: tuple[int, ...], *, iterations: int) -> Slabs:
    """`physics.solvers.cgls.reconstruct_cgls` as slabs."""
    fields = Fields.new(passes, shape)
    solve(passes, fields, Sweeping(), iterations=iterations)
    return fields.h


def tv_in_slabs(passes: Passes, shape: tuple[int, ...], *, weight: float, iterations: int) -> Slabs:
    """`physics.solvers.total_variation.reconstruct_tv` as slabs, for a weight above 0; sixteen volumes lie in the store."""
    fields, change = Fields.new(passes, shape, directions=(3,)), passes.plan.store((shape[0], 3, *shape[1:]))
    solve(passes, fields, Sweeping(), iterations=TV_START)
    low, high = zip(*passes.each(_ends, fields))
    penalty = weight / max(total_variation.EDGE * (max(high) - min(low)), 1e-12)
    passes.each(_slopes, fields)
    for iteration in range(1, iterations + 1):
        solve(passes, fields, Variation(penalty), iterations=total_variation.INNER)
        (primal,) = passes.total(_split, fields, change, weight / penalty)
        if iteration % total_variation.BALANCE_EVERY == 0 and iteration <= iterations // 2:
            (dual,) = passes.total(_dual_residual, change, penalty)
            factor = _balance(primal**0.5, dual**0.5)
            passes.each(_rescale, fields, factor)
            penalty *= factor
    return fields.h


def _balance(primal: float, dual: float) -> float:
    """2, 1/2 or 1: what to multiply the penalty with, so that neither residual lags far behind."""
    far = total_variation.BALANCE_AT
    return 2.0 if primal > far * dual else 0.5 if dual > far * primal else 1.0


def _back_project(span: Span, part: Measurement, fields: Fields) -> tuple:
    span.write(fields.back, part.operator.adjoint(part.y))
    return ()


def _residual(span: Span, part: Measurement, fields: Fields, system: System) -> tuple[float, float]:
    b = system.right(span, fields)
    r = b - system.apply(span, part, span.read(fields.h, halo=1))
    span.write(fields.r, r)
    span.write(fields.p, r)
    return inner(r, r), inner(b, b)


def _curvature(span: Span, part: Measurement, fields: Fields, system: System) -> tuple[float, float, float]:
    values = span.read(fields.p, halo=1)
    p, q = span.inner(values), system.apply(span, part, values)
    span.write(fields.q, q)
    return inner(p, q), inner(p, p), inner(q, q)


def _advance(span: Span, part: Measurement, fields: Fields, length: float) -> tuple[float]:
    span.write(fields.h, span.read(fields.h) + length * span.read(fields.p))
    r = span.read(fields.r) - length * span.read(fields.q)
    span.write(fields.r, r)
    return (inner(r, r),)


def _turn(span: Span, part: Measurement, fields: Fields, share: float) -> tuple:
    span.write(fields.p, span.read(fields.r) + share * span.read(fields.p))
    return ()


def _duals(span: Span, part: Measurement, fields: Fields, threshold: float) -> tuple:
    m, steps = span.read(fields.m), span.inner(difference_z(span.read(fields.h, halo=1)))
    w = shrink(steps + m, threshold)
    span.write(fields.w, w)
    span.write(fields.m, m + steps - w)
    return ()


def _ends(span: Span, part: Measurement, fields: Fields) -> tuple[float, float]:
    h = span.read(fields.h)
    return float(h.min()), float(h.max())


def _slope(span: Span, fields: Fields) -> Tensor:
    """Differences (slice, 3, c, row, column) of the image."""
    return span.inner(gradient(span.read(fields.h, halo=1)).transpose(0, 1))


def _slopes(span: Span, part: Measurement, fields: Fields) -> tuple:
    span.write(fields.w, _slope(span, fields))
    return ()


def _split(span: Span, part: Measurement, fields: Fields, change: Slabs, threshold: float) -> tuple[float]:
    slope, w, m = _slope(span, fields), span.read(fields.w), span.read(fields.m)
    relaxed = total_variation.RELAXATION * slope + (1 - total_variation.RELAXATION) * w
    new = total_variation.shrink((relaxed + m).transpose(0, 1), threshold).transpose(0, 1)
    span.write(fields.w, new)
    span.write(fields.m, m + relaxed - new)
    span.write(change, new - w)
    return (inner(slope - new, slope - new),)


def _dual_residual(span: Span, part: Measurement, change: Slabs, penalty: float) -> tuple[float]:
    residual = penalty * span.inner(gradient_adjoint(span.read(change, halo=1).transpose(0, 1)))
    return (inner(residual, residual),)


def _rescale(span: Span, part: Measurement, fields: Fields, factor: float) -> tuple:
    span.write(fields.m, span.read(fields.m) / factor)
    return ()
