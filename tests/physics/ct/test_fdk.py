import math

import pytest
import torch

from physics.ct.backprojection import reconstruct_fan
from physics.ct.cone import ConeBeam
from physics.ct.fan import FanBeam
from physics.ct.fdk import reconstruct_cone
from physics.ct.grid import Grid, arc

TURN = 2 * math.pi
GRID = Grid(40, 39, pixel_mm=1.0)
CENTRE_MM, WIDTH_MM, PEAK_PER_MM = (4.0, -3.0, 2.0), 4.0, 0.02


def beam(views=90, *, length_rad=TURN, panel_rows=37):
    return ConeBeam(GRID, 17, 1.3, arc(views, start_rad=0.2, length_rad=length_rad), panel_rows, 61, 1.4, 90.0, 120.0)


def centred(count, spacing_mm):
    return (torch.arange(count, dtype=torch.float64) - (count - 1) / 2) * spacing_mm


def blob(z_mm):
    """A Gaussian of attenuation on the voxels of the beam, (slice, row, column)."""
    x, y = torch.from_numpy(GRID.x_mm), torch.from_numpy(GRID.y_mm)[:, None]
    squared = (x - CENTRE_MM[0]) ** 2 + (y - CENTRE_MM[1]) ** 2 + (centred(17, 1.3)[:, None, None] - z_mm) ** 2
    return PEAK_PER_MM * torch.exp(-squared / (2 * WIDTH_MM**2))


def blob_integrals(cone, z_mm):
    """Its line integrals (panel row, view, bin), in closed form."""
    t = torch.tensor(cone.angles_rad, dtype=torch.float64)[None, :, None]
    u, v = centred(cone.bins, cone.bin_mm), centred(cone.panel_rows, cone.bin_mm)[:, None, None]
    across = CENTRE_MM[0] * torch.cos(t) + CENTRE_MM[1] * torch.sin(t)
    depth = cone.source_mm - CENTRE_MM[0] * torch.sin(t) + CENTRE_MM[1] * torch.cos(t)
    dot = across * u + depth * cone.detector_mm + z_mm * v
    squared = across**2 + depth**2 + z_mm**2 - dot**2 / (u**2 + v**2 + cone.detector_mm**2)
    return PEAK_PER_MM * WIDTH_MM * math.sqrt(TURN) * torch.exp(-squared / (2 * WIDTH_MM**2))


@pytest.mark.parametrize("z_mm", [0.0, CENTRE_MM[2]])
def test_a_full_turn_recovers_value_and_place_of_a_smooth_object(z_mm):
    found, known = reconstruct_cone(blob_integrals(beam(), z_mm), beam()), blob(z_mm)
    assert float((found - known).norm() / known.norm()) < 0.02
    assert float(found.sum() / known.sum()) == pytest.approx(1.0, abs=0.01)
    mass = found.clamp(min=0.05 * PEAK_PER_MM) - 0.05 * PEAK_PER_MM
    axes = (centred(17, 1.3)[:, None, None], torch.from_numpy(GRID.y_mm)[:, None], torch.from_numpy(GRID.x_mm))
    place_mm = [float((mass * axis).sum() / mass.sum()) for axis in axes]
    assert place_mm == pytest.approx([z_mm, CENTRE_MM[1], CENTRE_MM[0]], abs=0.05)


def test_one_row_of_a_panel_is_a_fan():
    cone = ConeBeam(GRID, 1, 1.3, arc(30, length_rad=TURN), 1, 61, 1.4, 90.0, 120.0)
    fan = FanBeam(GRID, cone.angles_rad, 61, 1.4, 90.0, 120.0)
    y = torch.rand((1, 30, 61), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found, known = reconstruct_cone(y, cone, window="hann"), reconstruct_fan(y, fan, window="hann")
    torch.testing.assert_close(found, known, rtol=1e-9, atol=1e-12)


def test_a_batch_of_volumes_is_reconstructed_in_one_call_in_its_own_precision():
    small = beam(6, panel_rows=5)
    y = torch.rand((2, *small.range), generator=torch.Generator().manual_seed(0))
    together = reconstruct_cone(y, small)
    assert together.dtype == torch.float32 and together.shape == (2, *small.domain)
    torch.testing.assert_close(together[1], reconstruct_cone(y[1], small), rtol=1e-5, atol=1e-7)


def test_other_shapes_part_of_a_turn_and_unequal_steps_are_refused():
    with pytest.raises(ValueError, match=r"projections: found shape \(37, 89, 61\), expected \(\*batch, 37, 90, 61\)"):
        reconstruct_cone(torch.zeros(37, 89, 61), beam())
    half = beam(90, length_rad=math.pi)
    with pytest.raises(ValueError, match=r"found an arc of 180\.0 degrees, expected 360 for a cone"):
        reconstruct_cone(torch.zeros(half.range), half)
    uneven = beam().subset((0, 1, 3))
    with pytest.raises(ValueError, match="unequal steps"):
        reconstruct_cone(torch.zeros(uneven.range), uneven)
