"""The one formula against the closed-form posterior, by exact propagation; its solver, its reports and its refusals."""

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medidiff.diffusion.denoiser import as_channels, as_complex, edm, sliced
from medidiff.diffusion.exact import DataSet, Gaussian, Mixture
from medidiff.diffusion.grid import karras, uniform_lambda
from medidiff.diffusion.measurement import Channels, Measurement
from medidiff.diffusion.multistep import pp2m
from medidiff.diffusion.networks.mlp import MLP
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.onestep import euler, heun
from medidiff.diffusion.posterior import correction, data_consistent
from medidiff.diffusion.propagation import Moments, propagated
from medidiff.diffusion.rules import Flat, GradientStep, Isotropic, Literal, MomentMatching, PiGDM, Projection, Report, RowSums
from medidiff.diffusion.sample import Run, State, load_state, sample, sampler_name, save_state
from medidiff.diffusion.stochastic import PP2MSDE, Renoise
from medidiff.errors import ConfigError, DataError

ALL = (Isotropic(0.7), Flat(), Projection(), GradientStep(0.1), PiGDM(0.7), RowSums(), MomentMatching(0.7), Literal())
NAMES = [type(rule).__name__ for rule in ALL]
EXACTLY = {"iterations": 60, "tolerance": 1e-15}


def normal(*shape, seed=0):
    return Noise(seed, ("posterior",))(0, torch.empty(1, *shape, dtype=torch.float64))[0]


class Matrix:
    """A matrix on flattened images; `wrong` spoils one of its methods."""

    def __init__(self, matrix, wrong=None):
        self.matrix, self.wrong = matrix, wrong

    def forward(self, x):
        return x.flatten(1) @ self.matrix.to(x.dtype).T

    def adjoint(self, y):
        matrix = self.matrix.conj().to(y.dtype) * (1.04 if self.wrong == "scale" else 1)
        if self.wrong == "shift":
            matrix = matrix.roll(1, 1)
        return (y @ matrix).view(-1, 1, 2, 3)

    def normal(self, x):
        return self.adjoint(self.forward(x)) * (1.01 if self.wrong == "normal" else 1)


class Solving(Matrix):
    """The same with an exact solver, which counts."""

    calls = 0

    def solve_normal(self, kappa, rhs):
        self.calls += 1
        gram = self.matrix.conj().T @ self.matrix
        system = gram + kappa * torch.eye(len(gram), dtype=gram.dtype)
        return torch.linalg.solve(system, rhs.flatten(1).to(gram).T).T.view_as(rhs)


MATRIX = normal(4, 6, seed=1)
Y = normal(1, 4, seed=2)
SEEN = Measurement(Matrix(MATRIX), Y, 0.3)
U = normal(5, 1, 2, 3, seed=3)
MIXED = torch.tensor([0.02, 0.3, 1.0, 4.0, 80.0], dtype=torch.float64)  # one level per item


def gaussian(variance):
    """A prior on images (1, 2, 3) with an oblique basis."""
    return Gaussian(normal(1, 2, 3, seed=4), variance.view(1, 2, 3), torch.linalg.qr(normal(6, 6, seed=5))[0])


SPREAD = gaussian(torch.logspace(-2, 0.5, 6, dtype=torch.float64))
ROUND = gaussian(torch.full((6,), 0.49, dtype=torch.float64))


def exact(prior):
    return prior.posterior(MATRIX, Y[0], 0.3)


def difference(rule, prior):
    """Largest distance of a rule's prediction from the exact E[x0 | u, y]."""
    found = data_consistent(prior, SEEN, rule, **EXACTLY)(U, MIXED)
    return float((found - exact(prior)(U, MIXED)).abs().max())


def test_moment_matching_is_the_exact_denoiser_of_every_gaussian():
    assert difference(MomentMatching(1.0), SPREAD) < 2e-14
    assert difference(MomentMatching(1.0), ROUND) < 2e-14


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    d=st.integers(1, 7),
    m=st.integers(1, 9),
    seed=st.integers(0, 1000),
    noise_std=st.floats(0.05, 3),
    sigma=st.floats(0.05, 20),
)
def test_moment_matching_is_exact_whatever_is_measured(d, m, seed, noise_std, sigma):
    """More measurements than unknowns or fewer, any noise, any level."""
    matrix, root, mean, u = (
        normal(m, d, seed=seed),
        normal(d, d, seed=seed + 1),
        normal(d, seed=seed + 2),
        normal(3, d, seed=seed + 3),
    )
    prior, y = Gaussian.of(mean, root @ root.T), 2 * normal(1, m, seed=seed + 4)
    level = torch.full((3,), sigma, dtype=torch.float64)
    found = data_consistent(prior, Measurement(Flatless(matrix), y, noise_std), MomentMatching(1.0), **EXACTLY)(u, level)
    known = prior.posterior(matrix, y[0], noise_std)(u, level)
    assert (found - known).abs().max() < 1e-9 * float(known.abs().max() + 1)


@pytest.mark.parametrize("rule", [Isotropic(0.7), PiGDM(0.7)])
def test_isotropic_rules_are_exact_for_isotropic_priors_only(rule):
    assert difference(rule, ROUND) < 1e-13
    assert difference(rule, SPREAD) > 0.1


def test_row_sums_are_exact_where_the_covariance_of_the_measurement_is_diagonal():
    rows = torch.linalg.qr(MATRIX.T)[0].T * torch.tensor([[0.5], [1.0], [2.0], [0.1]], dtype=torch.float64)
    found = data_consistent(ROUND, Measurement(Matrix(rows), Y, 0.3), RowSums())(U, MIXED)
    assert float((found - ROUND.posterior(rows, Y[0], 0.3)(U, MIXED)).abs().max()) < 1e-13


def test_the_flat_rule_is_exact_for_a_flat_prior():
    """D = u is the denoiser of a prior without end: E[x0 | u, y] = (I/sigma^2 + A^T A/sy^2)^-1 (u/sigma^2 + A^T y/sy^2)."""
    found = data_consistent(lambda u, sigma: u, SEEN, Flat(), **EXACTLY)(U, MIXED).flatten(1)
    precision = torch.eye(6).double() / MIXED.view(-1, 1, 1) ** 2 + MATRIX.T @ MATRIX / 0.09
    known = torch.linalg.solve(precision, U.flatten(1) / MIXED[:, None] ** 2 + Y @ MATRIX / 0.09)
    assert (found - known).abs().max() < 1e-10


def test_the_projection_meets_the_measurement_and_keeps_what_was_not_measured():
    found = data_consistent(SPREAD, SEEN, Projection(), **EXACTLY)(U, MIXED).flatten(1)
    known = SPREAD(U, MIXED).flatten(1)
    known = known + (Y - known @ MATRIX.T) @ torch.linalg.pinv(MATRIX).T
    assert (found - known).abs().max() < 1e-12
    assert (found @ MATRIX.T - Y).abs().max() < 1e-12


def test_the_literal_likelihood_over_counts_the_data_by_its_known_factor():
    """One pixel: the shift of the exact rule times 1 + V / sy^2."""
    prior = Gaussian(torch.zeros(1, 1, 1).double(), torch.ones(1, 1, 1).double())
    seen = Measurement(Pixel(), torch.ones(1, 1, 1, 1).double(), 0.3)
    u, sigma = torch.full((1, 1, 1, 1), 0.5).double(), torch.tensor([0.8], dtype=torch.float64)
    shifts = [data_consistent(prior, seen, rule)(u, sigma) - prior(u, sigma) for rule in (Literal(), MomentMatching(1.0))]
    variance = 0.64 / 1.64
    assert float(shifts[0] / shifts[1]) == pytest.approx(1 + variance / 0.09, rel=1e-12)


class Pixel:
    """The identity."""

    def forward(self, x):
        return x

    adjoint = normal = forward


def test_a_gradient_step_moves_along_the_misfit():
    found = data_consistent(SPREAD, SEEN, GradientStep(0.2))(U, MIXED) - SPREAD(U, MIXED)
    misfit = Y - SPREAD(U, MIXED).flatten(1) @ MATRIX.T
    assert (found.flatten(1) - 0.2 * misfit @ MATRIX).abs().max() < 1e-13
    assert SEEN.norm_squared(U, 200) == pytest.approx(float(torch.linalg.matrix_norm(MATRIX, 2)) ** 2, rel=1e-6)


@pytest.mark.parametrize(
    "rule", [Isotropic(0.7), Flat(), PiGDM(0.7), MomentMatching(0.7), RowSums(), Literal()], ids=lambda r: type(r).__name__
)
def test_a_measurement_that_says_nothing_leaves_the_prior(rule):
    """A = 0 exactly, and noise without end in the limit."""
    nothing = data_consistent(SPREAD, Measurement(Matrix(0 * MATRIX), Y, 0.3), rule)(U, MIXED)
    assert torch.equal(nothing, SPREAD(U, MIXED))
    drowned = data_consistent(SPREAD, Measurement(Matrix(MATRIX), Y, 1e7), rule)(U, MIXED)
    assert (drowned - SPREAD(U, MIXED)).abs().max() < 1e-8


@pytest.mark.parametrize("rule", [Isotropic(0.7), Flat(), MomentMatching(0.7)], ids=lambda r: type(r).__name__)
def test_a_complete_measurement_without_noise_returns_itself(rule):
    whole = normal(6, 6, seed=30) + 3 * torch.eye(6).double()
    x = normal(1, 6, seed=31)
    found = data_consistent(SPREAD, Measurement(Matrix(whole), x @ whole.T, 0.0), rule, **EXACTLY)(U, MIXED.clamp(max=4.0))
    assert (found.flatten(1) - x).abs().max() < 1e-9


@pytest.mark.parametrize("step", [heun, PP2MSDE(), Renoise()], ids=["heun", "pp2m_sde", "DDPM"])
def test_any_sampler_fed_with_an_exact_rule_ends_at_the_posterior(step):
    """Mean and covariance by exact propagation; what is left falls with the number of levels."""
    posterior, errors = exact(SPREAD), []
    start = Moments(posterior.mean.flatten(), posterior.covariance() + 400 * torch.eye(6).double())
    for count in (25, 49):
        grid = uniform_lambda(count, smin=0.01, smax=20.0)
        rule = data_consistent(SPREAD, SEEN, MomentMatching(1.0), **EXACTLY)
        moments = propagated(step, rule, grid, start=start, shape=(1, 2, 3))
        direct = propagated(step, posterior, grid, start=start, shape=(1, 2, 3))
        assert (moments.mean - direct.mean).abs().max() < 1e-12
        assert (moments.covariance - direct.covariance).abs().max() < 1e-12
        assert (moments.mean - posterior.mean.flatten()).abs().max() < 1e-12
        truth = posterior.covariance() + 1e-4 * torch.eye(6).double()
        errors.append(float(torch.linalg.matrix_norm(moments.covariance - truth)))
    order = math.log2(errors[0] / errors[1])
    assert order == pytest.approx(1 if isinstance(step, Renoise) else 2, abs=0.45)


def test_propagation_gives_the_moments_of_samples():
    """The one check by samples: 20,000 of them, a method with memory and noise, one shared generator."""
    prior, grid, generator = exact(SPREAD), karras(7, smin=0.05, smax=10.0), torch.Generator().manual_seed(0)

    class Shared(Noise):
        def __call__(self, step, like, draw=0):
            return torch.randn(like.shape, generator=generator, dtype=like.dtype)

    start = Moments(torch.zeros(6).double(), 100 * torch.eye(6).double())
    moments = propagated(PP2MSDE(), prior, grid, start=start, shape=(1, 2, 3))
    u = 10 * Shared()(0, torch.empty(20000, 1, 2, 3, dtype=torch.float64))
    x = sample(prior, u, grid, PP2MSDE(), noise=Shared()).flatten(1)
    assert (x.mean(0) - moments.mean).abs().max() < 4 * float(x.std(0).max()) / math.sqrt(20000)
    assert (torch.cov(x.T) - moments.covariance).abs().max() < 0.05 * float(moments.covariance.abs().max())


def test_a_correction_inside_renoise_is_the_rule_around_the_denoiser():
    """noise_from="posterior" with `correct` is the ancestral step of the wrapped denoiser; "prior" keeps the prior's noise."""
    grid = karras(9, smin=0.05, smax=5.0)
    wrapped = sample(data_consistent(SPREAD, SEEN, Isotropic(0.7)), U, grid, Renoise(), noise=Noise(3))
    inside = Renoise(correct=correction(SEEN, Isotropic(0.7)))
    assert torch.equal(sample(SPREAD, U, grid, inside, noise=Noise(3)), wrapped)
    kept = Renoise(eta=0.0, rule="fresh", noise_from="prior", correct=correction(SEEN, Isotropic(0.7)))
    one = sample(SPREAD, U, grid[:2], kept)
    denoised = SPREAD(U, grid[:1].expand(5))
    moved = correction(SEEN, Isotropic(0.7))(denoised, 5.0) + float(grid[1]) / 5.0 * (U - denoised)
    assert (one - moved).abs().max() < 1e-14


def test_image_space_and_measurement_space_give_the_same_prediction():
    """D + A^T (A A^T + kappa I)^-1 (y - A D), kappa = sy^2 / r^2: the form of the papers, a dense solve."""
    denoised = SPREAD(U, MIXED).flatten(1)
    found = data_consistent(SPREAD, SEEN, Isotropic(0.7), **EXACTLY)(U, MIXED).flatten(1)
    for row, sigma in enumerate(MIXED):
        kappa = 0.09 * (0.49 + sigma**2) / (0.49 * sigma**2)
        z = torch.linalg.solve(MATRIX @ MATRIX.T + kappa * torch.eye(4).double(), Y[0] - MATRIX @ denoised[row])
        assert (found[row] - denoised[row] - MATRIX.T @ z).abs().max() < 1e-13


@pytest.mark.parametrize("iterations", [1, 2, 3])
def test_few_iterations_are_those_of_conjugate_gradients_started_at_the_prediction(iterations):
    """DDS runs (A^T A + kappa) x = A^T y + kappa D from x = D (Chung 2024, algorithm 1): written out here on its own."""
    kappa = 0.09 / (0.49 * 4 / 4.49)
    denoised = SPREAD(U, torch.full((5,), 2.0).double()).flatten(1)
    system = MATRIX.T @ MATRIX + kappa * torch.eye(6).double()
    wanted = denoised.clone()
    for row in wanted:
        residual = Y[0] @ MATRIX + kappa * row - system @ row
        direction = residual
        for _ in range(iterations):
            step = residual @ residual / (direction @ system @ direction)
            row += step * direction
            after = residual - step * system @ direction
            direction, residual = after + (after @ after) / (residual @ residual) * direction, after
    found = correction(SEEN, Isotropic(0.7), iterations=iterations, tolerance=0.0)(denoised.view(5, 1, 2, 3), 2.0)
    assert (found.flatten(1) - wanted).abs().max() < 1e-13


def test_an_exact_solver_of_the_operator_replaces_conjugate_gradients():
    operator = Solving(MATRIX)
    seen = Measurement(operator, Y, 0.3)
    for rule in (Isotropic(0.7), Flat(), PiGDM(0.7)):
        found = data_consistent(SPREAD, seen, rule)(U, MIXED)
        assert (found - data_consistent(SPREAD, SEEN, rule, **EXACTLY)(U, MIXED)).abs().max() < 1e-9
    assert operator.calls == 3 * len(MIXED)  # one for each level in the batch
    before = operator.calls
    data_consistent(SPREAD, seen, Projection())(U, MIXED)  # kappa = 0: singular, so by conjugate gradients
    assert operator.calls == before


@pytest.mark.parametrize("rule", ALL, ids=NAMES)
def test_items_of_a_batch_do_not_know_each_other(rule):
    together = data_consistent(SPREAD, SEEN, rule)(U, MIXED)
    for row in range(5):
        alone = data_consistent(SPREAD, SEEN, rule)(U[row : row + 1], MIXED[row : row + 1])
        assert (alone - together[row : row + 1]).abs().max() < 1e-12 * max(1.0, float(alone.abs().max()))


@pytest.mark.parametrize("rule", ALL, ids=NAMES)
def test_each_item_may_have_its_own_measurement(rule):
    y = Y + torch.arange(5).double()[:, None]
    together = data_consistent(SPREAD, Measurement(Matrix(MATRIX), y, 0.3), rule)(U, MIXED)
    third = data_consistent(SPREAD, Measurement(Matrix(MATRIX), y[2:3], 0.3), rule)(U, MIXED)
    assert (together[2] - third[2]).abs().max() < 1e-12 * max(1.0, float(third[2].abs().max()))


@pytest.mark.parametrize("rule", ALL, ids=NAMES)
def test_states_keep_their_precision(rule):
    found = data_consistent(SPREAD, SEEN, rule)(U.float(), MIXED)
    wanted = data_consistent(SPREAD, SEEN, rule)(U, MIXED)
    assert found.dtype == torch.float32
    assert (found - wanted).abs().max() < 2e-4 * float(wanted.abs().max())


def test_conditions_reach_the_prior_inside_every_rule():
    def prior(u, sigma, *, gain):
        return gain.view(-1, 1, 1, 1) * SPREAD(u, sigma)

    for rule in ALL:
        found = data_consistent(prior, SEEN, rule)(U, MIXED, gain=torch.ones(5).double())
        assert torch.equal(found, data_consistent(SPREAD, SEEN, rule)(U, MIXED))


@pytest.mark.parametrize(
    "rule", [MomentMatching(1.0), Isotropic(0.7), PiGDM(0.7), RowSums()], ids=lambda rule: type(rule).__name__
)
def test_complex_images_are_two_real_channels(rule):
    """A complex operator on z = a + ib is a real one of twice the size on (a, b); V couples real and imaginary parts."""
    c = torch.complex(normal(4, 6, seed=6), normal(4, 6, seed=7))
    z = torch.complex(normal(5, 1, 2, 3, seed=8), normal(5, 1, 2, 3, seed=9))
    u, y = as_channels(z), torch.complex(normal(1, 4, seed=10), normal(1, 4, seed=11))
    variance = (
        torch.full((12,), 0.49, dtype=torch.float64) if rule != MomentMatching(1.0) else torch.logspace(-1, 0.5, 12).double()
    )
    prior = Gaussian(normal(2, 2, 3, seed=12), variance.view(2, 2, 3), torch.linalg.qr(normal(12, 12, seed=13))[0])
    if isinstance(rule, RowSums):
        c = torch.linalg.qr(c.mH)[0].mH * 0.8
    found = data_consistent(prior, Measurement(Channels(Matrix(c)), y, 0.3), rule, **EXACTLY)(u, MIXED)
    real = torch.cat([torch.cat([c.real, -c.imag], 1), torch.cat([c.imag, c.real], 1)])
    known = prior.posterior(real, torch.cat([y.real, y.imag], 1)[0], 0.3)(u, MIXED)
    assert (found - known).abs().max() < 1e-12
    exactly = data_consistent(prior, Measurement(Channels(Solving(c)), y, 0.3), rule, **EXACTLY)(u, MIXED)
    assert (found - exactly).abs().max() < 1e-12
    assert (as_complex(found) - torch.complex(known[:, :1], known[:, 1:])).abs().max() < 1e-12


def test_moment_matching_falls_back_where_the_jacobian_is_not_positive_and_counts_it():
    def prior(u, sigma):
        flipped = torch.tensor([1.0, 1.0, -4.0], dtype=u.dtype).view(3, 1, 1, 1)  # only the last item has a negative J
        return flipped * u

    u, sigma = U[:3], torch.full((3,), 2.0).double()
    rule = data_consistent(prior, SEEN, MomentMatching(0.7), iterations=20)
    found, safe = rule(u, sigma), data_consistent(prior, SEEN, PiGDM(0.7), iterations=20)(u, sigma)
    assert rule.report.negative_curvature == 1 and rule.report.solves == 6
    assert torch.equal(found[2], safe[2]) and not torch.equal(found[0], safe[0])


def test_rules_that_use_the_jacobian_report_its_asymmetry():
    turn = torch.linalg.qr(normal(6, 6, seed=24))[0]

    def turned(u, sigma):
        return (SPREAD(u, sigma).flatten(1) @ turn).view_as(u)

    grid = karras(12, smin=0.05, smax=20.0)
    straight, crooked = (data_consistent(prior, SEEN, PiGDM(0.7)) for prior in (SPREAD, turned))
    for rule in (straight, crooked):
        sample(rule, U, grid, euler)
    levels = list(straight.report.asymmetry)
    assert levels[0] == 20.0 and all(a / b >= 4 for a, b in pairwise(levels)) and levels[-1] < 0.5
    assert max(straight.report.asymmetry.values()) < 1e-12
    assert min(crooked.report.asymmetry.values()) > 0.1
    gradient_free = data_consistent(SPREAD, SEEN, Isotropic(0.7))
    gradient_free(U, MIXED)
    assert not gradient_free.report.asymmetry and gradient_free.report.solves == 5


def test_the_report_says_in_one_line_what_happened():
    report = Report(solves=200, products=700, worst_residual=0.0031, negative_curvature=3, asymmetry={20.0: 0.22, 1.0: 0.4567})
    assert report.summary() == (
        "200 systems, 3.5 products each, residual up to 3.1e-03; 1.5% were not positive and took an isotropic V; "
        "|J - J^T| / |J| 0.22 at sigma 20, 0.46 at sigma 1"
    )
    assert Report().summary() == "0 systems, 0.0 products each, residual up to 0.0e+00"


def test_the_default_rules_call_the_prior_once_and_never_differentiate_it():
    class Sealed(torch.autograd.Function):
        @staticmethod
        def forward(ctx, u):
            return u.clone()

        @staticmethod
        def backward(ctx, *grads):
            raise AssertionError("differentiated")

    calls = []
    for rule in (Isotropic(0.7), Flat(), Projection(), GradientStep(0.1)):
        data_consistent(lambda u, sigma: calls.append(1) or Sealed.apply(u), SEEN, rule)(U.clone().requires_grad_(), MIXED)
    assert len(calls) == 4


def test_rules_that_differentiate_a_network_leave_its_parameters_alone():
    network = MLP(6, width=16)
    network.leave.weight.data = normal(6, 16, seed=45).float()  # it is 0 until it is trained
    prior, plain = edm(network, 0.7), Measurement(Flatless(MATRIX.float()), Y.float(), 0.3)
    u = U.flatten(1).float()
    for rule in (PiGDM(0.7), RowSums(), MomentMatching(0.7), Literal()):
        wrapped = data_consistent(prior, plain, rule)
        found = wrapped(u, MIXED.clamp(min=0.3))
        assert bool(torch.isfinite(found).all()) and not found.requires_grad
        assert wrapped.report.asymmetry[80.0] > 1e-3
    assert all(parameter.grad is None for parameter in network.parameters())


@pytest.mark.parametrize("rule", [MomentMatching(1.0), Isotropic(1.0)], ids=lambda r: type(r).__name__)
def test_volumes_are_reconstructed_with_priors_of_their_slices(rule):
    """A measurement across three slices, a prior that knows one slice: the posterior of the whole volume, exactly."""
    root = normal(4, 4, seed=40) if isinstance(rule, MomentMatching) else torch.eye(4).double()
    slice_prior = Gaussian(normal(1, 2, 2, seed=41), *spectrum(root @ root.T))
    volume_prior = Gaussian.of(slice_prior.mean.flatten().repeat(3), torch.block_diag(*3 * [root @ root.T]))
    matrix, y = normal(5, 12, seed=42), normal(1, 5, seed=43)

    class Across(Matrix):
        def adjoint(self, y):
            return (y @ self.matrix).view(-1, 1, 3, 2, 2)

    u, sigma = normal(1, 1, 3, 2, 2, seed=44), torch.tensor([0.8]).double()
    found = data_consistent(sliced(slice_prior), Measurement(Across(matrix), y, 0.3), rule, **EXACTLY)(u, sigma)
    known = volume_prior.posterior(matrix, y[0], 0.3)(u.flatten(1), sigma)
    assert (found.flatten(1) - known).abs().max() < 1e-12


def spectrum(covariance):
    """Eigenvalues as an image (1, 2, 2), and eigenvectors."""
    values, vectors = torch.linalg.eigh(covariance)
    return values.view(1, 2, 2), vectors


def test_moment_matching_of_a_mixture_is_only_near_the_exact_denoiser():
    """The exact rule for Gaussians meets the mixture's local covariance but not the change of its weights."""
    mixture = Mixture(
        torch.tensor([0.5, 0.5]).double(),
        2 * normal(2, 6, seed=25),
        0.3 * normal(2, 6, 2, seed=26),
        torch.full((2,), 0.1).double(),
    )
    u, sigma = normal(50, 6, seed=27), torch.full((50,), 1.0).double()
    seen = Measurement(Flatless(MATRIX), Y, 0.3)
    known = mixture.posterior(MATRIX, Y[0], 0.3)(u, sigma)
    error = [
        float((data_consistent(mixture, seen, rule, **EXACTLY)(u, sigma) - known).square().mean().sqrt())
        for rule in (MomentMatching(1.0), Isotropic(1.0))
    ]
    assert 1e-3 < error[0] < 0.6 * error[1]


class Flatless(Matrix):
    """The matrix on plain vectors."""

    def adjoint(self, y):
        return y @ self.matrix


def test_a_run_with_a_correction_resumes_with_the_same_measurement_only():
    def run_of(y):
        step = Renoise(correct=correction(Measurement(Matrix(MATRIX), y, 0.3), Isotropic(0.7)))
        return Run(sampler_name(step), "3fa2", 0, (5.0, 1.0))

    content = save_state(State(U), run_of(Y))
    assert torch.equal(load_state(content, run_of(Y.clone())).u, U)
    with pytest.raises(DataError, match="state was saved with sampler"):
        load_state(content, run_of(Y + 1))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Measurement(Matrix(MATRIX), Y, -0.1), ConfigError, r"noise_std -0\.1: expected 0 or more"),
        (lambda: Measurement(Matrix(MATRIX), Y, float("nan")), ConfigError, "noise_std nan: expected 0 or more"),
        (
            lambda: Measurement(Matrix(MATRIX), Y.where(Y.max() > Y, torch.nan), 0.1),
            DataError,
            r"y has 1 values that are not finite, first at \(0, \d\)",
        ),
        (
            lambda: Measurement(Matrix(MATRIX, "scale"), Y, 0.1),
            DataError,
            "adjoint is off by 4e-02: CG would diverge; run physics.laws",
        ),
        (lambda: Measurement(Matrix(MATRIX, "shift"), Y, 0.1), DataError, "adjoint is off by .*: CG would diverge"),
        (
            lambda: Measurement(Matrix(MATRIX, "normal"), Y, 0.1),
            DataError,
            r"normal is off from adjoint\(forward\(x\)\) by 1e-02",
        ),
        (lambda: Measurement(Matrix(MATRIX + 0j), Y + 0j, 0.1), DataError, "works on complex images; wrap it in Channels"),
        (lambda: Measurement(RealPart(MATRIX), Y + 0j, 0.1), DataError, "y is complex, the operator makes real measurements"),
        (lambda: Measurement(Narrow(MATRIX), Y, 0.1), DataError, r"y has shape \(4,\) per item, the operator makes \(3,\)"),
    ],
    ids=["negative", "nan", "not finite", "scale", "shift", "normal", "complex", "complex y", "shape"],
)
def test_wrong_measurements_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


class RealPart(Matrix):
    """An operator that forgets the imaginary part of what it is given."""

    def adjoint(self, y):
        return super().adjoint(y.real)


class Narrow(Matrix):
    """An operator that forgets a row."""

    def forward(self, x):
        return super().forward(x)[:, :3]


def test_rules_are_refused_where_they_cannot_work():
    silent = Measurement(Matrix(MATRIX), Y, 0.0)
    for rule in (Literal(), RowSums()):
        with pytest.raises(ConfigError, match=f"{type(rule).__name__} divides by noise_std, which is 0"):
            data_consistent(SPREAD, silent, rule)
    for rule in (PiGDM(0.7), RowSums(), MomentMatching(0.7), Literal()):
        with pytest.raises(ConfigError, match="needs the Jacobian of the denoiser; use data_consistent"):
            correction(SEEN, rule)
    heavy = DataSet(normal(3, 1, 2, 3), extra_dimensions=128.0)
    with pytest.raises(ConfigError, match=r"PFGM\+\+ with finite D does not allow; use Isotropic"):
        data_consistent(heavy, SEEN, MomentMatching(0.7))
    data_consistent(heavy, SEEN, Isotropic(0.7))(U, MIXED)


def test_limits_of_the_prior_hold_for_its_posterior():
    heavy = DataSet(normal(3, 1, 2, 3), extra_dimensions=128.0)
    with pytest.raises(ConfigError, match="no Gaussian kernel"):
        sample(data_consistent(heavy, SEEN, Isotropic(0.7)), U, karras(5, smin=0.1, smax=5.0), Renoise())
    sample(data_consistent(heavy, SEEN, Isotropic(0.7)), U, karras(5, smin=0.1, smax=5.0), pp2m)
