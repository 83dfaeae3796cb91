"""Sectors and their pictures: the geometry, and what lies outside."""

import math

import pytest
import torch

from physics.ultrasound.polar import PolarGrid
from physics.ultrasound.scan_conversion import CartesianGrid, ScanConversion, SectorSampling, scan_convert

SECTOR = PolarGrid(0.01, 0.5e-3, 120, -0.5, 0.02, 61)  # -0.5 to 0.7 rad: not symmetric


def test_the_grid_around_a_sector_holds_all_of_it():
    pictures = CartesianGrid.around(SECTOR, rows=90)
    x, z = SECTOR.points_m()
    px, pz = pictures.points_m()
    assert float(px.min()) <= float(x.min()) and float(px.max()) >= float(x.max()) - 1e-12
    assert float(pz.min()) == pytest.approx(float(z.min())) and float(pz.max()) == pytest.approx(float(z.max()))


def test_positive_angles_lie_at_positive_x():
    scan = torch.zeros(120, 61, dtype=torch.float64)
    scan[60:63, 49:52] = 1  # 0.5 rad
    pictures = CartesianGrid.around(SECTOR, rows=300)
    picture = ScanConversion(SECTOR, pictures).forward(scan)
    x, z = pictures.points_m()
    assert float((x * picture).sum() / picture.sum()) == pytest.approx(0.0405 * math.sin(0.5), abs=2e-4)
    assert float((z * picture).sum() / picture.sum()) == pytest.approx(0.0405 * math.cos(0.5), abs=2e-4)


def test_pixels_outside_the_sector_are_not_numbers():
    pictures = CartesianGrid.around(SECTOR, rows=60)
    picture = scan_convert(torch.ones(2, 120, 61), SECTOR, pictures=pictures)
    x, z = pictures.points_m()
    r, angle = torch.hypot(x, z), torch.atan2(x, z)
    clear = 1e-6
    inside = (r > 0.01 + clear) & (r < 0.0695 - clear) & (angle > -0.5 + clear) & (angle < 0.7 - clear)
    outside = (r < 0.01 - clear) | (r > 0.0695 + clear) | (angle < -0.5 - clear) | (angle > 0.7 + clear)
    assert bool((picture[:, inside] - 1).abs().max() < 1e-6) and bool(picture[:, outside].isnan().all())


def test_a_smooth_scan_survives_the_way_to_its_picture_and_back():
    r, angle = SECTOR.range_m()[:, None], SECTOR.angle_rad()
    scan = torch.sin(300 * r) * torch.cos(6 * angle)
    pictures = CartesianGrid.around(SECTOR, rows=600)
    there = ScanConversion(SECTOR, pictures)
    back = SectorSampling(pictures, SECTOR).forward(there.forward(scan))
    error = (back - scan)[6:-6, 3:-3].abs().max()
    assert float(error) < 0.01


def test_a_grid_without_steps_is_refused():
    with pytest.raises(ValueError, match="steps above 0"):
        PolarGrid(0.01, 0.0, 10, 0.0, 0.1, 10)


def test_margins_and_finer_ranges_keep_the_samples_where_they_are():
    wide = SECTOR.grown(3, 2)
    assert torch.allclose(wide.range_m()[3:-3], SECTOR.range_m()) and torch.allclose(wide.angle_rad()[2:-2], SECTOR.angle_rad())
    assert torch.allclose(SECTOR.finer(4).range_m()[::4], SECTOR.range_m())
