import pytest
import torch

from medidiff.diffusion.dpm_v3 import DPMv3, Statistics, measure
from medidiff.diffusion.exact import Gaussian, Mixture
from medidiff.diffusion.grid import uniform_lambda, with_zero
from medidiff.diffusion.multistep import pp2m
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.onestep import dpm3, euler
from medidiff.diffusion.sample import State, sample
from medidiff.errors import ConfigError

LEVELS = uniform_lambda(400, smin=0.02, smax=20.0)
MODES = torch.logspace(-2, 0.6, 6, dtype=torch.float64)
PRIOR = Gaussian(torch.linspace(-1, 2, 6, dtype=torch.float64), MODES)


def white(*shape, seed):
    return Noise(seed, ("x",))(0, torch.empty(1, *shape, dtype=torch.float64))[0]


@pytest.fixture(scope="module")
def statistics():
    data = PRIOR.mean + MODES.sqrt() * white(64, 6, seed=1)
    return measure(PRIOR, data, LEVELS)


def test_the_linear_part_of_a_diagonal_gaussian_is_exact(statistics):
    expected = LEVELS[:, None] ** 2 / (MODES + LEVELS[:, None] ** 2)
    assert (statistics.l - expected).abs().max() < 5e-15
    assert (statistics.s == 0).all()  # f = -l mean does not vary: there is no slope to fit
    rate = 2 * expected * (1 - expected) * PRIOR.mean  # b = f' = -(dl/dlambda) mean, dl/dlambda = -2 l (1 - l)
    assert (statistics.b - rate)[1:-1].abs().max() < 1e-3


def test_one_step_is_exact_on_a_diagonal_gaussian(statistics):
    u, grid = PRIOR.noisy(white(64, 6, seed=2), 20.0), torch.tensor([20.0, 0.02], dtype=torch.float64)
    end = PRIOR.flow(u, 20.0, 0.02)
    assert (sample(PRIOR, u, grid, DPMv3(statistics)) - end).abs().max() < 2e-4  # the trapezoid rule of 400 levels
    assert (sample(PRIOR, u, grid, euler) - end).abs().max() > 1.0


@pytest.mark.parametrize("order", [1, 2, 3])
def test_the_flat_statistics_give_the_data_form(order, mixture):
    """l = 1, s = b = 0: order 1 is Euler, and order 2 the exponential Adams method in D."""
    flat = Statistics(LEVELS, torch.ones(400, 8).double(), torch.zeros(400, 8).double(), torch.zeros(400, 8).double())
    u, grid = (
        mixture.draw(white(16, 8, seed=3), torch.linspace(0, 0.99, 16).double(), 5.0),
        uniform_lambda(41, smin=0.3, smax=5.0),
    )
    out = sample(mixture, u, grid, DPMv3(flat, order))
    if order == 1:
        assert (out - sample(mixture, u, grid, euler)).abs().max() < 3e-4  # trapezoid rule
    errors = (out - sample(mixture, u, uniform_lambda(161, smin=0.3, smax=5.0), dpm3)).square().mean(1).sqrt().median()
    assert float(errors) < {1: 6e-2, 2: 6e-3, 3: 4e-3}[order]


@pytest.fixture(scope="module")
def axis_aligned():
    """Three modes whose coordinates have variances of .003 to 2, and statistics from 512 of its samples."""
    variance = torch.logspace(-2.5, 0.3, 8, dtype=torch.float64)
    mixture = Mixture(
        torch.tensor([0.3, 0.3, 0.4]).double(),
        white(3, 8, seed=6),
        torch.diag_embed(variance.sqrt().expand(3, 8)),
        torch.zeros(3).double(),
    )
    data = mixture.draw(white(512, 8, seed=4), torch.linspace(0, 0.999, 512).double())
    return mixture, measure(mixture, data, uniform_lambda(120, smin=0.02, smax=20.0))


def test_it_beats_2m_in_the_median_where_coordinates_differ(axis_aligned):
    mixture, statistics = axis_aligned
    u = mixture.draw(white(256, 8, seed=8), torch.linspace(0, 0.999, 256).double(), 20.0)
    end = sample(mixture, u, uniform_lambda(201, smin=0.02, smax=20.0), dpm3)
    for calls in (5, 6, 8, 10):
        grid = uniform_lambda(calls + 1, smin=0.02, smax=20.0)
        ours, plain = (
            float((sample(mixture, u, grid, step) - end).square().mean(1).sqrt().median())
            for step in (DPMv3(statistics, 2), pp2m)
        )
        assert ours < plain


def test_it_is_second_order_on_a_mixture(axis_aligned):
    mixture, statistics = axis_aligned
    u = mixture.draw(white(32, 8, seed=8), torch.linspace(0, 0.999, 32).double(), 20.0)
    end = sample(mixture, u, uniform_lambda(201, smin=0.02, smax=20.0), dpm3)
    errors = [
        float(
            (sample(mixture, u, uniform_lambda(n + 1, smin=0.02, smax=20.0), DPMv3(statistics, 2)) - end)
            .square()
            .mean(1)
            .sqrt()
            .median()
        )
        for n in (20, 80)
    ]
    assert errors[0] / errors[1] > 4**1.5


def test_it_resumes_to_the_byte_and_ends_at_level_0(statistics):
    u, grid, states = PRIOR.noisy(white(4, 6, seed=2), 20.0), with_zero(uniform_lambda(8, smin=0.02, smax=20.0)), []
    whole = sample(PRIOR, u, grid, DPMv3(statistics, 3), on_step=states.append)
    for state in [State(u), *states]:
        assert torch.equal(sample(PRIOR, state, grid, DPMv3(statistics, 3)), whole)
    assert whole == pytest.approx(PRIOR(states[-2].u, grid[-2].expand(4)), abs=1e-14)


def test_steps_outside_the_measured_levels_are_refused(statistics):
    with pytest.raises(
        ConfigError, match=r"step from sigma 40 to 0\.02, but the statistics cover 0\.02 to 20; measure them wider"
    ):
        sample(PRIOR, white(4, 6, seed=2), torch.tensor([40.0, 0.02], dtype=torch.float64), DPMv3(statistics))
    with pytest.raises(ConfigError, match="order 4: expected 1, 2 or 3"):
        DPMv3(statistics, 4)
