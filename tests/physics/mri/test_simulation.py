"""Simulated k-space: the closed form of a Gaussian seen by simulated coils, frequencies that are cut off, noise of known size."""

import math

import pytest
import torch

from physics.mri.cartesian import CartesianMRI
from physics.mri.coils import pixel_positions, simulated_maps
from physics.mri.sense import reconstruct_sense
from physics.mri.simulation import add_noise, measure_kspace_finely, smooth_phase

PLACE, SIZE = (0.13, -0.21), 0.12  # x and y of the object's middle and its standard deviation, half fields of view


def gaussian(rows, columns):
    """The object at the centres of pixels of any size, complex64."""
    x, y = pixel_positions(rows, columns)
    return torch.exp(-((x - PLACE[0]) ** 2 + (y - PLACE[1]) ** 2) / (2 * SIZE**2)).to(torch.complex64)


@pytest.mark.parametrize("shape", [(32, 40), (33, 40), (31, 35)])
@pytest.mark.parametrize("fine", [2, 3])
def test_a_smooth_object_on_fine_pixels_gives_the_samples_of_coarse_ones_at_the_right_place(shape, fine):
    rows, columns = shape
    kspace = measure_kspace_finely(gaussian(fine * rows, fine * columns)[None], coils=4, fine=fine)
    expected = CartesianMRI(torch.ones(shape), simulated_maps(rows, columns, coils=4)).forward(gaussian(rows, columns))
    assert kspace.shape == (1, 4, rows, columns)
    assert float((kspace[0] - expected).norm() / expected.norm()) < 2e-3


def test_one_coil_of_a_gaussian_measures_its_fourier_integral():
    rows, columns = 32, 40
    phase = simulated_maps(2 * rows, 2 * columns, coils=1)[0]  # of modulus 1
    kspace = measure_kspace_finely((gaussian(2 * rows, 2 * columns) / phase)[None], coils=1)[0, 0]
    u = (torch.arange(columns, dtype=torch.float64) - columns // 2) * math.pi  # rad per half field
    v = (torch.arange(rows, dtype=torch.float64) - rows // 2)[:, None] * math.pi
    middle = pixel_positions(rows, columns)
    x0, y0 = float(middle[0][0, columns // 2]), float(middle[1][rows // 2, 0])  # where the phase of k-space is counted from
    turn = torch.exp(-1j * (u * (PLACE[0] - x0) - v * (PLACE[1] - y0)))
    size = 2 * math.pi * SIZE**2 * (rows / 2) * (columns / 2) / math.sqrt(rows * columns)
    expected = size * torch.exp(-(SIZE**2) * (u**2 + v**2) / 2) * turn
    assert float((kspace - expected).norm() / expected.norm()) < 1e-5


def test_an_edge_between_coarse_pixels_is_more_than_coarse_pixels_explain():
    image = torch.zeros((1, 64, 64), dtype=torch.complex64)
    image[:, 21:43, 17:47] = 1
    kspace = measure_kspace_finely(image)
    operator = CartesianMRI(torch.ones(32, 32), simulated_maps(32, 32))
    best = reconstruct_sense(operator, kspace, iterations=5, ridge=0.0)
    left = float((operator.forward(best) - kspace).norm() / kspace.norm())
    assert 1e-4 < left < 0.1
    means = torch.nn.functional.avg_pool2d(image.real, 2)
    error = float((best.abs() - means).norm() / means.norm())
    assert 0.01 < error < 0.2  # it rings; the mean is near


def test_a_smooth_phase_is_of_modulus_one_and_the_same_on_finer_pixels():
    coarse, fine = (smooth_phase(size, size + 3, generator=torch.Generator().manual_seed(5)) for size in (21, 63))
    assert torch.allclose(coarse.abs(), torch.ones(21, 24), atol=1e-6)
    fine = smooth_phase(63, 72, generator=torch.Generator().manual_seed(5))
    assert torch.allclose(fine[1::3, 1::3], coarse, atol=1e-5)
    assert float((coarse[:, 1:] * coarse[:, :-1].conj()).angle().abs().max()) < 1.0
    assert not torch.allclose(coarse, smooth_phase(21, 24, generator=torch.Generator().manual_seed(6)), atol=0.1)


def test_noise_has_its_standard_deviation_in_each_part_and_repeats_with_its_seed():
    kspace = torch.zeros((4, 8, 32, 32), dtype=torch.complex64)
    make = lambda seed: add_noise(kspace, noise_std=0.3, generator=torch.Generator().manual_seed(seed))
    noisy = make(1)
    assert float(noisy.real.std()) == pytest.approx(0.3, rel=0.02)
    assert float(noisy.imag.std()) == pytest.approx(0.3, rel=0.02)
    assert abs(float((noisy.real * noisy.imag).mean())) < 0.002
    assert torch.equal(noisy, make(1)) and not torch.equal(noisy, make(2))


def test_what_cannot_be_measured_is_refused():
    with pytest.raises(ValueError, match=r"found torch\.complex64 15 x 16 and fine 2"):
        measure_kspace_finely(torch.zeros((1, 15, 16), dtype=torch.complex64))
    with pytest.raises(ValueError, match=r"found torch\.float32"):
        measure_kspace_finely(torch.zeros((1, 16, 16)))
    with pytest.raises(ValueError, match="noise_std: found -1"):
        add_noise(torch.zeros(4, dtype=torch.complex64), noise_std=-1, generator=torch.Generator())
