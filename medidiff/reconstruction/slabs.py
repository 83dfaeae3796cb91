"""Whole-volume solvers that hold a few slices at a time: the volume lies on disk, every pass goes over it slab by slab.

Slabs are not solved apart and glued: one step length of conjugate gradients belongs to the whole volume, so slabs with a halo
alone would give another result. Here each pass computes its slab's part with the neighbouring slices it needs, and the inner
products are added up before the next pass. The result is that of the unsplit solver to the rounding of sums, for every size of
slab, in this process or on the workers of a Dask cluster that share the disk.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from medidiff.diffusion.measurement import Measurement
from medidiff.errors import ConfigError
from medidiff.io.slab_file import SlabArray, Slabs, Undo
from medidiff.reconstruction.operators import Normalised

Store = Callable[[tuple[int, ...]], Slabs]  # shape -> slabs, zero at first
Task = Callable[..., tuple[float, ...]]  # (span, part, *arguments) -> what the slab adds to some sums


@dataclass(frozen=True)
class Span:
    """The slices first .. last - 1 of `total`; `undo` keeps what a write replaces, for a worker that is lost in the middle."""

    first: int
    last: int
    total: int
    undo: Undo | None = None

    def read(self, slabs: Slabs, *, halo: int = 0) -> Tensor:
        """These slices, with up to `halo` more at each end that lies within the volume."""
        return torch.from_numpy(slabs.read(max(self.first - halo, 0), min(self.last + halo, self.total)))

    def write(self, slabs: Slabs, values: Tensor) -> None:
        """Put these slices in."""
        if self.undo is not None:
            self.undo.keep(slabs, self.first, self.last)
        slabs.write(self.first, values.detach().cpu().numpy())

    def inner(self, values: Tensor) -> Tensor:
        """Without the halo of one slice that `read` gave."""
        start = min(self.first, 1)
        return values[start : start + self.last - self.first]


@dataclass(frozen=True, eq=False)
class Plan:
    """How a volume is cut, where it lies and who works on it.

    slices   in one slab; memory grows with it, the result does not depend on it
    store    makes slabs: `medidiff.io.slab_file.slab_store`
    client   of a Dask cluster whose workers see the store's files; None: this process
    """

    slices: int
    store: Store
    client: Any = None

    def spans(self, total: int) -> list[Span]:
        """The slabs of a volume."""
        return [Span(first, min(first + self.slices, total), total) for first in range(0, total, self.slices)]


@dataclass(frozen=True, eq=False)
class Passes:
    """Runs a task over all slabs; what they return is always put together in the order of slabs.

    plan    the cut
    spans   of the slabs
    parts   measurement of each slab, where the workers are
    kept    folder for what the tasks of a pass replace, on the disk that the workers share; of no use without workers

    A worker may be lost at any moment: Dask runs its task again elsewhere, which first takes back what was written already. Large
    arguments are results of tasks for the same reason: what is only put onto a worker is lost with it.
    """

    plan: Plan
    spans: Sequence[Span]
    parts: Sequence[Any]
    kept: Path = Path()

    @classmethod
    def over(cls, measurement: Measurement, plan: Plan) -> Self:
        """Passes over the slices of a measurement. ConfigError for a store that the workers cannot see."""
        total = len(measurement.y)
        return cls.of([part(measurement, span) for span in plan.spans(total)], total, plan)

    @classmethod
    def of(cls, parts: Sequence[Any], total: int, plan: Plan) -> Self:
        """Passes with these parts, one for each slab of `total` slices. ConfigError as in `over`."""
        if plan.client is None:
            return cls(plan, plan.spans(total), parts)
        example = plan.store((1,))
        if isinstance(example, SlabArray):
            raise ConfigError("slabs in memory with Dask workers: they cannot see them. Keep them on a disk that all share.")
        parts = [plan.client.submit(_itself, each, pure=False) for each in parts]
        return cls(plan, plan.spans(total), parts, example.path.with_suffix(".undo"))

    def shared(self, value: Any) -> Any:
        """A large argument of every task, sent to the workers once."""
        return value if self.plan.client is None else self.plan.client.submit(_itself, value, pure=False)

    def each(self, task: Task, *arguments: Any) -> list[tuple[float, ...]]:
        """task(span, part, *arguments) of every slab; the next pass sees everything this one wrote."""
        client = self.plan.client
        if client is None:
            return [task(span, part, *arguments) for span, part in zip(self.spans, self.parts)]
        safe = [replace(span, undo=Undo(self.kept / str(span.first))) for span in self.spans]
        tasks = [client.submit(_again, task, span, part, *arguments, pure=False) for span, part in zip(safe, self.parts)]
        results = client.gather(tasks)
        shutil.rmtree(self.kept, ignore_errors=True)
        return results

    def total(self, task: Task, *arguments: Any) -> tuple[float, ...]:
        """The sums over the slabs of what a task returns."""
        return tuple(map(sum, zip(*self.each(task, *arguments))))


def _again(task: Task, span: Span, part: Any, *arguments: Any) -> tuple[float, ...]:
    """The task, from the state before any earlier attempt at it in this pass."""
    span.undo.restore()
    return task(span, part, *arguments)


def _itself(value: Any) -> Any:
    return value


def part(measurement: Measurement, span: Span) -> Measurement:
    """The measurement of some slices."""
    operator = measurement.operator
    if isinstance(operator, Normalised) and operator.trusted is not None:
        operator = replace(operator, trusted=operator.trusted[span.first : span.last])
    return Measurement(operator, measurement.y[span.first : span.last], measurement.noise_std)
