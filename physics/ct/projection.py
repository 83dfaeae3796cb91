"""Line integrals of whole volumes: one product with a sparse matrix, and the exact adjoint by its transpose."""

import warnings
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from functools import cached_property
from typing import Self

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor

from physics.ct.grid import Grid
from physics.ct.rays import ray_matrix
from physics.operator import LinearOperator, check_indices

NUMPY_TYPE = {torch.float32: np.float32, torch.float64: np.float64}
SLICES_AT_ONCE = 8  # on a CPU: 256 x 256 pixels of eight slices are 2 MB; sixteen took 1.4 to 2.8 times as long per slice


class Projection(LinearOperator):
    """Line integrals along the rays of a geometry; a volume is a batch of slices, one product for all of them.

    forward   attenuation (*batch, 1, row, column) in 1/mm  ->  line integrals (*batch, 1, view, bin), no unit
    adjoint   the transpose of the same lengths, so <A x, p> = <x, A^T p> to rounding

    A subclass is a frozen dataclass with `grid`, `angles_rad`, `bins` and a method `rays`. The matrix and its transpose are made
    at the first use in each precision and on each device, 8 bytes per entry and direction in float32.
    """

    grid: Grid
    angles_rad: tuple[float, ...]
    bins: int

    @abstractmethod
    def rays(self) -> Iterable[tuple[np.ndarray, np.ndarray]]:
        """Per view: a point on the ray of each bin (bin, 2) and the ray's unit direction (bin, 2), as (x, y) in mm."""

    @property
    def domain(self) -> tuple[int, ...]:
        return 1, self.grid.rows, self.grid.columns

    @property
    def range(self) -> tuple[int, ...]:
        return 1, len(self.angles_rad), self.bins

    def subset(self, indices: Sequence[int]) -> Self:
        """The same geometry with only the views `indices`, in that order."""
        check_indices(indices, len(self.angles_rad))
        return replace(self, angles_rad=tuple(self.angles_rad[index] for index in indices))

    def _forward(self, x: Tensor) -> Tensor:
        matrix, transposed = self._matrices(x)
        return _product(x, matrix, transposed).reshape(x.shape[:-3] + self.range)

    def _adjoint(self, y: Tensor) -> Tensor:
        matrix, transposed = self._matrices(y)
        return _product(y, transposed, matrix).reshape(y.shape[:-3] + self.domain)

    def __getstate__(self) -> dict:
        """The geometry alone: a worker makes its own matrices, which are large."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @cached_property
    def _made(self) -> dict[tuple[torch.dtype, torch.device], tuple[Tensor, Tensor]]:
        return {}

    def _matrices(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """A and A^T, both stored by rows, in the precision and on the device of `like`."""
        key = (like.dtype, like.device)
        if key not in self._made:
            matrix = ray_matrix(self.rays(), self.grid, dtype=NUMPY_TYPE[like.dtype])
            self._made[key] = tuple(_on_device(one, like.device) for one in (matrix, matrix.T.tocsr()))
        return self._made[key]


class _Product(torch.autograd.Function):
    """matrix @ columns, whose derivative is a product with the stored transpose."""

    @staticmethod
    def forward(ctx, columns: Tensor, matrix: Tensor, transposed: Tensor) -> Tensor:
        ctx.matrices = matrix, transposed
        return matrix @ columns

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None]:
        matrix, transposed = ctx.matrices
        return _Product.apply(gradient.contiguous(), transposed, matrix), None, None


def _product(values: Tensor, matrix: Tensor, transposed: Tensor) -> Tensor:
    """matrix times each item of values (*batch, 1, a, b): (items, rows of the matrix)."""
    items = values.reshape(-1, matrix.shape[1])
    parts = items.split(SLICES_AT_ONCE if values.device.type == "cpu" else max(1, len(items)))
    return torch.cat([_Product.apply(part.T.contiguous(), matrix, transposed).T for part in parts])


def _on_device(matrix: csr_array, device: torch.device) -> Tensor:
    """A scipy matrix as a torch one; 32-bit indices, as MKL and cuSPARSE take them."""
    parts = (matrix.indptr.astype(np.int32), matrix.indices.astype(np.int32), matrix.data)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support")
        return torch.sparse_csr_tensor(*map(torch.from_numpy, parts), size=matrix.shape, device=device, check_invariants=True)
