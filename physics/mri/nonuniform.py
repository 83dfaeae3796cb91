"""k-space of coils along any trajectory, by non-uniform Fourier transforms."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from physics.mri.coils import check_maps, combined, seen_by
from physics.operator import LinearOperator, check_indices

ACCURACY = 1e-6  # relative, of the transform; its adjoint is exact to rounding


@dataclass(frozen=True, eq=False)
class NonCartesianMRI(LinearOperator):
    """Samples of the k-space of each coil at points that need not lie on a grid.

    trajectory   (spoke, sample, 2)            rad per pixel along rows and columns, within -pi .. pi
    maps         (coil, row, column) or (slice, coil, row, column), as `CartesianMRI` takes them

        (A x)[c, s, k] = 1 / sqrt(M N)  sum over m, n of  S_c x  exp(-i (m' k_row + n' k_column)),    m' = m - M // 2

    so that points 2 pi u / M, 2 pi v / N give samples of `CartesianMRI`. Computed in double precision on the CPU by FINUFFT
    (Barnett 2019); images and samples keep their device and precision. |A| may exceed 1 where a trajectory is dense.

    ValueError for points outside one period, of another shape or not finite, and for maps that are zero or not normalised.
    """

    trajectory: Tensor
    maps: Tensor

    is_complex = True
    measurement_axis = -2

    def __post_init__(self):
        check_maps(self.maps)
        points = self.trajectory
        if points.ndim != 3 or points.shape[-1] != 2 or 0 in points.shape:
            raise ValueError(
                f"trajectory: found shape {tuple(points.shape)}, expected (spoke, sample, 2). Add an axis of spokes."
            )
        largest = float(points.abs().max())
        if not largest <= math.pi * (1 + 1e-6):
            raise ValueError(
                f"trajectory: found {largest:.4g}, expected rad per pixel within -pi .. pi. "
                f"Cycles per pixel times 2 pi, or cycles per field of view times 2 pi / size."
            )

    @property
    def domain(self) -> tuple[int, ...]:
        return (*self.maps.shape[:-3], *self.maps.shape[-2:])

    @property
    def range(self) -> tuple[int, ...]:
        return (*self.maps.shape[:-2], *self.trajectory.shape[:2])

    def subset(self, indices: Sequence[int]) -> "NonCartesianMRI":
        """The operator that measures only these spokes, in that order."""
        check_indices(indices, len(self.trajectory))
        return replace(self, trajectory=self.trajectory[list(indices)])

    def describe(self) -> dict[str, Any]:
        """Sizes as what JSON can hold."""
        rows, columns = self.domain[-2:]
        facts = {"rows": rows, "columns": columns, "coils": self.range[-3], "accuracy": ACCURACY}
        return {"operator": type(self).__name__, "spokes": self.range[-2], "samples_per_spoke": self.range[-1], **facts}

    def _forward(self, x: Tensor) -> Tensor:
        return _ToSamples.apply(seen_by(self.maps, x), self.trajectory)

    def _adjoint(self, y: Tensor) -> Tensor:
        return combined(self.maps, _ToImages.apply(y, self.trajectory, tuple(self.domain[-2:])))


class _ToSamples(torch.autograd.Function):
    """Images (*batch, row, column) -> samples (*batch, spoke, sample); its gradient is `_ToImages`."""

    @staticmethod
    def forward(context, images: Tensor, trajectory: Tensor) -> Tensor:
        context.trajectory, context.shape = trajectory, tuple(images.shape[-2:])
        return _transform(images, trajectory, context.shape, is_forward=True)

    @staticmethod
    def backward(context, gradient: Tensor):
        return _ToImages.apply(gradient, context.trajectory, context.shape), None


class _ToImages(torch.autograd.Function):
    """Samples (*batch, spoke, sample) -> images (*batch, row, column); its gradient is `_ToSamples`."""

    @staticmethod
    def forward(context, samples: Tensor, trajectory: Tensor, shape: tuple[int, int]) -> Tensor:
        context.trajectory = trajectory
        return _transform(samples, trajectory, shape, is_forward=False)

    @staticmethod
    def backward(context, gradient: Tensor):
        return _ToSamples.apply(gradient, context.trajectory), None, None


def _transform(values: Tensor, trajectory: Tensor, shape: tuple[int, int], *, is_forward: bool) -> Tensor:
    """The transform of every item of a batch at once, orthonormal in scale."""
    import finufft  # loads its own FFT library

    rows, columns = (np.ascontiguousarray(trajectory[..., axis].reshape(-1).cpu().numpy(), dtype=np.float64) for axis in (0, 1))
    items = values.detach().to("cpu", torch.complex128)
    options = {"eps": ACCURACY, "nthreads": torch.get_num_threads()}
    if is_forward:
        out = finufft.nufft2d2(rows, columns, items.reshape(-1, *shape).numpy(), isign=-1, **options)
        out = out.reshape(*values.shape[:-2], *trajectory.shape[:2])
    else:
        out = finufft.nufft2d1(rows, columns, items.reshape(-1, len(rows)).numpy(), shape, isign=1, **options)
        out = out.reshape(*values.shape[:-2], *shape)
    return torch.from_numpy(out / math.sqrt(math.prod(shape))).to(values)
