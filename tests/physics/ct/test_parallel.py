import math
from copy import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from skimage.transform import radon

from physics.ct.grid import Grid, arc
from physics.ct.parallel import ParallelBeam


def disc(grid, *, radius_mm, centre_mm=(0.0, 0.0), fine=8):
    """Share of each pixel that a disc covers, (1, row, column), by counting fine² points."""
    part = (np.arange(fine) + 0.5) / fine - 0.5
    x = (grid.x_mm[:, None] + part * grid.pixel_mm).ravel() - centre_mm[0]
    y = (grid.y_mm[:, None] + part * grid.pixel_mm).ravel() - centre_mm[1]
    inside = (x[None, :] ** 2 + y[:, None] ** 2 < radius_mm**2).reshape(grid.rows, fine, grid.columns, fine)
    return torch.from_numpy(inside.mean(axis=(1, 3)))[None]


def beam_over(grid, *, views, bin_mm):
    bins = math.ceil(2 * grid.radius_mm / bin_mm)
    return ParallelBeam(grid, angles_rad=arc(views, start_rad=0.07), bins=bins, bin_mm=bin_mm)


def offsets_mm(beam):
    return (torch.arange(beam.bins, dtype=torch.float64) - (beam.bins - 1) / 2) * beam.bin_mm


def disc_error(size, *, rays_per_bin):
    """Relative error of the line integrals of a disc, averaged over the rays of each bin."""
    grid, radius_mm = Grid(size, size, pixel_mm=0.9), 0.9 * 80 / 256 * size
    beam = beam_over(grid, views=12, bin_mm=0.9 / rays_per_bin)
    beam = replace(beam, bins=beam.bins // rays_per_bin * rays_per_bin)
    chord_mm = 2 * torch.sqrt((radius_mm**2 - offsets_mm(beam) ** 2).clamp(min=0)).expand(1, 12, -1)
    seen, known = (
        values.reshape(12, -1, rays_per_bin).mean(dim=-1) for values in (beam.forward(disc(grid, radius_mm=radius_mm)), chord_mm)
    )
    return float((seen - known).norm() / known.norm())


@pytest.mark.parametrize("size", [256, 257])
def test_line_integrals_of_a_disc_are_its_chords_within_seven_per_mille(size):
    assert disc_error(size, rays_per_bin=1) < 0.007


@pytest.mark.parametrize("size", [256, 257])
def test_line_integrals_of_a_turned_off_centre_ellipse_are_its_chords(size):
    grid, (a_mm, b_mm), centre_mm, tilt_rad = Grid(size, size, pixel_mm=0.9), (80.0, 50.0), (13.0, -21.0), 0.4
    fine = Grid(4 * size, 4 * size, pixel_mm=0.225)
    x, y = fine.x_mm[None, :] - centre_mm[0], fine.y_mm[:, None] - centre_mm[1]
    along, across = x * math.cos(tilt_rad) + y * math.sin(tilt_rad), y * math.cos(tilt_rad) - x * math.sin(tilt_rad)
    inside = (along / a_mm) ** 2 + (across / b_mm) ** 2 < 1
    ellipse = torch.from_numpy(inside.reshape(size, 4, size, 4).mean(axis=(1, 3)))[None]
    beam = beam_over(grid, views=12, bin_mm=0.9)
    angle = torch.tensor(beam.angles_rad, dtype=torch.float64)[:, None]
    width = (a_mm * torch.cos(angle - tilt_rad)) ** 2 + (b_mm * torch.sin(angle - tilt_rad)) ** 2
    s_mm = offsets_mm(beam) - centre_mm[0] * torch.cos(angle) - centre_mm[1] * torch.sin(angle)
    known = (2 * a_mm * b_mm * (width - s_mm**2).clamp(min=0).sqrt() / width)[None]
    assert float((beam.forward(ellipse) - known).norm() / known.norm()) < 0.01


@pytest.mark.parametrize("size", [128, 129])
def test_bins_of_finite_width_see_a_disc_of_128_pixels_within_seven_per_mille(size):
    assert disc_error(size, rays_per_bin=4) < 0.007


@pytest.mark.parametrize("shape", [(64, 64), (65, 65), (64, 65), (128, 128), (256, 256), (257, 257)])
def test_an_off_centre_pixel_is_seen_where_the_formula_says_at_even_and_odd_sizes(shape):
    grid = Grid(*shape, pixel_mm=0.7)
    row, column = shape[0] // 4, 2 * shape[1] // 3
    x = torch.zeros((1, *shape), dtype=torch.float64)
    x[0, row, column] = 1.0
    beam = beam_over(grid, views=36, bin_mm=0.35)
    seen = beam.forward(x)[0]
    found_mm = (seen * offsets_mm(beam)).sum(dim=1) / seen.sum(dim=1)
    angle = torch.tensor(beam.angles_rad, dtype=torch.float64)
    x_mm, y_mm = 0.7 * (column - (shape[1] - 1) / 2), 0.7 * ((shape[0] - 1) / 2 - row)
    expected_mm = x_mm * torch.cos(angle) + y_mm * torch.sin(angle)
    assert float((found_mm - expected_mm).abs().max()) < 0.15 * 0.7


def test_every_view_sees_the_same_mass():
    grid = Grid(128, 128, pixel_mm=0.7)
    x = disc(grid, radius_mm=20.0, centre_mm=(7.0, -11.0))
    beam = beam_over(grid, views=24, bin_mm=0.35)
    mass = beam.forward(x).sum(dim=-1) * 0.35
    torch.testing.assert_close(mass, torch.full_like(mass, float(x.sum()) * 0.7**2), rtol=2e-3, atol=0)


def test_a_view_along_the_columns_sums_them_times_the_pixel_in_mm():
    grid = Grid(5, 4, pixel_mm=0.5)
    x = torch.rand((1, 5, 4), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    down = ParallelBeam(grid, angles_rad=(0.0,), bins=4, bin_mm=0.5)
    across = ParallelBeam(grid, angles_rad=(math.pi / 2,), bins=5, bin_mm=0.5)
    torch.testing.assert_close(down.forward(x)[0, 0], 0.5 * x[0].sum(dim=0), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(across.forward(x)[0, 0], 0.5 * x[0].sum(dim=1).flip(0), rtol=1e-12, atol=1e-12)


def test_turning_the_image_by_a_right_angle_shifts_the_views():
    grid = Grid(31, 31, pixel_mm=0.7)
    x = torch.rand((1, 31, 31), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    angles_rad = (0.2, 0.2 + math.pi / 2)
    beam = ParallelBeam(grid, angles_rad, bins=45, bin_mm=0.7)
    turned = torch.rot90(x, 1, dims=(1, 2))
    torch.testing.assert_close(beam.forward(turned)[:, 1], beam.forward(x)[:, 0], rtol=1e-10, atol=1e-10)


def test_centimetres_and_millimetres_give_the_same_line_integrals():
    x = disc(Grid(32, 32, pixel_mm=1.0), radius_mm=9.0)
    in_mm = ParallelBeam(Grid(32, 32, pixel_mm=1.0), arc(6), bins=47, bin_mm=1.0).forward(0.02 * x)
    in_cm = ParallelBeam(Grid(32, 32, pixel_mm=0.1), arc(6), bins=47, bin_mm=0.1).forward(0.2 * x)
    torch.testing.assert_close(in_cm, in_mm, rtol=1e-12, atol=1e-14)


def test_line_integrals_equal_those_of_scikit_image_within_one_per_cent():
    grid = Grid(101, 101, pixel_mm=1.0)
    x = disc(grid, radius_mm=20.0, centre_mm=(13.0, -9.0)) + disc(grid, radius_mm=35.0)
    beam = ParallelBeam(grid, arc(15), bins=101, bin_mm=1.0)
    theirs = radon(x[0].numpy(), theta=np.degrees(beam.angles_rad), circle=True).T
    assert np.linalg.norm(beam.forward(x)[0].numpy() - theirs) / np.linalg.norm(theirs) < 0.01


def test_the_norm_of_unit_pixels_follows_the_number_of_views_and_pixels():
    beam = ParallelBeam(Grid(64, 64, pixel_mm=1.0), arc(30), bins=91, bin_mm=1.0)
    assert beam.norm**2 == pytest.approx(0.97 * 30 * 64, rel=0.03)


def test_a_copy_for_a_worker_carries_the_geometry_and_no_matrix():
    beam = ParallelBeam(Grid(32, 32, pixel_mm=1.0), arc(6), bins=47, bin_mm=1.0)
    x = torch.rand((1, 32, 32), generator=torch.Generator().manual_seed(0))
    seen = beam.forward(x)
    sent = copy(beam)
    assert set(vars(sent)) == {"grid", "angles_rad", "bins", "bin_mm"}
    assert torch.equal(sent.forward(x), seen)


def test_angles_in_degrees_and_empty_geometries_are_refused():
    grid = Grid(8, 8, pixel_mm=1.0)
    with pytest.raises(ValueError, match=r"found 179, expected at most 4 pi. Convert degrees with math\.radians"):
        ParallelBeam(grid, angles_rad=(0.0, 179.0), bins=11, bin_mm=1.0)
    with pytest.raises(ValueError, match="found 0 angles"):
        ParallelBeam(grid, angles_rad=(), bins=11, bin_mm=1.0)
    with pytest.raises(ValueError, match="found 0 bins"):
        ParallelBeam(grid, angles_rad=(0.0,), bins=0, bin_mm=1.0)
    with pytest.raises(ValueError, match=r"pixels of -1\.0 mm"):
        Grid(8, 8, pixel_mm=-1.0)


def test_more_lengths_than_indices_can_name_are_refused_before_they_fill_the_memory(monkeypatch):
    monkeypatch.setattr("physics.ct.rays.LARGEST_COUNT", 1000)
    beam = ParallelBeam(Grid(32, 32, pixel_mm=1.0), arc(6), bins=47, bin_mm=1.0)
    with pytest.raises(ValueError, match=r"expected fewer than 2\^31\. Split the views with subset"):
        beam.forward(torch.zeros(1, 32, 32))
