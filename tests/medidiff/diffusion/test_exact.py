import math

import pytest
import torch
from scipy.stats import multivariate_normal

from medidiff.diffusion.exact import DataSet, Gaussian, Lesion, Mixture, gaussian_wasserstein, sliced_wasserstein
from medidiff.diffusion.grid import uniform_lambda
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.onestep import dpm3
from medidiff.diffusion.sample import sample

SIGMA = torch.tensor([0.1, 0.5, 2.0, 20.0], dtype=torch.float64)


def white(*shape: int, seed: int = 11) -> torch.Tensor:
    return Noise(seed, ("x",))(0, torch.empty(1, *shape, dtype=torch.float64))[0]


def gradient(function, u):
    """Row-wise gradient of a function (b, d) -> (b,)."""
    free = u.clone().requires_grad_()
    return torch.autograd.grad(function(free).sum(), free)[0]


def jacobian(denoiser, u, sigma):
    """Row-wise dD/du, (b, d, d)."""
    free = u.clone().requires_grad_()
    out = denoiser(free, sigma)
    return torch.stack([torch.autograd.grad(out[:, i].sum(), free, retain_graph=True)[0] for i in range(u.shape[1])], 1)


@pytest.mark.parametrize("name", ["gaussian", "mixture"])
def test_the_denoiser_is_the_score_of_its_density(name, request):
    prior, u = request.getfixturevalue(name), 2 * white(4, 8)
    score = gradient(lambda v: prior.log_density(v, SIGMA), u)
    assert prior(u, SIGMA) == pytest.approx(u + SIGMA[:, None] ** 2 * score, abs=1e-11)


@pytest.mark.parametrize("name", ["gaussian", "mixture"])
def test_the_jacobian_is_the_derivative_of_the_denoiser(name, request):
    prior, u = request.getfixturevalue(name), 2 * white(4, 8)
    assert prior.jacobian(u, SIGMA) == pytest.approx(jacobian(prior, u, SIGMA), abs=1e-12)


def test_densities_are_those_of_scipy(gaussian, mixture):
    u, sigma = 2 * white(4, 8), torch.full((4,), 0.5, dtype=torch.float64)
    noise = 0.25 * torch.eye(8, dtype=torch.float64)
    expected = multivariate_normal(gaussian.mean.numpy(), (gaussian.covariance() + noise).numpy()).logpdf(u.numpy())
    assert gaussian.log_density(u, sigma) == pytest.approx(torch.tensor(expected), rel=1e-12)
    parts = [
        w * multivariate_normal(m.numpy(), (c + noise).numpy()).pdf(u.numpy())
        for w, m, c in zip(mixture.weights, mixture.means, mixture.covariances())
    ]
    assert mixture.log_density(u, sigma) == pytest.approx(torch.log(sum(torch.as_tensor(part) for part in parts)), rel=1e-10)


def test_the_flow_solves_the_probability_flow_ode(gaussian, start):
    grid = uniform_lambda(1001, smin=0.3, smax=5.0)
    assert sample(gaussian, start[:4], grid, dpm3) == pytest.approx(gaussian.flow(start[:4], 5.0, 0.3), abs=1e-10)


def test_the_flow_keeps_the_marginals(gaussian):
    moved = gaussian.flow(gaussian.mean + torch.eye(8, dtype=torch.float64), 5.0, 0.3) - gaussian.mean
    total = moved.T @ (gaussian.covariance() + 25 * torch.eye(8, dtype=torch.float64)) @ moved
    assert total == pytest.approx(gaussian.covariance() + 0.09 * torch.eye(8, dtype=torch.float64), abs=1e-12)


def test_events_of_any_shape_are_the_same_as_vectors(gaussian):
    u = white(4, 8)
    shaped = Gaussian(gaussian.mean.view(2, 2, 2), gaussian.variance.view(2, 2, 2), gaussian.basis)
    assert torch.equal(shaped(u.view(4, 2, 2, 2), SIGMA), gaussian(u, SIGMA).view(4, 2, 2, 2))


def test_a_gaussian_posterior_is_the_precision_formula(gaussian):
    matrix, y, u = white(3, 8, seed=1), white(3, seed=2), 2 * white(4, 8)
    posterior = gaussian.posterior(matrix, y, 0.2)
    precision = torch.linalg.inv(gaussian.covariance())
    for row, sigma in zip(u, SIGMA):
        left = precision + torch.eye(8, dtype=torch.float64) / sigma**2 + matrix.T @ matrix / 0.04
        right = precision @ gaussian.mean + row / sigma**2 + matrix.T @ y / 0.04
        assert posterior(row[None], sigma[None])[0] == pytest.approx(torch.linalg.solve(left, right), abs=1e-12)


def test_a_mixture_posterior_is_bayes_rule(mixture):
    matrix, y, u = white(3, 8, seed=1), white(3, seed=2), 2 * white(4, 8)
    posterior = mixture.posterior(matrix, y, 0.7)
    zero = torch.full((4,), 1e-6, dtype=torch.float64)
    # log p(x | y) - log p(x) - log p(y | x) is one constant, and weights sum to 1
    residual = posterior.log_density(u, zero) - mixture.log_density(u, zero) + ((y - u @ matrix.T) ** 2).sum(1) / (2 * 0.49)
    assert residual == pytest.approx(residual.mean().expand(4), abs=1e-8)
    assert float(posterior.weights.sum()) == pytest.approx(1, abs=1e-14)


def test_a_mixture_of_one_component_is_a_gaussian(gaussian):
    u = white(4, 8)
    factor = (gaussian.basis * gaussian.variance.sqrt())[None]
    single = Mixture(torch.ones(1).double(), gaussian.mean[None], factor, torch.zeros(1).double())
    assert single(u, SIGMA) == pytest.approx(gaussian(u, SIGMA), abs=1e-12)


def test_smoothing_changes_weights_but_no_component(mixture):
    smooth = Mixture(mixture.weights, mixture.means, mixture.factors, mixture.floor, smoothing=0.6)
    u, sigma = 2 * white(4, 8), torch.full((4,), 0.8, dtype=torch.float64)
    assert torch.equal(smooth.component_means(u, sigma), mixture.component_means(u, sigma))
    level = torch.full((4,), 1.0, dtype=torch.float64)
    assert smooth.responsibilities(u, sigma) == pytest.approx(mixture.responsibilities(u, level), abs=1e-12)


def test_draws_have_the_moments_of_data_plus_noise(mixture):
    x = mixture.draw(white(40000, 8), torch.rand(40000, generator=torch.Generator().manual_seed(0), dtype=torch.float64), 0.5)
    mean = mixture.weights @ mixture.means
    spread = mixture.means - mean
    covariance = torch.einsum("k,kde->de", mixture.weights, mixture.covariances() + spread[:, :, None] * spread[:, None, :])
    assert x.mean(0) == pytest.approx(mean, abs=0.06)
    assert torch.cov(x.T) == pytest.approx(covariance + 0.25 * torch.eye(8), abs=0.25)


def test_gaussian_starts_have_the_covariance_of_data_plus_noise(gaussian):
    columns = gaussian.noisy(torch.eye(8, dtype=torch.float64), 2.0) - gaussian.mean
    assert columns.T @ columns == pytest.approx(gaussian.covariance() + 4 * torch.eye(8), abs=1e-12)


def test_a_data_set_is_a_mixture_without_width():
    points, u = white(5, 3, seed=3), white(4, 3)
    narrow = Mixture(torch.full((5,), 0.2).double(), points, torch.zeros(5, 3, 1).double(), torch.full((5,), 1e-14).double())
    assert DataSet(points)(u, SIGMA) == pytest.approx(narrow(u, SIGMA), abs=1e-10)
    assert DataSet(points).jacobian(u, SIGMA) == pytest.approx(jacobian(DataSet(points), u, SIGMA), abs=1e-11)


def test_a_lesion_is_a_data_set_of_two_images():
    u = white(4, 1, 3, 2)
    pair = DataSet(
        torch.stack([torch.ones(1, 3, 2), -torch.ones(1, 3, 2)]).double(), torch.tensor([0.3, 0.7], dtype=torch.float64)
    )
    assert Lesion(0.3)(u, SIGMA) == pytest.approx(pair(u, SIGMA), abs=1e-12)


def test_the_jacobian_of_a_heavy_tailed_kernel_is_refused():
    with pytest.raises(ValueError, match="heavy-tailed"):
        DataSet(white(5, 3), extra_dimensions=8.0).jacobian(white(4, 3), SIGMA)


def test_wasserstein_distance_of_commuting_gaussians_is_that_of_their_roots(gaussian):
    q, l, other = gaussian.basis, gaussian.variance, gaussian.variance.flip(0)
    expected = math.sqrt(float(((l.sqrt() - other.sqrt()) ** 2).sum()) + 8 * 0.25)
    found = gaussian_wasserstein(gaussian.mean, (q * l) @ q.T, gaussian.mean + 0.5, (q * other) @ q.T)
    assert found == pytest.approx(expected, rel=1e-10)


def test_sliced_wasserstein_of_a_shifted_set_is_the_projected_shift():
    x, shift = white(500, 4), torch.tensor([3.0, 0, 0, 0]).double()
    assert sliced_wasserstein(x, x) == 0.0
    assert sliced_wasserstein(x, x + shift, directions=4000) == pytest.approx(
        3 / 2, rel=0.03
    )  # E (axis . shift)^2 = |shift|^2 / d
