"""Two priors and a sum: mean and covariance in closed form by exact propagation; the split; the Gibbs sampler."""

import math

import pytest
import torch

from medidiff.diffusion.denoiser import Limits
from medidiff.diffusion.exact import Gaussian
from medidiff.diffusion.grid import karras, uniform_lambda, with_zero
from medidiff.diffusion.joint import ClassPair, IsotropicVariance, Joint, Pair, SplitGibbs, Sum, flat
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.onestep import heun
from medidiff.diffusion.process import per_item
from medidiff.diffusion.propagation import Moments, propagated
from medidiff.diffusion.sample import sample, sampler_name
from medidiff.diffusion.stochastic import PP2MSDE, Renoise
from medidiff.errors import ConfigError, DataError


def row(*values):
    return torch.tensor([values], dtype=torch.float64)


A, B = row(1.0, 0.3, 2.0), row(0.2, 1.5, 0.05)  # variances of x and h, one pixel each
MX, MH, Y = row(0.5, -1.0, 2.0), row(0.0, 0.7, -0.3), row(1.4, -2.0, 3.0)
PRIORS = Pair(Gaussian(MX, A), Gaussian(MH, B))
ZERO = torch.zeros(6, dtype=torch.float64)


def variance_of(variance):
    """The posterior variance of independent pixels at a level."""
    return lambda sigma: (variance * sigma[:, None, None] ** 2) / (variance + sigma[:, None, None] ** 2)


def total(noise_std=0.3, gain=0.8, **options):
    return Sum(Y[None], noise_std, gain, **({"first": variance_of(A), "second": variance_of(B)} | options))


def posterior(noise_std=0.3, gain=0.8):
    """p(x, h | y) as one Gaussian on six numbers."""
    matrix = torch.cat([torch.eye(3).double(), gain * torch.eye(3).double()], 1)
    mean, variance = torch.cat([MX, MH], 1)[0], torch.cat([A, B], 1)[0]
    if noise_std:
        return Gaussian(mean, variance).posterior(matrix, Y[0], noise_std)
    gram = torch.diag((A + gain**2 * B)[0])
    gain_matrix = torch.diag(variance) @ matrix.T @ torch.linalg.inv(gram)
    return Gaussian.of(mean + gain_matrix @ (Y[0] - matrix @ mean), torch.diag(variance) - gain_matrix @ matrix * variance)


@pytest.mark.parametrize(("noise_std", "rounding"), [(0.3, 5e-14), (0.0, 1e-12)])  # without noise the reference is singular
def test_the_joint_denoiser_is_exact_for_two_gaussian_priors(noise_std, rounding):
    sigma = torch.tensor([0.02, 0.4, 3.0, 50.0], dtype=torch.float64)
    u = Noise(1)(0, torch.empty(4, 2, 3, dtype=torch.float64))
    found = Joint(PRIORS, total(noise_std))(u, sigma)
    assert (found.flatten(1) - posterior(noise_std)(u.flatten(1), sigma)).abs().max() < rounding


@pytest.mark.parametrize("step", [heun, PP2MSDE(), Renoise()], ids=["heun", "pp2m_sde", "DDPM"])
def test_samplers_on_the_joint_denoiser_have_the_mean_and_covariance_of_the_posterior(step):
    known = posterior()
    start = Moments(known.mean, known.covariance() + 400 * torch.eye(6).double())
    errors = []
    for count in (41, 81):
        grid = uniform_lambda(count, smin=0.01, smax=20.0)
        found = propagated(step, Joint(PRIORS, total()), grid, start=start, shape=(2, 3))
        assert (found.mean - known.mean).abs().max() < 1e-12
        errors.append(float((found.covariance - known.covariance() - 1e-4 * torch.eye(6).double()).abs().max()))
    assert errors[1] < 0.1 and errors[0] / errors[1] > 1.8


def test_the_images_add_up_to_the_measurement_without_noise():
    y = 3 * Noise(2)(0, torch.empty(2, 1, 8, 8))
    pair = Pair(lambda u, sigma: 0.3 * u, lambda u, sigma: u.tanh())
    joint = Joint(pair, Sum(y, 0.0, 1.7, IsotropicVariance(0.5), IsotropicVariance(0.2)))
    u = 20 * Noise(3)(0, torch.empty(2, 2, 8, 8))
    x, h = sample(joint, u, with_zero(karras(10, smin=0.05, smax=20.0)), heun).chunk(2, 1)
    assert float((y - x - 1.7 * h).norm() / y.norm()) < 1e-6


def test_exchanged_priors_exchange_the_images():
    u = Noise(4)(0, torch.empty(2, 2, 3, dtype=torch.float64))
    sigma = torch.full((2,), 0.7, dtype=torch.float64)
    x, h = Joint(PRIORS, total(gain=1.0))(u, sigma).chunk(2, 1)
    swapped = Joint(Pair(PRIORS.second, PRIORS.first), total(gain=1.0, first=variance_of(B), second=variance_of(A)))
    assert (torch.cat([h, x], 1) - swapped(u.flip(1), sigma)).abs().max() < 1e-14


def test_one_network_with_two_classes_is_called_once_for_both():
    calls = []

    def network(u, sigma, *, label, depth):
        calls.append(len(u))
        assert torch.equal(depth, torch.arange(2).repeat(2))
        return torch.where(per_item(label == 0, u) == 1, PRIORS.first(u, sigma), PRIORS.second(u, sigma))

    u, sigma = Noise(5)(0, torch.empty(2, 2, 3, dtype=torch.float64)), torch.tensor([0.3, 2.0]).double()
    assert torch.equal(ClassPair(network)(u, sigma, depth=torch.arange(2)), PRIORS(u, sigma))
    assert calls == [4]


def test_a_pair_is_limited_by_both_priors():
    class Prior:
        def __init__(self, **limits):
            self.limits = Limits(**limits)

    limits = Pair(
        Prior(sigma_min=0.01, sigma_max=80.0, data_std=0.3, multiple=8), Prior(sigma_min=0.02, sigma_max=40.0, multiple=12)
    ).limits
    assert limits == Limits(0.02, 40.0, 0.3, 24)


@pytest.mark.parametrize("noise_std", [0.3, 0.0])
def test_split_gibbs_with_the_right_variances_is_exact_in_one_pass_per_level(noise_std):
    """Whatever the start: 40 levels forget it. The end is the mean given the state at the last level; its spread is known too."""
    known = posterior(noise_std)
    grid = with_zero(karras(41, smin=0.01, smax=5.0))
    for begin in (ZERO, ZERO + 3):
        start = Moments(begin, 25 * torch.eye(6).double())
        found = propagated(SplitGibbs(total(noise_std)), PRIORS, grid, start=start, shape=(2, 3))
        assert (found.mean - known.mean).abs().max() < 1e-5
        assert (found.covariance - known.covariance()).abs().max() < 3e-4


@pytest.mark.parametrize(
    ("levels", "repeats", "eta", "mean", "variance"),
    [(20, 1, 0.0, 0.818, 0.052), (20, 6, 0.0, 0.891, 0.046), (40, 12, 1.0, 0.906, 0.0924)],
)
def test_split_gibbs_with_an_even_split_needs_many_passes(levels, repeats, eta, mean, variance):
    """Variances 1 and .1, y = 1, sigma 5 to .01: truth 1/1.1 = .909 and .0909; the figures of the prototype of dehazing."""
    found = even_split(1.0, 0.1, levels, repeats, eta)
    assert float(found.mean[0]) == pytest.approx(mean, abs=0.002)
    assert float(found.covariance[0, 0]) == pytest.approx(variance, abs=0.001)


@pytest.mark.parametrize(
    ("a", "b"), [(0.1, 1.0), *(pytest.param(*pair, marks=pytest.mark.slow) for pair in ((1.0, 0.1), (1.0, 1.0), (1.0, 0.01)))]
)
def test_forty_levels_of_twelve_passes_meet_the_posterior(a, b):
    found = even_split(a, b, 40, 12, 1.0)
    assert float(found.mean[0]) == pytest.approx(a / (a + b), abs=0.01)
    assert float(found.covariance[0, 0]) == pytest.approx(a * b / (a + b), rel=0.05)


def even_split(a, b, levels, repeats, eta):
    pair = Pair(Gaussian(torch.zeros(1, 1).double(), row(a)), Gaussian(torch.zeros(1, 1).double(), row(b)))
    grid = with_zero(karras(levels, smin=0.01, smax=5.0).repeat_interleave(repeats))
    start = Moments(row(1.0, 0.0)[0], 25 * torch.eye(2).double())  # u = y, v = 0, at the first level
    return propagated(SplitGibbs(Sum(row(1.0)[None]), eta), pair, grid, start=start, shape=(2, 1))


def test_split_gibbs_resumes_by_name_and_draws_fresh_noise():
    one, other = SplitGibbs(total()), SplitGibbs(Sum(2 * Y[None], 0.3, 0.8))
    assert sampler_name(one) == sampler_name(SplitGibbs(total())) != sampler_name(other)
    assert one.is_stochastic and one.may_repeat
    u = Noise(6)(0, torch.empty(3, 2, 3, dtype=torch.float64))
    grid = with_zero(karras(5, smin=0.1, smax=5.0).repeat_interleave(2))
    first, again, new = (sample(PRIORS, u, grid, one, noise=Noise(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, new)


def test_the_sum_corrects_inside_renoise_too():
    u = Noise(7)(0, torch.empty(3, 2, 3, dtype=torch.float64))
    grid = karras(6, smin=0.1, smax=5.0)
    inside = sample(PRIORS, u, grid, Renoise(correct=total()), noise=Noise(1))
    assert (inside - sample(Joint(PRIORS, total()), u, grid, Renoise(), noise=Noise(1))).abs().max() < 1e-14


def test_the_even_split_is_half_and_half():
    sigma = torch.tensor([2.0]).double()
    assert float(flat(sigma)) == 4 and float(IsotropicVariance(1.0)(sigma)) == pytest.approx(0.8)
    out = Sum(row(1.0)[None])(torch.zeros(1, 2, 1).double(), 2.0)
    assert out.flatten().tolist() == [0.5, 0.5]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Sum(Y, -0.1), ConfigError, r"noise_std -0\.1: expected 0 or more"),
        (lambda: Sum(Y, 0.1, 0.0), ConfigError, "gain 0: y says nothing about h"),
        (lambda: Sum(Y * math.inf), DataError, r"y has 3 values that are not finite, first at \(0, 0\)"),
        (lambda: SplitGibbs(Sum(Y), 1.4), ConfigError, r"eta 1\.4: expected 0 to 1"),
    ],
)
def test_bad_input_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()
