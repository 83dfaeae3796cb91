import math

import pytest
import torch

from physics.ct.fan import FanBeam
from physics.ct.grid import Grid, arc
from physics.ct.parallel import ParallelBeam
from physics.ct.simulation import measure_finely

GRID = Grid(24, 21, pixel_mm=1.5)
PARALLEL = ParallelBeam(GRID, arc(19, start_rad=0.1), bins=33, bin_mm=1.6)
FAN = FanBeam(GRID, arc(19, start_rad=0.1, length_rad=2 * math.pi), bins=41, bin_mm=2.6, source_mm=80.0, detector_mm=140.0)


def blob(grid, peak_per_mm):
    """A wide Gaussian of attenuation on any grid, (1, row, column)."""
    x, y = torch.from_numpy(grid.x_mm), torch.from_numpy(grid.y_mm)
    return peak_per_mm * torch.exp(-((x[None, :] - 2) ** 2 + (y[:, None] + 3) ** 2) / 32)[None]


@pytest.mark.parametrize("beam", [PARALLEL, FAN], ids=["parallel", "fan"])
def test_a_smooth_thin_phantom_measures_nearly_what_the_coarse_operator_says_but_not_exactly(beam):
    fine = blob(Grid(48, 42, pixel_mm=0.75), 1e-4)
    seen, coarse = measure_finely(fine, beam), beam.forward(blob(GRID, 1e-4))
    difference = float((seen - coarse).norm() / coarse.norm())
    assert seen.shape == beam.range
    assert 1e-4 < difference < 0.02


def test_a_bin_half_in_the_shadow_of_a_thick_edge_averages_light_and_not_attenuation():
    grid = Grid(8, 8, pixel_mm=1.0)
    beam = ParallelBeam(grid, angles_rad=(0.0,), bins=2, bin_mm=2.0)
    edge = torch.zeros((1, 16, 16), dtype=torch.float64)
    edge[:, :, 6:8] = 5.0 / 8
    # rays at -1.75, -1.25, -0.75, -0.25 mm; the edge covers the pixels at -0.75 and -0.25 mm, 5 along each ray
    seen = measure_finely(edge, beam, rays_per_bin=4)
    assert float(seen[0, 0, 0]) == pytest.approx(-math.log((2 + 2 * math.exp(-5)) / 4), rel=1e-12)
    assert float(seen[0, 0, 1]) == pytest.approx(0.0, abs=1e-12)


def test_a_volume_is_measured_as_its_slices_are():
    fine = torch.rand((3, 1, 48, 42), generator=torch.Generator().manual_seed(0)) * 0.02
    torch.testing.assert_close(measure_finely(fine, PARALLEL)[2], measure_finely(fine[2], PARALLEL), rtol=1e-5, atol=1e-6)


def test_pixels_that_share_centres_with_the_grid_are_refused():
    with pytest.raises(ValueError, match="found fine 3 and rays_per_bin 4, expected an even number"):
        measure_finely(torch.zeros(1, 72, 63), PARALLEL, fine=3)
    with pytest.raises(ValueError, match=r"ParallelBeam: found shape \(1, 24, 21\), expected \(\*batch, 1, 48, 42\)"):
        measure_finely(torch.zeros(1, 24, 21), PARALLEL)
