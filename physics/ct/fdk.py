"""Filtered back-projection of a full turn of cone-beam views: exact in the plane of the source, close to it elsewhere."""

import math

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from physics.ct.backprojection import EQUAL, equal_steps
from physics.ct.cone import ConeBeam
from physics.ct.grid import centred
from physics.ct.ramp import filter_rows


def reconstruct_cone(projections: Tensor, beam: ConeBeam, *, window: str = "ram-lak", cutoff: float = 1.0) -> Tensor:
    """Attenuation by the filtered back-projection of Feldkamp, Davis and Kress.

    projections   (*batch, panel row, view, bin)   line integrals, no unit
    beam          equal steps along a full turn
    window        of the ramp, a name of `ramp.WINDOWS`; with `cutoff`, the share of frequencies kept
    returns       (*batch, slice, row, column)     1/mm

        x(r) = 1/2 sum over views of  step / U^2 · q_t(u, v),   q = (p · source / sqrt(source^2 + u^2 + v^2)) * ramp along u
        U = (source - x sin t + y cos t) / source,   u = (x cos t + y sin t) / U,   v = z / U,   on the panel moved to the axis

    (Feldkamp et al. 1984, eq. 28); q is linear between bins and 0 beyond the panel. ValueError for another shape, unequal
    steps, or less than a full turn.
    """
    if tuple(projections.shape[-3:]) != beam.range:
        raise ValueError(
            f"projections: found shape {tuple(projections.shape)}, expected (*batch, {', '.join(map(str, beam.range))}). "
            f"Swap its axes, or build the geometry that measured it."
        )
    step, length = equal_steps(beam.angles_rad)
    if not math.isclose(length, 2 * math.pi, rel_tol=EQUAL):
        raise ValueError(
            f"angles_rad: found an arc of {math.degrees(length):.1f} degrees, expected 360 for a cone. Solve by iteration."
        )
    u = torch.as_tensor(centred(beam.bins, beam.axis_bin_mm)).to(projections)
    v = torch.as_tensor(centred(beam.panel_rows, beam.axis_bin_mm)).to(projections)[:, None, None]
    slant = beam.source_mm / torch.sqrt(beam.source_mm**2 + u**2 + v**2)
    filtered = filter_rows(projections * slant, beam.axis_bin_mm, window=window, cutoff=cutoff) * (step / 2)
    panels = filtered.reshape(-1, *beam.range)
    image = projections.new_zeros((len(panels), *beam.domain))
    for view, angle in enumerate(beam.angles_rad):
        image += _back_projected(panels[:, :, view], beam, angle)
    return image.reshape(projections.shape[:-3] + beam.domain)


def _back_projected(panels: Tensor, beam: ConeBeam, angle: float) -> Tensor:
    """1 / U^2 times the filtered view (item, panel row, bin) where the ray through each voxel meets the panel."""
    z, y, x = (
        torch.as_tensor(places).to(panels) for places in (centred(beam.slices, beam.slice_mm), beam.grid.y_mm, beam.grid.x_mm)
    )
    y = y[:, None]
    depth = (beam.source_mm - x * math.sin(angle) + y * math.cos(angle)) / beam.source_mm
    across = (x * math.cos(angle) + y * math.sin(angle)) / depth / (0.5 * beam.bins * beam.axis_bin_mm)
    along = z[:, None, None] / depth / (0.5 * beam.panel_rows * beam.axis_bin_mm)
    places = torch.stack([across.expand_as(along), along], dim=-1).reshape(1, beam.slices * beam.grid.rows, -1, 2)
    seen = grid_sample(panels[:, None], places.expand(len(panels), -1, -1, -1), padding_mode="zeros", align_corners=False)
    return seen.reshape(-1, *beam.domain) * depth**-2
