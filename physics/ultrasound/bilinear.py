"""Reading an image between its samples, as a linear operator: four neighbours, bilinear weights, zero outside."""

from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from physics.operator import LinearOperator

SLACK = 1e-9  # samples; what rounding moves a point on the border outside


class Bilinear(LinearOperator):
    """An image at other places. A subclass says where: `domain`, `range`, and `places`.

    A point exactly on the border of the image belongs to it; beyond, 0 comes back, and `inside` says so.
    """

    @abstractmethod
    def places(self) -> tuple[Tensor, Tensor]:
        """Row and column of each point of the range in samples of the domain, (*range) each, double precision."""

    @cached_property
    def _taps(self) -> "Taps":
        return Taps.between(*self.places(), self.domain)

    @property
    def inside(self) -> Tensor:
        """Which points of the range lie within the domain, (*range) bool."""
        return self._taps.inside.reshape(self.range)

    def _forward(self, x: Tensor) -> Tensor:
        samples = x.flatten(-2)
        values = sum(samples[..., place.to(x.device)] * weight.to(samples) for place, weight in self._taps)
        return values.reshape(*x.shape[:-2], *self.range)

    def _adjoint(self, y: Tensor) -> Tensor:
        points = y.flatten(-2)
        image = y.new_zeros((*y.shape[:-2], self.domain[0] * self.domain[1]))
        for place, weight in self._taps:
            image = image.index_add(-1, place.to(y.device), points * weight.to(points))
        return image.reshape(*y.shape[:-2], *self.domain)


@dataclass(frozen=True, eq=False)
class Taps:
    """Four neighbours and weights of each point."""

    place: Tensor  # (4, point) index into the flat image
    weight: Tensor  # (4, point) 0 outside
    inside: Tensor  # (point,) bool

    def __iter__(self):
        return zip(self.place, self.weight)

    @staticmethod
    def between(row: Tensor, column: Tensor, shape: tuple[int, int]) -> "Taps":
        """The taps of points at these rows and columns of an image of this shape."""
        row, column = row.flatten(), column.flatten()
        inside = torch.ones_like(row, dtype=torch.bool)
        corner, share = [], []
        for position, size in ((row, shape[0]), (column, shape[1])):
            inside &= (position >= -SLACK) & (position <= size - 1 + SLACK)
            low = position.floor().clamp(0, max(size - 2, 0))
            corner.append(low.long())
            share.append((position - low).clamp(0, 1))
        (top, left), (down, right) = corner, share
        below, beside = (min(size - 1, 1) for size in shape)
        rows = ((top, 1 - down), (top + below, down))
        columns = ((left, 1 - right), (left + beside, right))
        taps = [(r * shape[1] + c, a * b * inside) for r, a in rows for c, b in columns]
        return Taps(torch.stack([place for place, _ in taps]), torch.stack([weight for _, weight in taps]), inside)
