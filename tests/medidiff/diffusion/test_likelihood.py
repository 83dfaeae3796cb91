"""Likelihood along the ODE against the exact density, and trajectories that begin in closed form."""

import math
from itertools import pairwise

import pytest
import torch

from medidiff.diffusion.exact import Gaussian, Mixture
from medidiff.diffusion.gaussian_start import gaussian_start
from medidiff.diffusion.grid import karras
from medidiff.diffusion.likelihood import log_likelihood
from medidiff.diffusion.onestep import dpm3
from medidiff.diffusion.sample import sample
from medidiff.diffusion.spectrum import Stationary
from medidiff.errors import ConfigError

SMIN, SMAX = 0.05, 40.0


def mixture() -> Mixture:
    generator = torch.Generator().manual_seed(5)
    return Mixture(
        torch.tensor([0.6, 0.4], dtype=torch.float64),
        torch.randn(2, 3, generator=generator, dtype=torch.float64),
        0.7 * torch.randn(2, 3, 2, generator=generator, dtype=torch.float64),
        torch.full((2,), 0.05, dtype=torch.float64),
    )


def moments(prior: Mixture) -> Gaussian:
    """The Gaussian with the mean and covariance of a mixture."""
    mean = prior.weights @ prior.means
    offset = prior.means - mean
    covariance = torch.einsum("k,kde->de", prior.weights, prior.covariances() + offset[:, :, None] * offset[:, None])
    return Gaussian.of(mean, covariance)


def points(count: int, level: float) -> torch.Tensor:
    generator = torch.Generator().manual_seed(6)
    z = torch.randn(count, 3, generator=generator, dtype=torch.float64)
    return mixture().draw(z, torch.rand(count, generator=generator, dtype=torch.float64), level)


def likelihood_error(levels: int, end_density, smax: float = SMAX) -> float:
    u = points(16, SMIN)
    found = log_likelihood(mixture(), u, karras(levels, smin=SMIN, smax=smax), end_density=end_density)
    truth = mixture().log_density(u, torch.full((16,), SMIN, dtype=torch.float64))
    return float((found - truth).square().mean().sqrt())


def test_likelihood_converges_to_the_exact_density_at_second_order():
    errors = [likelihood_error(levels, moments(mixture()).log_density) for levels in (26, 51, 101)]
    orders = [math.log2(a / b) for a, b in pairwise(errors)]
    assert errors[-1] < 0.03
    assert orders == pytest.approx([2.0, 2.0], abs=0.25)


def test_a_wrong_end_density_leaves_an_error_that_levels_do_not_remove():
    plain = Gaussian(torch.zeros(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64))
    right, wrong = (likelihood_error(101, density, 10.0) for density in (moments(mixture()).log_density, plain.log_density))
    assert wrong > 5 * right


def test_likelihood_of_a_gaussian_is_estimated_by_random_signs():
    prior = Gaussian.of(torch.zeros(3).double(), torch.diag(torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64)))
    u = points(8, 0.1)
    found = log_likelihood(prior, u, karras(101, smin=0.1, smax=20.0), end_density=prior.log_density, probes=1)
    # J is diagonal, so that one vector of signs is exact
    assert (found - prior.log_density(u, torch.full((8,), 0.1, dtype=torch.float64))).abs().max() < 0.02


def test_a_gaussian_start_skips_calls_at_a_small_price_above_the_data_and_a_large_one_within():
    prior = mixture()
    gaussian = moments(prior)
    largest = float(gaussian.variance.max().sqrt())
    start = points(64, 40.0)
    whole = sample(prior, start, karras(200, smin=SMIN, smax=40.0), dpm3)

    def skipping_to(stop: float) -> float:
        middle = gaussian_start(gaussian, start, start=40.0, stop=stop, largest_std=largest)
        return float((sample(prior, middle, karras(150, smin=SMIN, smax=stop), dpm3) - whole).square().mean().sqrt())

    assert skipping_to(10.0) < 5e-3
    assert skipping_to(10.0) < 0.2 * skipping_to(2.05 * largest)
    with pytest.raises(ConfigError, match="below twice the largest standard deviation"):
        skipping_to(largest)


def test_the_stationary_flow_is_the_limit_of_its_own_ode():
    prior = Stationary(
        torch.full((1, 8), 0.2, dtype=torch.float64), torch.tensor([[2.0, 1, 0.5, 0.2, 0.1, 0.2, 0.5, 1]]).double()
    )
    u = prior.noisy(torch.randn(5, 1, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0)), 10.0)
    ends = sample(prior, u, karras(200, smin=0.1, smax=10.0), dpm3)
    assert (prior.flow(u, 10.0, 0.1) - ends).abs().max() < 1e-5
