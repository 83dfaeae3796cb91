import math

import numpy as np
import pytest
import torch
from skimage.transform import iradon

from physics.ct.backprojection import reconstruct_fan, reconstruct_parallel
from physics.ct.fan import FanBeam
from physics.ct.grid import Grid, arc
from physics.ct.parallel import ParallelBeam
from physics.ct.ramp import WINDOWS, filter_rows

MU_PER_MM = 0.02
RADIUS_MM = 30.0
CENTRE_MM = (11.0, -7.0)


def chords(distance_mm):
    """Line integrals of the disc at these distances from its centre, in closed form."""
    return 2 * MU_PER_MM * torch.sqrt((RADIUS_MM**2 - distance_mm**2).clamp(min=0))


def parallel_sinogram(beam):
    t = torch.tensor(beam.angles_rad, dtype=torch.float64)[:, None]
    s = (torch.arange(beam.bins, dtype=torch.float64) - (beam.bins - 1) / 2) * beam.bin_mm
    return chords(CENTRE_MM[0] * torch.cos(t) + CENTRE_MM[1] * torch.sin(t) - s)[None]


def fan_sinogram(beam):
    t = torch.tensor(beam.angles_rad, dtype=torch.float64)[:, None]
    u = (torch.arange(beam.bins, dtype=torch.float64) - (beam.bins - 1) / 2) * beam.bin_mm
    across = CENTRE_MM[0] * torch.cos(t) + CENTRE_MM[1] * torch.sin(t)
    depth = beam.source_mm - CENTRE_MM[0] * torch.sin(t) + CENTRE_MM[1] * torch.cos(t)
    return chords((across * beam.detector_mm - depth * u) / torch.sqrt(u**2 + beam.detector_mm**2))[None]


def distance_mm(grid):
    """Of each pixel from the disc's centre, (row, column)."""
    return torch.from_numpy(np.hypot(grid.x_mm[None, :] - CENTRE_MM[0], grid.y_mm[:, None] - CENTRE_MM[1]))


def assert_recovers_the_disc(image, grid):
    away = distance_mm(grid)
    inside, outside = image[0][away < RADIUS_MM - 4], image[0][(away > RADIUS_MM + 4) & (away < RADIUS_MM + 12)]
    assert float(inside.mean()) == pytest.approx(MU_PER_MM, rel=0.002)
    assert float((inside - MU_PER_MM).abs().max()) < 0.03 * MU_PER_MM
    assert abs(float(outside.mean())) < 0.002 * MU_PER_MM
    mass, (x, y) = image[0].clamp(min=0), (torch.from_numpy(values) for values in (grid.x_mm, grid.y_mm))
    mass = mass * (away < RADIUS_MM + 4)
    found_mm = float((mass.sum(dim=0) * x).sum() / mass.sum()), float((mass.sum(dim=1) * y).sum() / mass.sum())
    assert found_mm == pytest.approx(CENTRE_MM, abs=0.05)


@pytest.mark.parametrize("shape", [(128, 128), (127, 127), (128, 119)])
@pytest.mark.parametrize("length_rad", [math.pi, 2 * math.pi])
def test_parallel_views_recover_the_value_and_the_place_of_a_disc(shape, length_rad):
    grid = Grid(*shape, pixel_mm=0.9)
    beam = ParallelBeam(grid, arc(360, start_rad=0.3, length_rad=length_rad), bins=181, bin_mm=0.9)
    assert_recovers_the_disc(reconstruct_parallel(parallel_sinogram(beam), beam, window="hann"), grid)


@pytest.mark.parametrize("shape", [(128, 128), (127, 127)])
def test_a_full_turn_of_a_fan_recovers_the_value_and_the_place_of_a_disc(shape):
    grid = Grid(*shape, pixel_mm=0.9)
    angles_rad = arc(360, start_rad=0.3, length_rad=2 * math.pi)
    beam = FanBeam(grid, angles_rad, bins=240, bin_mm=1.5, source_mm=200.0, detector_mm=380.0)
    assert_recovers_the_disc(reconstruct_fan(fan_sinogram(beam), beam, window="hann"), grid)


def test_a_volume_is_reconstructed_slice_by_slice_in_one_call():
    beam = ParallelBeam(Grid(16, 17, pixel_mm=2.0), arc(12), bins=25, bin_mm=2.0)
    sinogram = torch.rand((2, 3, 1, 12, 25), generator=torch.Generator().manual_seed(0))
    together = reconstruct_parallel(sinogram, beam)
    assert together.shape == (2, 3, 1, 16, 17) and together.dtype == torch.float32
    torch.testing.assert_close(together[1, 2], reconstruct_parallel(sinogram[1, 2], beam), rtol=1e-5, atol=1e-6)


def test_parallel_back_projection_equals_that_of_scikit_image():
    size, views = 65, 40
    beam = ParallelBeam(Grid(size, size, pixel_mm=1.0), arc(views), bins=size, bin_mm=1.0)
    sinogram = torch.rand((1, views, size), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    ours = reconstruct_parallel(sinogram, beam)[0].numpy()
    theirs = iradon(sinogram[0].numpy().T, theta=np.degrees(beam.angles_rad), filter_name="ramp", circle=True)
    inside = np.hypot(*np.meshgrid(beam.grid.x_mm, beam.grid.y_mm)) < size / 2 - 1
    np.testing.assert_allclose(ours[inside], theirs[inside], rtol=1e-9, atol=1e-9)


def test_the_ramp_in_millimetres_scales_with_the_spacing():
    rows = torch.rand((4, 31), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(filter_rows(rows, 0.5, window="hann"), 2 * filter_rows(rows, 1.0, window="hann"))


def test_the_bare_ramp_is_the_convolution_of_its_formula():
    rows = torch.rand(21, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    lag = np.arange(21)[:, None] - np.arange(21)[None, :]
    kernel = np.where(lag % 2 == 0, 0.0, -1 / (np.pi * np.where(lag == 0, 1, lag)) ** 2) + 0.25 * (lag == 0)
    found = filter_rows(rows, 1.0, window="ram-lak")
    np.testing.assert_allclose(found.numpy(), kernel @ rows.numpy(), rtol=0, atol=1e-12)


def test_windows_order_the_noise_they_let_through():
    noise = torch.randn((200, 64), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    order = [float(filter_rows(noise, 1.0, window=window).std()) for window in WINDOWS]
    assert order == sorted(order, reverse=True) and len(set(order)) == 5
    assert float(filter_rows(noise, 1.0, window="hann", cutoff=0.5).std()) < order[-1]


def test_what_cannot_be_filtered_or_inverted_is_refused_with_advice():
    grid = Grid(8, 8, pixel_mm=1.0)
    half = ParallelBeam(grid, arc(6), bins=9, bin_mm=1.0)
    with pytest.raises(ValueError, match="expected one of ram-lak, shepp-logan, cosine, hamming, hann"):
        reconstruct_parallel(torch.zeros(1, 6, 9), half, window="ramp")
    with pytest.raises(ValueError, match=r"sinogram: found shape \(1, 9, 6\)"):
        reconstruct_parallel(torch.zeros(1, 9, 6), half)
    with pytest.raises(ValueError, match="unequal steps"):
        reconstruct_parallel(torch.zeros(1, 3, 9), half.subset((0, 1, 4)))
    wide = ParallelBeam(grid, arc(6, length_rad=1.5 * math.pi), bins=9, bin_mm=1.0)
    with pytest.raises(ValueError, match=r"arc of 270\.0 degrees, expected at most 180 or all 360"):
        reconstruct_parallel(torch.zeros(1, 6, 9), wide)
    fan = FanBeam(grid, arc(6), bins=9, bin_mm=1.0, source_mm=50.0, detector_mm=80.0)
    with pytest.raises(ValueError, match=r"arc of 180\.0 degrees, expected 360 for a fan"):
        reconstruct_fan(torch.zeros(1, 6, 9), fan)
