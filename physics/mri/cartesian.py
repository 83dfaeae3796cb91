"""k-space of coils on the Cartesian grid, where a mask says which samples are measured."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from physics.mri.coils import check_maps, combined, seen_by
from physics.mri.fourier import filter_kspace, to_image, to_kspace
from physics.operator import Composed, LinearOperator, Rows, check_indices


@dataclass(frozen=True, eq=False)
class CartesianMRI(LinearOperator):
    """Measured samples of the orthonormal centred k-space of each coil; zeros elsewhere. |A| <= 1.

    mask   (row, column)                  True or 1 where a sample is measured; columns are phase-encoding lines
    maps   (coil, row, column)            sensitivities, complex, sum |S|^2 at most 1: the same for every image of a batch, or
           (slice, coil, row, column)     one set for each slice; one image is then the whole stack (slice, row, column)

        (A x)_c = mask F(S_c x),    A^H y = sum over c of  conj(S_c) F^-1(mask y_c)          (Pruessmann 1999)

    ValueError for a mask that is not binary, empty or of another size, and for maps that are zero or not normalised.
    """

    mask: Tensor
    maps: Tensor

    is_complex = True
    measurement_axis = -1

    def __post_init__(self):
        check_maps(self.maps)
        check_mask(self.mask, tuple(self.maps.shape[-2:]))

    @property
    def domain(self) -> tuple[int, ...]:
        return (*self.maps.shape[:-3], *self.maps.shape[-2:])

    @property
    def range(self) -> tuple[int, ...]:
        return tuple(self.maps.shape)

    def subset(self, indices: Sequence[int]) -> LinearOperator:
        """The operator that measures only these columns of k-space, in that order."""
        check_indices(indices, self.range[-1])
        kept = torch.zeros(self.range[-1], dtype=torch.bool, device=self.mask.device)
        kept[list(indices)] = True
        return Lines(Rows(self.range, -1, tuple(indices), is_complex=True), replace(self, mask=self._measured & kept))

    def describe(self) -> dict[str, Any]:
        """Sizes and sampling as what JSON can hold."""
        count = int(self._measured.sum())
        rows, columns = self.range[-2:]
        facts = {"rows": rows, "columns": columns, "coils": self.range[-3], "samples": count}
        return {"operator": type(self).__name__, **facts, "acceleration": rows * columns / count}

    @cached_property
    def _measured(self) -> Tensor:
        return self.mask.to(torch.bool)

    def _forward(self, x: Tensor) -> Tensor:
        return self._measured.to(x.device) * to_kspace(seen_by(self.maps, x))

    def _adjoint(self, y: Tensor) -> Tensor:
        return combined(self.maps, to_image(self._measured.to(y.device) * y))

    def _normal(self, x: Tensor) -> Tensor:
        return combined(self.maps, filter_kspace(seen_by(self.maps, x), self._measured.to(x.device, x.real.dtype)))


@dataclass(frozen=True)
class Lines(Composed):
    """Chosen columns of a Cartesian measurement whose mask has no other columns, so that choosing leaves A^H A as it is."""

    def _normal(self, x: Tensor) -> Tensor:
        return self.inner.normal(x)


def check_mask(mask: Tensor, shape: tuple[int, int]) -> None:
    """ValueError unless a mask is binary (row, column) of this shape; one that measures nothing is refused too."""
    if tuple(mask.shape) != shape:
        raise ValueError(
            f"mask: found shape {tuple(mask.shape)}, expected {shape} (row, column) of the maps. "
            f"Lines are columns: expand a row of them to all rows."
        )
    if not bool(((mask == 0) | (mask == 1)).all()):
        wrong = mask[(mask != 0) & (mask != 1)].flatten()[0].item()
        raise ValueError(f"mask: found the value {wrong}, expected 0 or 1 alone. A density is no mask; draw from it first.")
    if not bool((mask != 0).any()):
        raise ValueError("mask: found no measured sample, expected some. Check which axis and which samples it marks.")
