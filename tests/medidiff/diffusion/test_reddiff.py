"""RED-diff against its fixed point in closed form, and the weight that makes it exact."""

import pytest
import torch

from medidiff.diffusion.denoiser import as_channels
from medidiff.diffusion.exact import Gaussian
from medidiff.diffusion.grid import karras, uniform_lambda, with_zero
from medidiff.diffusion.measurement import Channels, Measurement
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.reddiff import RedDiff, fixed_point, red_diff
from medidiff.errors import ConfigError, DataError


class Matrix:
    """A matrix on vectors, real or complex."""

    def __init__(self, matrix):
        self.matrix = matrix

    def forward(self, x):
        return x @ self.matrix.T

    def adjoint(self, y):
        return y @ self.matrix.conj()

    def normal(self, x):
        return self.adjoint(self.forward(x))


def normal(*shape, seed):
    return Noise(seed, ("reddiff",))(0, torch.empty(1, *shape, dtype=torch.float64))[0]


PRIOR = Gaussian(normal(6, seed=1), torch.logspace(-1, 0.5, 6, dtype=torch.float64), torch.linalg.qr(normal(6, 6, seed=2))[0])
MATRIX, Y = normal(3, 6, seed=3), normal(1, 3, seed=4)
SEEN = Measurement(Matrix(MATRIX), Y, 0.4)
LEVELS = uniform_lambda(40, smin=0.05, smax=5.0)


def posterior_std(x):
    """Distance of an image from the posterior mean, in posterior standard deviations (rms)."""
    posterior = PRIOR.posterior(MATRIX, Y[0], 0.4)
    offset = x.flatten() - posterior.mean
    return float(torch.sqrt(offset @ torch.linalg.solve(posterior.covariance(), offset) / 6))


def mean_gradient(m, options, levels=LEVELS):
    """The gradient averaged over levels and over pairs +z, -z: exact, since the denoiser is affine."""
    z = normal(len(levels), 6, seed=5)
    both = (options.gradient(PRIOR, SEEN, m.expand(len(levels), 6), sigma=levels, z=sign * z) for sign in (1, -1))
    return sum(gradient.mean(0) for gradient in both) / 2


@pytest.mark.parametrize("options", [RedDiff(), RedDiff(lam=4.0), RedDiff(weight=torch.sqrt), RedDiff(weight=torch.ones_like)])
def test_the_mean_gradient_vanishes_at_the_closed_form(options):
    m = fixed_point(PRIOR, MATRIX, y=Y[0], noise_std=0.4, levels=LEVELS, options=options)
    assert mean_gradient(m, options).abs().max() < 1e-12
    assert mean_gradient(m + 0.1, options).abs().max() > 1e-2


def test_weight_1_over_sigma_near_0_gives_the_posterior_mean_and_the_papers_weight_does_not():
    exact = RedDiff(lam=1.0, weight=torch.reciprocal)
    tiny = torch.full((1,), 1e-6, dtype=torch.float64)
    assert posterior_std(fixed_point(PRIOR, MATRIX, y=Y[0], noise_std=0.4, levels=tiny, options=exact)) < 1e-9
    assert posterior_std(fixed_point(PRIOR, MATRIX, y=Y[0], noise_std=0.4, levels=LEVELS, options=RedDiff())) > 0.3


def test_adam_ends_near_the_fixed_point():
    """Levels so close together that the fixed point stands still; 16 runs, whose mean has a quarter of the noise of one."""
    options, grid = RedDiff(lam=1.0, learning_rate=0.02), uniform_lambda(800, smin=0.5, smax=0.51)
    m = red_diff(PRIOR, SEEN, torch.zeros(16, 6, dtype=torch.float64), grid, options=options, noise=Noise(0))
    known = fixed_point(PRIOR, MATRIX, y=Y[0], noise_std=0.4, levels=grid, options=options)
    assert known.abs().max() > 1 and (m.mean(0) - known).abs().max() < 0.05


def test_complex_measurements_pull_on_both_channels():
    c = torch.complex(normal(3, 4, seed=6), normal(3, 4, seed=7))
    x = torch.complex(normal(1, 4, seed=8), normal(1, 4, seed=9))

    class Image(Matrix):
        def forward(self, x):
            return x[:, 0] @ self.matrix.T

        def adjoint(self, y):
            return (y @ self.matrix.conj())[:, None]

    seen = Measurement(Channels(Image(c)), x @ c.T, 0.1)
    m = as_channels(x[:, None])
    options = RedDiff(lam=0.0)
    assert options.gradient(lambda u, sigma: u, seen, m, sigma=torch.ones(1).double(), z=0 * m).abs().max() < 1e-12


def test_every_level_is_one_call_and_is_shown():
    calls, shown = [], []

    def prior(u, sigma):
        calls.append(float(sigma[0]))
        return PRIOR(u, sigma)

    m = red_diff(prior, SEEN, torch.zeros(2, 6).double(), LEVELS, on_step=shown.append)
    assert calls == LEVELS.tolist() and [state.step for state in shown] == list(range(40))
    assert torch.equal(shown[-1].u, m) and not torch.equal(shown[0].u, m)


def test_a_run_repeats_to_the_byte_and_leaves_its_start_alone():
    start = torch.zeros(2, 6).double()
    one, two = (red_diff(PRIOR, SEEN, start, LEVELS, noise=Noise(3)) for _ in range(2))
    assert torch.equal(one, two) and not start.any()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: RedDiff(lam=-1.0), ConfigError, "lam -1: expected 0 or more"),
        (lambda: RedDiff(learning_rate=0.0), ConfigError, "learning_rate 0: expected more than 0"),
        (
            lambda: red_diff(PRIOR, Measurement(Matrix(MATRIX), Y, 0.0), Y, LEVELS),
            ConfigError,
            "RED-diff divides by noise_std, which is 0",
        ),
        (lambda: red_diff(PRIOR, SEEN, Y, with_zero(LEVELS)), ConfigError, "RED-diff divides by the level; leave the last 0"),
        (lambda: red_diff(PRIOR, SEEN, Y * torch.nan, LEVELS), DataError, "start has 3 values that are not finite"),
        (lambda: red_diff(PRIOR, SEEN, Y, karras(5, smin=0.1, smax=1.0).flip(0)), ConfigError, "sigma rises from 0.1 to"),
    ],
)
def test_bad_input_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()
