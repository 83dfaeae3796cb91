"""Linear forward models: shapes checked at the door, exact adjoints, and the algebra of composing, stacking and choosing rows."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor

NORM_ITERATIONS = 30  # power iterations; enough for three digits of the norms met here


class LinearOperator(ABC):
    """A linear map from images (*batch, *domain) to measurements (*batch, *range), with its exact adjoint.

    domain             shape of one image
    range              shape of one measurement
    is_complex         whether images and measurements are complex
    measurement_axis   axis of `range` along which measurements come in units: views of CT, lines of k-space

    A subclass supplies `domain`, `range`, `_forward` and `_adjoint`, and `_normal` where A^H A is cheaper than both in turn.
    Device and precision (float32 or float64, or their complex kinds) follow the input.
    """

    is_complex: ClassVar[bool] = False
    measurement_axis: ClassVar[int] = -2

    @property
    @abstractmethod
    def domain(self) -> tuple[int, ...]:
        """Shape of one image."""

    @property
    @abstractmethod
    def range(self) -> tuple[int, ...]:
        """Shape of one measurement."""

    @abstractmethod
    def _forward(self, x: Tensor) -> Tensor:
        """A x, for an x whose shape and type are right."""

    @abstractmethod
    def _adjoint(self, y: Tensor) -> Tensor:
        """A^H y, for a y whose shape and type are right."""

    def _normal(self, x: Tensor) -> Tensor:
        return self._adjoint(self._forward(x))

    def forward(self, x: Tensor) -> Tensor:
        """The measurements A x, (*batch, *range), of images (*batch, *domain). ValueError for another shape or type."""
        self._check(x, "domain", self.domain)
        return self._forward(x)

    def adjoint(self, y: Tensor) -> Tensor:
        """The images A^H y, (*batch, *domain), of measurements (*batch, *range). ValueError for another shape or type."""
        self._check(y, "range", self.range)
        return self._adjoint(y)

    def normal(self, x: Tensor) -> Tensor:
        """A^H A x of images (*batch, *domain). ValueError for another shape or type."""
        self._check(x, "domain", self.domain)
        return self._normal(x)

    @cached_property
    def norm(self) -> float:
        """|A|, the largest singular value, by power iterations on A^H A from a fixed start, on the CPU; approached from below."""
        dtype = torch.complex64 if self.is_complex else torch.float32
        x = torch.randn(self.domain, dtype=dtype, generator=torch.Generator().manual_seed(0))
        for _ in range(NORM_ITERATIONS):
            x = self.normal(x / x.norm().clamp(min=torch.finfo(torch.float32).tiny))
        return float(x.norm().sqrt())

    def subset(self, indices: Sequence[int]) -> "LinearOperator":
        """The operator that measures only the units `indices` (views, lines) of `measurement_axis`, in that order."""
        return Rows(self.range, self.measurement_axis, tuple(indices), self.is_complex) @ self

    def __matmul__(self, inner: "LinearOperator") -> "LinearOperator":
        """The composition  x -> self(inner(x)). ValueError where the shapes do not meet."""
        return Composed(self, inner)

    def describe(self) -> dict[str, Any]:
        """Class and geometry as what JSON can hold, for the record of a result."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {"operator": type(self).__name__} | {name: _plain(value) for name, value in values.items()}

    def _check(self, values: Tensor, side: str, shape: tuple[int, ...]) -> None:
        """ValueError unless `values` end in `shape` and are of a type this operator works on."""
        name = type(self).__name__
        if tuple(values.shape[values.ndim - len(shape) :]) != shape or values.ndim < len(shape):
            raise ValueError(
                f"{name}: found shape {tuple(values.shape)}, expected (*batch, {', '.join(map(str, shape))}) in its {side}. "
                f"Reshape the input, or build the operator for it; a volume is a batch of slices."
            )
        allowed = (torch.complex64, torch.complex128) if self.is_complex else (torch.float32, torch.float64)
        if values.dtype not in allowed:
            raise ValueError(f"{name}: found {values.dtype}, expected {allowed[0]} or {allowed[1]}. Convert with .to().")


@dataclass(frozen=True)
class Rows(LinearOperator):
    """Chosen units of a measurement, as an operator: zeros come back where nothing was chosen.

    shape        of one full measurement
    axis         along which units are chosen, negative
    indices      of the chosen units, each once
    is_complex   whether the measurements are complex
    """

    shape: tuple[int, ...]
    axis: int
    indices: tuple[int, ...]
    is_complex: bool = False

    def __post_init__(self):
        check_indices(self.indices, self.shape[self.axis])

    @property
    def measurement_axis(self) -> int:
        return self.axis

    @property
    def domain(self) -> tuple[int, ...]:
        return self.shape

    @property
    def range(self) -> tuple[int, ...]:
        return _with_size(self.shape, self.axis, len(self.indices))

    def _forward(self, x: Tensor) -> Tensor:
        return x.index_select(self.axis, torch.tensor(self.indices, device=x.device))

    def _adjoint(self, y: Tensor) -> Tensor:
        empty = y.new_zeros(y.shape[: y.ndim - len(self.shape)] + self.shape)
        return empty.index_copy(self.axis, torch.tensor(self.indices, device=y.device), y)


@dataclass(frozen=True)
class Composed(LinearOperator):
    """outer after inner:  A x = outer(inner(x)),  A^H y = inner^H(outer^H(y))."""

    outer: LinearOperator
    inner: LinearOperator

    def __post_init__(self):
        if self.outer.domain != self.inner.range or self.outer.is_complex != self.inner.is_complex:
            raise ValueError(
                f"cannot apply {_side(self.outer, 'domain')} after {_side(self.inner, 'range')}: "
                f"expected the same shape and kind of numbers. Swap the two, or build one for the other's shape."
            )

    @property
    def is_complex(self) -> bool:
        return self.inner.is_complex

    @property
    def measurement_axis(self) -> int:
        return self.outer.measurement_axis

    @property
    def domain(self) -> tuple[int, ...]:
        return self.inner.domain

    @property
    def range(self) -> tuple[int, ...]:
        return self.outer.range

    def _forward(self, x: Tensor) -> Tensor:
        return self.outer.forward(self.inner.forward(x))

    def _adjoint(self, y: Tensor) -> Tensor:
        return self.inner.adjoint(self.outer.adjoint(y))


@dataclass(frozen=True)
class Stacked(LinearOperator):
    """Several measurements of one image, joined along the measurement axis:  A x = [A1 x, A2 x, ...],  A^H y = sum Ai^H yi."""

    operators: tuple[LinearOperator, ...]

    def __post_init__(self):
        if not self.operators:
            raise ValueError("nothing to stack: expected at least one operator")
        first = self.operators[0]
        for other in self.operators[1:]:
            if _joint(other) != _joint(first):
                raise ValueError(
                    f"cannot stack {_side(other, 'range')} of images {other.domain} on {_side(first, 'range')} of images "
                    f"{first.domain}: expected the same images, numbers and measurement axis, and ranges equal but along it."
                )

    @property
    def is_complex(self) -> bool:
        return self.operators[0].is_complex

    @property
    def measurement_axis(self) -> int:
        return self.operators[0].measurement_axis

    @property
    def domain(self) -> tuple[int, ...]:
        return self.operators[0].domain

    @property
    def range(self) -> tuple[int, ...]:
        return _with_size(self.operators[0].range, self.measurement_axis, sum(self._sizes()))

    def _sizes(self) -> list[int]:
        return [operator.range[self.measurement_axis] for operator in self.operators]

    def _forward(self, x: Tensor) -> Tensor:
        return torch.cat([operator.forward(x) for operator in self.operators], dim=self.measurement_axis)

    def _adjoint(self, y: Tensor) -> Tensor:
        parts = y.split(self._sizes(), dim=self.measurement_axis)
        return sum(operator.adjoint(part) for operator, part in zip(self.operators, parts))

    def _normal(self, x: Tensor) -> Tensor:
        return sum(operator.normal(x) for operator in self.operators)


def check_indices(indices: Sequence[int], size: int) -> None:
    """ValueError unless `indices` are distinct, not empty and within 0 .. size - 1."""
    wrong = [index for index in indices if not 0 <= index < size]
    if wrong or not indices or len(set(indices)) < len(indices):
        raise ValueError(
            f"subset: found {len(indices)} indices, {len(set(indices))} distinct, outside the measurement: {wrong[:5]}; "
            f"expected distinct ones from 0 to {size - 1}. Name each view or line once."
        )


def _with_size(shape: tuple[int, ...], axis: int, size: int) -> tuple[int, ...]:
    """`shape` with `size` along a negative axis."""
    place = len(shape) + axis
    return (*shape[:place], size, *shape[place + 1 :])


def _joint(operator: LinearOperator) -> tuple:
    """What operators must share to be stacked."""
    axis = operator.measurement_axis
    return operator.domain, _with_size(operator.range, axis, 0), axis, operator.is_complex


def _side(operator: LinearOperator, side: str) -> str:
    return f"{type(operator).__name__} ({side} {getattr(operator, side)}, {'complex' if operator.is_complex else 'real'})"


def _plain(value: Any) -> Any:
    """`value` as JSON: operators by their description, other geometry by its fields, tuples as lists."""
    if isinstance(value, LinearOperator):
        return value.describe()
    if is_dataclass(value):
        return asdict(value)
    return [_plain(item) for item in value] if isinstance(value, tuple) else value
