import math

import numpy as np
import pytest
import torch

from physics.ct.fan import FanBeam
from physics.ct.grid import Grid, arc
from physics.ct.parallel import ParallelBeam
from physics.mri.cartesian import CartesianMRI
from physics.solvers.cgls import reconstruct_cgls

BEAM = ParallelBeam(Grid(9, 8, pixel_mm=0.7), arc(11, start_rad=0.1), bins=17, bin_mm=0.7)


def noise(*shape, dtype=torch.float64, seed=0):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def dense(operator):
    size = math.prod(operator.domain)
    columns = operator.forward(torch.eye(size, dtype=torch.float64).reshape(size, *operator.domain))
    return columns.reshape(size, -1).T.numpy()


def disc_error(size):
    """Relative error of a disc from 180 exact views, pixel_mm 128 / size."""
    grid = Grid(size, size, pixel_mm=128 / size)
    beam = ParallelBeam(grid, arc(180), bins=math.ceil(size * math.sqrt(2)), bin_mm=128 / size)
    offset_mm = (torch.arange(beam.bins) - (beam.bins - 1) / 2) * beam.bin_mm
    angle = torch.tensor(beam.angles_rad)[:, None]
    distance_mm = 9.0 * torch.cos(angle) - 14.0 * torch.sin(angle) - offset_mm
    y = 2 * torch.sqrt((40.0**2 - distance_mm**2).clamp(min=0))[None]
    away_mm = torch.from_numpy(np.hypot(grid.x_mm[None, :] - 9.0, grid.y_mm[:, None] + 14.0))
    x = (away_mm < 40.0).float()
    found = reconstruct_cgls(beam, y[None], iterations=12)[0, 0]
    return float((found - x).norm() / x.norm())


def test_after_many_iterations_it_is_the_least_squares_solution():
    y = noise(1, *BEAM.range)
    known = np.linalg.lstsq(dense(BEAM), y.flatten().numpy(), rcond=None)[0]
    found = reconstruct_cgls(BEAM, y, iterations=400)
    np.testing.assert_allclose(found.flatten().numpy(), known, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("iterations", [1, 3, 6])
def test_its_residual_is_the_smallest_of_the_krylov_space(iterations):
    a, y = dense(BEAM), noise(1, *BEAM.range)
    columns = [a.T @ y.flatten().numpy()]
    for _ in range(iterations - 1):
        columns.append(a.T @ (a @ columns[-1] / np.linalg.norm(columns[-1])))
    basis = np.linalg.qr(np.stack(columns, axis=1))[0]
    best = basis @ np.linalg.lstsq(a @ basis, y.flatten().numpy(), rcond=None)[0]
    found = reconstruct_cgls(BEAM, y, iterations=iterations).flatten().numpy()
    np.testing.assert_allclose(found, best, rtol=1e-7, atol=1e-10)


def test_the_error_of_full_exact_data_falls_with_the_number_of_pixels():
    errors = [disc_error(size) for size in (16, 32, 64)]
    assert errors[0] > 1.2 * errors[1] > 1.2 * 1.2 * errors[2]
    assert errors[2] < 0.15


def test_k_space_measured_in_full_gives_the_image_to_rounding():
    maps = noise(3, 15, 12, dtype=torch.complex128)
    maps = maps / maps.abs().square().sum(dim=0).sqrt()
    operator = CartesianMRI(torch.ones(15, 12), maps)
    x = noise(4, 15, 12, dtype=torch.complex128, seed=1)
    torch.testing.assert_close(reconstruct_cgls(operator, operator.forward(x), iterations=2), x, rtol=1e-6, atol=1e-8)


def test_a_permutation_of_the_slices_permutes_the_image():
    y, order = noise(5, *BEAM.range), [3, 0, 4, 1, 2]
    straight, permuted = reconstruct_cgls(BEAM, y, iterations=6), reconstruct_cgls(BEAM, y[order], iterations=6)
    torch.testing.assert_close(permuted, straight[order], rtol=1e-9, atol=1e-9)


def test_scaled_data_give_a_scaled_image():
    y = noise(2, *BEAM.range)
    scaled = reconstruct_cgls(BEAM, 7.5 * y, iterations=6)
    torch.testing.assert_close(scaled, 7.5 * reconstruct_cgls(BEAM, y, iterations=6), rtol=1e-9, atol=1e-9)


def test_centimetres_instead_of_millimetres_scale_the_image_alone():
    fan = FanBeam(Grid(9, 8, 0.7), arc(11, length_rad=2 * math.pi), bins=19, bin_mm=1.1, source_mm=20.0, detector_mm=33.0)
    in_cm = FanBeam(Grid(9, 8, 0.07), fan.angles_rad, bins=19, bin_mm=0.11, source_mm=2.0, detector_mm=3.3)
    y = noise(1, *fan.range)
    found = reconstruct_cgls(in_cm, y, iterations=8)
    torch.testing.assert_close(found, 10 * reconstruct_cgls(fan, y, iterations=8), rtol=1e-9, atol=1e-9)


def test_turning_the_data_by_a_right_angle_turns_the_image():
    angles_rad = arc(8, length_rad=2 * math.pi)
    beam = ParallelBeam(Grid(11, 11, pixel_mm=0.7), angles_rad, bins=17, bin_mm=0.7)
    y = noise(1, *beam.range)
    turned = reconstruct_cgls(beam, y.roll(2, dims=-2), iterations=6)
    known = torch.rot90(reconstruct_cgls(beam, y, iterations=6), 1, dims=(-2, -1))
    torch.testing.assert_close(turned, known, rtol=1e-8, atol=1e-9)
