"""The best shift-invariant linear denoiser against the exact one."""

import torch

from medidiff.diffusion.exact import Gaussian
from medidiff.diffusion.spectrum import Stationary


def test_the_stationary_denoiser_is_the_exact_one_of_a_circulant_gaussian():
    side = 8
    shift = torch.arange(side, dtype=torch.float64)
    distance = torch.minimum((shift[:, None] - shift) % side, (shift - shift[:, None]) % side)
    covariance = torch.exp(-distance)
    power = torch.fft.fft(covariance[0]).real[None]
    prior = Stationary(torch.full((1, side), 0.3, dtype=torch.float64), power)
    exact = Gaussian.of(torch.full((side,), 0.3, dtype=torch.float64), covariance)
    u, sigma = torch.randn(5, 1, side, dtype=torch.float64), torch.tensor([0.1, 0.5, 1, 2, 9.0], dtype=torch.float64)
    assert (prior(u, sigma)[:, 0] - exact(u[:, 0], sigma)).abs().max() < 1e-13
    gain = exact.gain(sigma)
    assert (prior.error(sigma) - (sigma[:, None] ** 2 * gain).mean(1)).abs().max() < 1e-13
    z = torch.eye(side, dtype=torch.float64)[:, None]
    root = prior.noisy(z, 0.7)[:, 0] - 0.3
    assert (root @ root.T - covariance - 0.49 * torch.eye(side, dtype=torch.float64)).abs().max() < 1e-13


def test_mean_and_power_are_measured_from_images():
    generator = torch.Generator().manual_seed(0)
    truth = Stationary(torch.full((1, 6, 4), 0.2, dtype=torch.float64), torch.rand(1, 6, 4, generator=generator).double())
    symmetric = (truth.power + truth.power.flip(1, 2).roll((1, 1), (1, 2))) / 2  # of a real field
    truth = Stationary(truth.mean, symmetric)
    drawn = truth.noisy(torch.randn(20_000, 1, 6, 4, generator=generator, dtype=torch.float64), 0.0)
    found = Stationary.of(drawn)
    assert (found.mean - truth.mean).abs().max() < 0.03
    assert (found.power / truth.power - 1).abs().max() < 0.05
