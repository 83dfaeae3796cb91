"""The joint sampler against posteriors in closed form, and the laws that it keeps with any denoiser."""

import pytest
import torch

from medidiff.dehazing.domain import Linear, MuLaw, joined, parted
from medidiff.dehazing.split_gibbs import SplitGibbs, cold_start, repeated_levels
from medidiff.diffusion.exact import Gaussian
from medidiff.diffusion.joint import Pair
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.sample import State, sample
from medidiff.diffusion.spectrum import Stationary


def gaussian(variance):
    """E[x0 | u] where every channel of every sample is N(0, variance)."""
    return Gaussian(torch.zeros(1), torch.tensor([variance]))


LINEAR = Linear()


def drawn(pair, y, *, levels, repeats, eta=1.0, gamma=1.0, domain=LINEAR, top=5.0, low=0.01, seed=1):
    step = SplitGibbs(y, domain, gamma, eta)
    noise = Noise(seed)
    grid = repeated_levels(levels, repeats, sigma_min=low, sigma_max=top)
    u = sample(pair, cold_start(step, top, noise), grid, step, noise=noise)
    return step.separated(u)


@pytest.mark.parametrize(("a", "b"), [(1.0, 0.1), (1.0, 1.0), (0.1, 1.0), (1.0, 0.01)])
def test_samples_have_mean_and_variance_of_the_joint_gaussian_posterior(a, b):
    y = torch.full((1, 40, 40), 1.0 - 0.5j, dtype=torch.complex64)
    x, h = drawn(Pair(gaussian(a), gaussian(b)), y, levels=40, repeats=12)
    mean, variance = a / (a + b) * (1.0 - 0.5j), a * b / (a + b)
    assert abs(complex(x.mean()) - mean) < 0.01 * abs(1.0 - 0.5j) + 3 * (2 * variance / 1600) ** 0.5
    for part in (x.real, x.imag, h.real, h.imag):
        assert float(part.var()) == pytest.approx(variance, rel=0.05 + 3 * (2 / 1600) ** 0.5)


def test_one_round_per_level_is_biased_so_that_levels_are_repeated():
    y = torch.ones(1, 40, 40, dtype=torch.complex64)
    x, _ = drawn(Pair(gaussian(1.0), gaussian(0.1)), y, levels=20, repeats=1, eta=0.0)
    assert float(x.real.mean()) == pytest.approx(0.82, abs=0.02)  # the posterior's is 0.909
    assert float(x.real.var()) < 0.06  # the posterior's is 0.0909


def test_mean_of_samples_is_the_wiener_filter_where_tissue_and_haze_differ_in_spectrum():
    frequency = torch.fft.fftfreq(16).abs()
    fine = (0.02 + 4.0 * (frequency[:, None] > 0.15)).expand(16, 16)
    coarse = 0.02 + 4.0 * torch.exp(-((frequency / 0.08) ** 2)).expand(16, 16)
    pair = Pair(*(Stationary(torch.zeros(2, 16, 16), power.expand(2, 16, 16)) for power in (fine, coarse)))
    one = 2 * torch.randn(1, 16, 16, dtype=torch.complex64, generator=torch.Generator().manual_seed(2))
    x, _ = drawn(pair, one.expand(12, 16, 16), levels=24, repeats=8)
    wiener = torch.fft.ifft2(fine / (fine + coarse) * torch.fft.fft2(one[0]))
    spread = (2 * (fine * coarse / (fine + coarse)).mean() / 12).sqrt()
    assert float((x.mean(0) - wiener).abs().square().mean().sqrt()) < 1.15 * float(spread) + 0.01 * float(wiener.abs().mean())


@pytest.mark.parametrize("gamma", [0.3, 1.0, 1.7])
def test_tissue_and_haze_add_up_to_the_measurement_with_any_denoiser(gamma):
    y = 0.2 * torch.randn(2, 16, 24, dtype=torch.complex64, generator=torch.Generator().manual_seed(3))
    wild = lambda u, sigma: torch.sin(5 * u)
    x, h = drawn(wild, y, levels=3, repeats=2, gamma=gamma, domain=MuLaw(), top=3.0, low=0.02)
    assert float(torch.linalg.vector_norm(y - x - gamma * h)) < 1e-5 * float(torch.linalg.vector_norm(y))


def noisy_state(y, sigma, seed=6):
    u = joined(MuLaw().compress(y), MuLaw().compress(0.3 * y))
    return u + sigma * torch.randn(u.shape, generator=torch.Generator().manual_seed(seed))


def test_exchanging_the_priors_exchanges_tissue_and_haze():
    y = 0.2 * torch.randn(1, 8, 8, dtype=torch.complex64, generator=torch.Generator().manual_seed(7))
    step, grid = SplitGibbs(y, MuLaw(), eta=0.0), torch.tensor([0.4, 0.0])
    first, second = gaussian(0.09), gaussian(0.01)
    u = noisy_state(y, 0.4)
    one = step(Pair(first, second), State(u), grid, Noise(0)).u
    other = step(Pair(second, first), State(torch.cat(u.chunk(2, 1)[::-1], 1)), grid, Noise(0)).u
    torch.testing.assert_close(torch.cat(other.chunk(2, 1)[::-1], 1), one)


def test_a_phase_of_the_measurement_is_a_phase_of_tissue_and_haze(turned):
    y = 0.2 * torch.randn(1, 8, 8, dtype=torch.complex64, generator=torch.Generator().manual_seed(8))
    grid, pair = torch.tensor([0.4, 0.0]), Pair(gaussian(0.09), gaussian(0.01))
    u = noisy_state(y, 0.4)
    x, h = parted(SplitGibbs(y, MuLaw())(pair, State(u), grid, Noise(0)).u)
    rotated = joined(*(turned * part for part in parted(u)))
    x_turned, h_turned = parted(SplitGibbs(turned * y, MuLaw())(pair, State(rotated), grid, Noise(0)).u)
    torch.testing.assert_close(x_turned, turned * x)
    torch.testing.assert_close(h_turned, turned * h)


def test_misfit_goes_where_companding_is_steep():
    step = SplitGibbs(torch.ones(1, 1, 1, dtype=torch.complex64), MuLaw())
    bright, dark = torch.full((1, 1, 1), 0.5 + 0j), torch.full((1, 1, 1), 0.001 + 0j)
    x, h, _ = step.shared(bright, dark)
    assert float(x.abs()) > 0.99
    assert float(h.abs()) < 0.01
