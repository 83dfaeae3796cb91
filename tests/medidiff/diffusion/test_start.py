"""The best start noise: its error in closed form on a Gaussian, and how much a choice among k gains."""

import math

import pytest
import torch

from medidiff.diffusion.exact import Gaussian
from medidiff.diffusion.grid import uniform_lambda
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.onestep import heun
from medidiff.diffusion.sample import sample
from medidiff.diffusion.start import best_start

SIZE = 16
P = torch.logspace(-2, 0, SIZE, dtype=torch.float64)
ONE = Gaussian(torch.zeros(SIZE).double(), P, torch.linalg.qr(Noise(1)(0, torch.empty(1, SIZE, SIZE).double())[0])[0])
MEANS = Noise(2)(0, torch.empty(2 * SIZE, SIZE, dtype=torch.float64))  # posterior means of the calibration set
ROOT = ONE.basis * P.sqrt()
SPREAD = math.sqrt(SIZE) * torch.cat([ROOT.T, -ROOT.T])  # truth minus mean: mean 0 and covariance P exactly
TOP = 50.0


def posterior_flow(start):
    """The ODE of each item's posterior N(mean_i, P), in closed form from level TOP to 0."""
    return MEANS + ONE.flow(start, TOP, 0.0)


def errors_of(e):
    return P.sum() + ((e @ ROOT) ** 2 / (1 + P / TOP**2)).sum(1)


def test_the_error_of_a_start_is_the_trace_plus_its_own_part():
    e = Noise(3)(0, torch.empty(20, SIZE, dtype=torch.float64))
    found = best_start(posterior_flow, TOP * e, MEANS + SPREAD)
    assert found.errors == pytest.approx(errors_of(e), rel=1e-12)
    assert found.index == int(found.errors.argmin()) and torch.equal(found.u, TOP * e[found.index])


def test_a_start_of_zero_reaches_the_trace_and_random_ones_twice_that():
    e = Noise(4)(0, torch.empty(4000, SIZE, dtype=torch.float64))
    assert float(best_start(posterior_flow, torch.zeros(1, SIZE).double(), MEANS + SPREAD).errors) == pytest.approx(
        float(P.sum())
    )
    assert float(errors_of(e).mean() / P.sum()) == pytest.approx(2, abs=0.03)


def test_choosing_among_more_starts_gains_less_and_less():
    """Best of 10, 100 and 1,000 at d = 16, in units of tr P, averaged over 40 choices: between 2 (random) and 1 (the limit)."""
    e = torch.randn(40, 1000, SIZE, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    errors = errors_of(e.flatten(0, 1)).view(40, 1000) / P.sum()
    best = [float(errors[:, :k].min(1).values.mean()) for k in (10, 100, 1000)]
    assert 2 > best[0] + 0.4 > best[1] + 0.5 > best[2] + 0.55 > 1.6 and best[2] < 1.15


def test_the_best_start_serves_a_real_sampler_for_every_input():
    grid = uniform_lambda(40, smin=0.01, smax=TOP)

    class Posteriors:
        def __call__(self, u, sigma):
            return MEANS + ONE(u - MEANS, sigma)

    candidates = TOP * Noise(5)(0, torch.empty(12, SIZE, dtype=torch.float64))
    found = best_start(lambda u: sample(Posteriors(), u, grid, heun), candidates, MEANS + SPREAD)
    assert found.index == best_start(posterior_flow, candidates, MEANS + SPREAD).index
    fresh = MEANS.flip(0) + SPREAD
    kept = sample(Posteriors(), found.u.expand(2 * SIZE, SIZE), grid, heun).flip(0)
    worst = sample(Posteriors(), candidates[found.errors.argmax()].expand(2 * SIZE, SIZE), grid, heun).flip(0)
    assert (kept - fresh).square().sum(1).mean() < 0.8 * (worst - fresh).square().sum(1).mean()
