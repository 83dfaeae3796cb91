import math

import numpy as np
import pytest
import torch

from physics.ct.fan import FanBeam
from physics.ct.grid import Grid, arc
from physics.ct.parallel import ParallelBeam

SOURCE_MM, DETECTOR_MM = 300.0, 520.0


def fan_over(grid, *, views, bins, bin_mm):
    return FanBeam(grid, arc(views, start_rad=0.07, length_rad=2 * math.pi), bins, bin_mm, SOURCE_MM, DETECTOR_MM)


def disc(grid, radius_mm, fine=8):
    """Share of each pixel that a centred disc covers, (1, row, column), by counting fine² points."""
    part = ((np.arange(fine) + 0.5) / fine - 0.5) * grid.pixel_mm
    x, y = (grid.x_mm[:, None] + part).ravel(), (grid.y_mm[:, None] + part).ravel()
    inside = (x[None, :] ** 2 + y[:, None] ** 2 < radius_mm**2).reshape(grid.rows, fine, grid.columns, fine)
    return torch.from_numpy(inside.mean(axis=(1, 3)))[None]


def disc_error(size, *, rays_per_bin):
    """Relative error of the line integrals of a disc, averaged over the rays of each bin."""
    grid = Grid(size, size, pixel_mm=200.0 / size)
    bins = size * rays_per_bin
    beam = fan_over(grid, views=12, bins=bins, bin_mm=400.0 / bins)
    along_mm = (torch.arange(bins, dtype=torch.float64) - (bins - 1) / 2) * beam.bin_mm
    distance_mm = SOURCE_MM * along_mm / torch.sqrt(DETECTOR_MM**2 + along_mm**2)
    chord_mm = 2 * torch.sqrt((62.5**2 - distance_mm**2).clamp(min=0)).expand(1, 12, -1)
    seen, known = (values.reshape(12, -1, rays_per_bin).mean(dim=-1) for values in (beam.forward(disc(grid, 62.5)), chord_mm))
    return float((seen - known).norm() / known.norm())


@pytest.mark.parametrize("size", [256, 257])
def test_line_integrals_of_a_disc_are_its_chords_within_seven_per_mille(size):
    assert disc_error(size, rays_per_bin=1) < 0.007


@pytest.mark.parametrize("size", [128, 129])
def test_bins_of_finite_width_see_a_disc_of_128_pixels_within_seven_per_mille(size):
    assert disc_error(size, rays_per_bin=4) < 0.007


@pytest.mark.parametrize("shape", [(64, 64), (65, 65), (64, 65), (128, 128)])
def test_an_off_centre_pixel_casts_its_shadow_where_the_source_projects_it(shape):
    grid = Grid(*shape, pixel_mm=1.4)
    row, column = shape[0] // 4, 2 * shape[1] // 3
    x = torch.zeros((1, *shape), dtype=torch.float64)
    x[0, row, column] = 1.0
    beam = fan_over(grid, views=36, bins=501, bin_mm=0.9)
    along_mm = (torch.arange(501, dtype=torch.float64) - 250) * 0.9
    seen = beam.forward(x)[0]
    found_mm = (seen * along_mm).sum(dim=1) / seen.sum(dim=1)
    t = torch.tensor(beam.angles_rad, dtype=torch.float64)
    px, py = 1.4 * (column - (shape[1] - 1) / 2), 1.4 * ((shape[0] - 1) / 2 - row)
    magnification = DETECTOR_MM / (SOURCE_MM - px * torch.sin(t) + py * torch.cos(t))
    expected_mm = (px * torch.cos(t) + py * torch.sin(t)) * magnification
    assert float(((found_mm - expected_mm) / magnification).abs().max()) < 0.15 * 1.4


def test_a_source_far_away_sees_what_a_parallel_beam_sees():
    grid = Grid(40, 37, pixel_mm=0.8)
    x = torch.rand((1, 40, 37), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    parallel = ParallelBeam(grid, arc(9, start_rad=0.1), bins=61, bin_mm=0.9)
    fan = FanBeam(grid, parallel.angles_rad, bins=61, bin_mm=0.9, source_mm=1e9, detector_mm=1e9)
    torch.testing.assert_close(fan.forward(x), parallel.forward(x), rtol=1e-5, atol=1e-5)


def test_rays_are_as_far_apart_at_the_axis_as_similar_triangles_say():
    beam = fan_over(Grid(8, 8, pixel_mm=1.0), views=2, bins=9, bin_mm=2.6)
    assert beam.axis_bin_mm == pytest.approx(1.5)


@pytest.mark.parametrize(("source_mm", "detector_mm"), [(5.0, 80.0), (50.0, 30.0), (50.0, math.inf)])
def test_a_source_inside_the_object_or_a_detector_before_the_axis_is_refused(source_mm, detector_mm):
    with pytest.raises(ValueError, match="If detector_mm was measured from the axis, add source_mm"):
        FanBeam(Grid(8, 8, pixel_mm=1.0), (0.0,), bins=9, bin_mm=1.0, source_mm=source_mm, detector_mm=detector_mm)
