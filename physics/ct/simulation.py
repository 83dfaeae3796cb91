"""Measurements of a phantom on finer pixels than the reconstruction has, so that no solver inverts its own discretisation."""

from dataclasses import replace

import torch
from torch import Tensor

from physics.ct.fan import FanBeam
from physics.ct.grid import Grid
from physics.ct.parallel import ParallelBeam

VIEWS_AT_ONCE = 8  # bounds the memory of the fine matrix, which is used once


def measure_finely(attenuation: Tensor, beam: ParallelBeam | FanBeam, *, fine: int = 2, rays_per_bin: int = 4) -> Tensor:
    """Line integrals of a finer phantom as bins of finite width see them, without noise.

    attenuation    (*batch, 1, fine · row, fine · column)   1/mm, over the same field as the grid of `beam`
    beam           the geometry in which it will be reconstructed
    fine           fine pixels along the edge of one of the grid's; even, so that no centre of one is a centre of the other
    rays_per_bin   rays spread evenly over each bin
    returns        (*batch, 1, view, bin)                   no unit

        p[v, k] = -log( mean over the rays of bin k of  exp(-line integral of the ray) )

    ValueError for an odd `fine`, no ray, or a phantom of another shape.
    """
    if fine < 2 or fine % 2 or rays_per_bin < 1:
        raise ValueError(f"found fine {fine} and rays_per_bin {rays_per_bin}, expected an even number from 2 and at least 1")
    grid = Grid(fine * beam.grid.rows, fine * beam.grid.columns, beam.grid.pixel_mm / fine)
    finer = replace(beam, grid=grid, bins=rays_per_bin * beam.bins, bin_mm=beam.bin_mm / rays_per_bin)
    views = range(len(beam.angles_rad))
    parts = [
        _bins(attenuation, finer.subset(views[first : first + VIEWS_AT_ONCE]), rays_per_bin) for first in views[::VIEWS_AT_ONCE]
    ]
    return torch.cat(parts, dim=-2)


def _bins(attenuation: Tensor, finer: ParallelBeam | FanBeam, rays_per_bin: int) -> Tensor:
    """Minus the logarithm of the mean transmission of each bin."""
    rays = finer.forward(attenuation).unflatten(-1, (-1, rays_per_bin))
    return -torch.log(torch.exp(-rays).mean(dim=-1))
