"""Cone beam: a point turns around a volume and looks at a flat panel; samples along each ray, and the transpose of that code."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from physics.ct.grid import Grid, centred, check_detector
from physics.operator import LinearOperator, check_indices

STEP = 0.5  # distance of samples along a ray, as a share of the smallest edge of a voxel


@dataclass(frozen=True)
class ConeBeam(LinearOperator):
    """Line integrals along rays from a source on a circle to a flat panel, of a whole volume.

    grid          pixels of a slice
    slices        of the volume; its middle lies in the plane of the source
    slice_mm      distance of slices; slice k is at z = (k - (slices - 1)/2) slice_mm
    angles_rad    of the views, counter-clockwise; `grid.arc(views, length_rad=2 * math.pi)` makes a full turn
    panel_rows    bins of the panel along z, row 0 at the smallest z
    bins          of the panel across
    bin_mm        edge of a square bin, mm
    source_mm     from the source to the axis of rotation, mm
    detector_mm   from the source to the panel, mm

        forward   attenuation (*batch, slice, row, column) in 1/mm  ->  line integrals (*batch, panel row, view, bin), no unit
        source    source_mm (sin t, -cos t, 0)
        bin       (detector_mm - source_mm) (-sin t, cos t, 0) + (u cos t, u sin t, v)

    A ray is sampled at equal steps, trilinearly between voxels and 0 outside of them; the adjoint is the vector-Jacobian
    product of that very code, so <A x, p> = <x, A^T p> to rounding. One view of one volume is in memory at a time.
    ValueError for what fans refuse, no slice, no row, or a distance that is not positive.
    """

    grid: Grid
    slices: int
    slice_mm: float
    angles_rad: tuple[float, ...]
    panel_rows: int
    bins: int
    bin_mm: float
    source_mm: float
    detector_mm: float

    def __post_init__(self):
        check_detector(self.angles_rad, self.bins, self.bin_mm)
        if min(self.slices, self.panel_rows) < 1 or not 0 < self.slice_mm < math.inf:
            raise ValueError(
                f"found {self.slices} slices of {self.slice_mm} mm and {self.panel_rows} panel_rows, "
                f"expected at least one of each and a positive, finite distance in mm"
            )
        if not self.grid.radius_mm < self.source_mm <= self.detector_mm < math.inf:
            raise ValueError(
                f"found source_mm {self.source_mm:g} and detector_mm {self.detector_mm:g}, expected "
                f"{self.grid.radius_mm:g} (the circle around the pixels) < source_mm <= detector_mm, both from the source. "
                f"If detector_mm was measured from the axis, add source_mm to it."
            )

    @property
    def domain(self) -> tuple[int, ...]:
        return self.slices, self.grid.rows, self.grid.columns

    @property
    def range(self) -> tuple[int, ...]:
        return self.panel_rows, len(self.angles_rad), self.bins

    @property
    def axis_bin_mm(self) -> float:
        """Distance between rays where they pass the axis of rotation, mm."""
        return self.bin_mm * self.source_mm / self.detector_mm

    def subset(self, indices: Sequence[int]) -> Self:
        """The same geometry with only the views `indices`, in that order."""
        check_indices(indices, len(self.angles_rad))
        return replace(self, angles_rad=tuple(self.angles_rad[index] for index in indices))

    def _forward(self, x: Tensor) -> Tensor:
        volumes = x.reshape(-1, 1, *self.domain)
        views = [torch.stack([_View.apply(volume, self, angle) for volume in volumes]) for angle in self.angles_rad]
        return torch.stack(views, dim=-2).reshape(x.shape[:-3] + self.range)

    def _adjoint(self, y: Tensor) -> Tensor:
        panels = y.reshape(-1, *self.range)
        parts = [sum(_Spread.apply(p[:, v], self, angle) for v, angle in enumerate(self.angles_rad)) for p in panels]
        return torch.stack(parts).reshape(y.shape[:-3] + self.domain)

    def places(self, angle: float, like: Tensor) -> tuple[Tensor, Tensor]:
        """Samples of all rays of a view as `grid_sample` takes them, (panel row, bin, sample, 3), and their distance, mm.

        The distance (panel row, bin) is along the ray; samples lie in the shell around the volume, at equal depths.
        """
        depths, step = self._depths
        sine, cosine = math.sin(angle), math.cos(angle)
        u = torch.as_tensor(centred(self.bins, self.bin_mm))[None, :, None] / self.detector_mm
        v = torch.as_tensor(centred(self.panel_rows, self.bin_mm))[:, None, None] / self.detector_mm
        along = depths - self.source_mm
        x = (-sine * along + cosine * u * depths) / (0.5 * self.grid.columns * self.grid.pixel_mm)
        y = (cosine * along + sine * u * depths) / (0.5 * self.grid.rows * self.grid.pixel_mm)
        z = v * depths / (0.5 * self.slices * self.slice_mm)
        shape = (self.panel_rows, self.bins, len(depths))
        points = torch.stack([x.expand(shape), -y.expand(shape), z.expand(shape)], dim=-1)
        return points.to(like), (step * torch.sqrt(1 + u**2 + v**2))[..., 0].to(like)

    @cached_property
    def _depths(self) -> tuple[Tensor, float]:
        """Distances of the samples from the source, measured along the central ray, and the step between them, mm."""
        reach_mm = self.grid.radius_mm + self.grid.pixel_mm
        count = math.ceil(2 * reach_mm / (STEP * min(self.grid.pixel_mm, self.slice_mm)))
        step = 2 * reach_mm / count
        return self.source_mm + torch.as_tensor(centred(count, step)), step


def _panel(volume: Tensor, beam: ConeBeam, angle: float) -> Tensor:
    """Line integrals (panel row, bin) of one view of a volume (1, slice, row, column)."""
    points, length_mm = beam.places(angle, volume)
    samples = grid_sample(volume[None], points[None], mode="bilinear", padding_mode="zeros", align_corners=False)
    return samples[0, 0].sum(dim=-1) * length_mm


def _volume(panel: Tensor, beam: ConeBeam, angle: float) -> Tensor:
    """The transpose of `_panel`: (slice, row, column)."""
    with torch.enable_grad():
        empty = panel.new_zeros((1, *beam.domain)).requires_grad_()
        (back,) = torch.autograd.grad(_panel(empty, beam, angle), empty, panel)
    return back[0]


class _View(torch.autograd.Function):
    """`_panel`, whose derivative is `_volume`: nothing of a view is kept for it."""

    @staticmethod
    def forward(ctx, volume: Tensor, beam: ConeBeam, angle: float) -> Tensor:
        ctx.beam, ctx.angle = beam, angle
        return _panel(volume, beam, angle)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None]:
        return _Spread.apply(gradient, ctx.beam, ctx.angle)[None], None, None


class _Spread(torch.autograd.Function):
    """`_volume`, whose derivative is `_panel`."""

    @staticmethod
    def forward(ctx, panel: Tensor, beam: ConeBeam, angle: float) -> Tensor:
        ctx.beam, ctx.angle = beam, angle
        return _volume(panel, beam, angle)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None]:
        return _View.apply(gradient[None], ctx.beam, ctx.angle), None, None
