import json
import math

import numpy as np
import pytest
import torch

from physics.ct.cone import ConeBeam
from physics.ct.fan import FanBeam
from physics.ct.grid import Grid, arc
from physics.solvers.cgls import reconstruct_cgls

TURN = 2 * math.pi


def centred(count, spacing_mm):
    return (torch.arange(count, dtype=torch.float64) - (count - 1) / 2) * spacing_mm


def beam_over(grid, *, slices, slice_mm, views=4, panel=(40, 44), bin_mm=1.5):
    rows, bins = panel
    return ConeBeam(grid, slices, slice_mm, arc(views, start_rad=0.2, length_rad=TURN), rows, bins, bin_mm, 70.0, 100.0)


def random_volume(*shape):
    return torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def shares_of_a_ball(grid, slices, slice_mm, *, centre_mm, radius_mm, fine=3):
    """Share of each voxel that a ball covers, (slice, row, column), by counting fine^3 points."""
    part = (np.arange(fine) + 0.5) / fine - 0.5
    edges = (centred(slices, slice_mm).numpy(), slice_mm), (grid.y_mm, grid.pixel_mm), (grid.x_mm, grid.pixel_mm)
    z, y, x = ((middle[:, None] + part * edge).ravel() for middle, edge in edges)
    squared = (x - centre_mm[0]) ** 2 + (y[:, None] - centre_mm[1]) ** 2 + (z[:, None, None] - centre_mm[2]) ** 2
    inside = (squared < radius_mm**2).reshape(slices, fine, grid.rows, fine, grid.columns, fine)
    return torch.from_numpy(inside.mean(axis=(1, 3, 5)))


def distances_mm(beam, centre_mm):
    """Of each ray from a point, (panel row, view, bin), in closed form."""
    t = torch.tensor(beam.angles_rad, dtype=torch.float64)[None, :, None]
    u, v = centred(beam.bins, beam.bin_mm), centred(beam.panel_rows, beam.bin_mm)[:, None, None]
    across = centre_mm[0] * torch.cos(t) + centre_mm[1] * torch.sin(t)
    depth = beam.source_mm - centre_mm[0] * torch.sin(t) + centre_mm[1] * torch.cos(t)
    # in axes that turn with the panel: point (across, depth, z), ray (u, detector, v)
    dot = across * u + depth * beam.detector_mm + centre_mm[2] * v
    squared = across**2 + depth**2 + centre_mm[2] ** 2 - dot**2 / (u**2 + v**2 + beam.detector_mm**2)
    return squared.clamp(min=0).sqrt()


@pytest.mark.parametrize("shape", [(32, 32, 32), (33, 31, 33)])
def test_line_integrals_of_an_off_centre_ball_are_its_chords(shape):
    slices, rows, columns = shape
    grid, centre_mm, radius_mm = Grid(rows, columns, 1.0), (2.5, -2.0, 1.5), 12.0
    beam = beam_over(grid, slices=slices, slice_mm=1.1)
    seen = beam.forward(shares_of_a_ball(grid, slices, 1.1, centre_mm=centre_mm, radius_mm=radius_mm))
    known = 2 * (radius_mm**2 - distances_mm(beam, centre_mm) ** 2).clamp(min=0).sqrt()
    assert float((seen - known).norm() / known.norm()) < 0.05


@pytest.mark.parametrize("shape", [(32, 32, 32), (33, 31, 35)])
def test_a_small_ball_casts_its_shadow_where_the_formula_says(shape):
    slices, rows, columns = shape
    grid = Grid(rows, columns, 1.0)
    place = slices // 4, rows // 4, 2 * columns // 3
    x = torch.zeros(shape, dtype=torch.float64)
    x[place] = 1.0
    beam = beam_over(grid, slices=slices, slice_mm=1.2, bin_mm=0.8, panel=(75, 79))
    seen = beam.forward(x)
    mass = seen.sum(dim=(0, 2))
    found_u = (seen * centred(79, 0.8)).sum(dim=(0, 2)) / mass
    found_v = (seen * centred(75, 0.8)[:, None, None]).sum(dim=(0, 2)) / mass
    t = torch.tensor(beam.angles_rad, dtype=torch.float64)
    x_mm, y_mm, z_mm = place[2] - (columns - 1) / 2, (rows - 1) / 2 - place[1], 1.2 * (place[0] - (slices - 1) / 2)
    zoom = 100.0 / (70.0 - x_mm * torch.sin(t) + y_mm * torch.cos(t))
    assert float((found_u - zoom * (x_mm * torch.cos(t) + y_mm * torch.sin(t))).abs().max()) < 0.15
    assert float((found_v - zoom * z_mm).abs().max()) < 0.15


def test_the_middle_row_of_a_tall_prism_is_a_fan():
    grid = Grid(30, 31, pixel_mm=1.0)
    y, x = np.meshgrid(grid.y_mm, grid.x_mm, indexing="ij")
    smooth = torch.from_numpy(np.exp(-((x - 3) ** 2 + (y + 2) ** 2) / 32))[None]
    cone = beam_over(grid, slices=5, slice_mm=4.0, panel=(1, 44))
    fan = FanBeam(grid, cone.angles_rad, 44, 1.5, 70.0, 100.0)
    seen, known = cone.forward(smooth.expand(5, -1, -1).contiguous())[0], fan.forward(smooth)[0]
    assert float((seen - known).norm() / known.norm()) < 0.01


def test_turning_the_volume_by_a_right_angle_shifts_the_views():
    beam, x = beam_over(Grid(11, 11, 1.0), slices=6, slice_mm=1.3, panel=(9, 13)), random_volume(6, 11, 11)
    turned = beam.forward(torch.rot90(x, 1, dims=(-2, -1)))
    torch.testing.assert_close(turned.roll(-1, dims=-2), beam.forward(x), rtol=1e-10, atol=1e-10)


def test_turning_the_volume_upside_down_mirrors_the_panel():
    beam, x = beam_over(Grid(11, 10, 1.0), slices=6, slice_mm=1.3, panel=(9, 13)), random_volume(6, 11, 10)
    torch.testing.assert_close(beam.forward(x.flip(0)), beam.forward(x).flip(0), rtol=1e-10, atol=1e-10)


def test_a_subset_of_views_measures_the_same_rows():
    beam, x = beam_over(Grid(11, 10, 1.0), slices=6, slice_mm=1.3, panel=(9, 13)), random_volume(6, 11, 10)
    torch.testing.assert_close(beam.subset((3, 1)).forward(x), beam.forward(x)[:, [3, 1]], rtol=0, atol=0)


def test_conjugate_gradients_recover_a_small_volume_from_a_cone():
    beam = beam_over(Grid(8, 8, 2.0), slices=6, slice_mm=2.0, views=12, panel=(14, 16), bin_mm=1.9)
    x = random_volume(6, 8, 8)
    found = reconstruct_cgls(beam, beam.forward(x), iterations=40)
    assert float((found - x).norm() / x.norm()) < 0.05


def test_a_description_holds_the_geometry():
    told = json.loads(json.dumps(beam_over(Grid(8, 9, 2.0), slices=6, slice_mm=2.5).describe()))
    assert told["operator"] == "ConeBeam" and told["slices"] == 6 and told["grid"]["columns"] == 9 and told["slice_mm"] == 2.5


def test_impossible_geometries_are_refused():
    with pytest.raises(ValueError, match=r"found 0 slices of 1\.0 mm and 40 panel_rows"):
        beam_over(Grid(8, 8, 1.0), slices=0, slice_mm=1.0)
    with pytest.raises(ValueError, match=r"expected 141\.421 \(the circle around the pixels\)"):
        beam_over(Grid(200, 200, 1.0), slices=3, slice_mm=1.0)
    with pytest.raises(ValueError, match="found shape"):
        beam_over(Grid(8, 8, 1.0), slices=3, slice_mm=1.0).forward(torch.zeros(3, 8, 9))
