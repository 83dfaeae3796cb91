"""Classifier-free guidance: what its ODE does to a Gaussian, in closed form, and the identities of its weights."""

import math

import pytest
import torch

from medidiff.diffusion.denoiser import Limits
from medidiff.diffusion.exact import Gaussian
from medidiff.diffusion.grid import karras, uniform_lambda
from medidiff.diffusion.guidance import Guided
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.onestep import heun
from medidiff.diffusion.process import per_item
from medidiff.diffusion.propagation import Moments, propagated
from medidiff.diffusion.sample import sample
from medidiff.errors import ConfigError

ONE = torch.ones(1, dtype=torch.float64)


class Labelled:
    """x ~ N(0, C) with label 0, x given y = x + r n with label 1."""

    limits = Limits(sigma_max=100.0)

    def __init__(self, c=1.0, r=0.5, y=1.0):
        self.c, self.prior = c, Gaussian(0 * ONE, c * ONE)
        self.posterior = self.prior.posterior(ONE[:, None], y * ONE, r)
        self.batches = []

    def __call__(self, u, sigma, *, label):
        self.batches.append(len(u))
        return torch.where(per_item(label == 1, u) == 1, self.posterior(u, sigma), self.prior(u, sigma))


def bound(weight, model):
    """The guided denoiser with its condition, for states without a batch of conditions."""
    guided = Guided(model, {"label": torch.zeros(1)}, weight)
    return lambda u, sigma: guided(u, sigma, label=torch.ones(len(u)))


@pytest.mark.parametrize(("weight", "variance", "bayes"), [(1.0, 0.2, 0.2), (2.0, 0.040, 0.111), (4.0, 0.0016, 0.059)])
def test_guidance_gives_powers_of_the_variances_and_not_bayes(weight, variance, bayes):
    """C^(1-w) C_c^w by exact propagation; weight 1 is exact; Bayes with the evidence counted w times is 1 / (1/C + w/r^2)."""
    grid = uniform_lambda(401, smin=1e-3, smax=400.0)
    found = propagated(heun, bound(weight, Labelled()), grid, start=Moments(0 * ONE, 160001 * ONE[:, None]), shape=(1,))
    assert float(found.covariance) == pytest.approx(variance, rel=0.02)
    assert float(found.covariance) == pytest.approx(0.2**weight, rel=3e-3)
    assert 1 / (1 + weight / 0.25) == pytest.approx(bayes, rel=0.01)


def test_guidance_overshoots_the_mean():
    """Weight 2, y = 1, from far up: .16 int_0^inf sqrt(1 + s) / (s + .2)^2 ds = 1.058; Bayes counted twice .89."""
    known = 0.16 * (5 + math.log((1 + 0.8**0.5) / (1 - 0.8**0.5)) / (2 * 0.8**0.5))
    grid = uniform_lambda(401, smin=1e-3, smax=400.0)
    found = propagated(heun, bound(2.0, Labelled()), grid, start=Moments(0 * ONE, 160001 * ONE[:, None]), shape=(1,))
    assert float(found.mean) == pytest.approx(known, abs=2e-3)


def test_weight_0_is_the_free_prior_and_weight_1_the_conditional_one():
    u, sigma = Noise(1)(0, torch.empty(5, 1, dtype=torch.float64)), torch.linspace(0.1, 3, 5).double()
    model = Labelled()
    assert torch.equal(bound(0.0, model)(u, sigma), model.prior(u, sigma))
    assert (bound(1.0, model)(u, sigma) - model.posterior(u, sigma)).abs().max() < 1e-15
    wanted = model.prior(u, sigma) + 7.5 * (model.posterior(u, sigma) - model.prior(u, sigma))
    assert torch.equal(bound(7.5, model)(u, sigma), wanted)


def test_both_parts_are_one_batch_and_only_inside_the_interval():
    model = Labelled()
    guided = Guided(model, {"label": torch.zeros(1)}, 3.0, low=0.5, high=2.0)
    u, ones = torch.ones(4, 1, dtype=torch.float64), torch.ones(4)
    assert torch.equal(guided(u, torch.full((4,), 5.0).double(), label=ones), model.posterior(u, torch.full((4,), 5.0).double()))
    guided(u, torch.full((4,), 1.0).double(), label=ones)
    assert model.batches == [4, 8]
    sigma = torch.tensor([0.1, 0.5, 2.0, 2.1]).double()
    free, given = model.prior(u, sigma), model.posterior(u, sigma)
    wanted = free + torch.tensor([1.0, 3.0, 3.0, 1.0]).double()[:, None] * (given - free)
    assert (guided(u, sigma, label=ones) - wanted).abs().max() < 1e-15


def test_conditions_without_a_null_value_go_to_both_parts():
    def denoiser(u, sigma, *, label, mask):
        assert torch.equal(mask, torch.arange(3).repeat(2))
        return u * per_item(label, u)

    u = torch.ones(3, 1)
    out = Guided(denoiser, {"label": torch.zeros(1)}, 2.0)(u, ONE.expand(3), label=torch.ones(3), mask=torch.arange(3))
    assert torch.equal(out, 2 * u)


def test_a_sampler_hands_its_conditions_through():
    guided = Guided(Labelled(), {"label": torch.zeros(1)}, 2.0)
    u = 50 * Noise(2)(0, torch.empty(3, 1, dtype=torch.float64))
    x = sample(guided, u, karras(20, smin=0.01, smax=50.0), heun, label=torch.ones(3))
    assert bool(torch.isfinite(x).all()) and guided.limits.sigma_max == 100.0


def test_bad_guidance_is_refused():
    with pytest.raises(ConfigError, match="guidance weight nan: expected a number, 1 for none"):
        Guided(Labelled(), {}, float("nan"))
    with pytest.raises(ConfigError, match="guidance is on label, which this call does not give"):
        Guided(Labelled(), {"label": torch.zeros(1)}, 2.0)(torch.ones(1, 1), ONE)
