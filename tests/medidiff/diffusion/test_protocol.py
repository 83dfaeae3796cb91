"""Stochastic methods, few steps and the two ends: exact propagation of mean and variance, no Monte Carlo."""

import math
from itertools import pairwise

import pytest
import torch

from medidiff.diffusion.exact import Gaussian, Mixture
from medidiff.diffusion.grid import karras, uniform_flow, uniform_lambda, with_zero
from medidiff.diffusion.multistep import PLMS, HeavyBall, pp2m
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.onestep import Heun, euler, heun
from medidiff.diffusion.sample import State, sample
from medidiff.diffusion.stochastic import PP2MSDE, EulerMaruyama, InterpolantSDE, Renoise

MODES = torch.tensor([0.01, 1.0, 4.0], dtype=torch.float64)
PRIOR = Gaussian(torch.zeros(3, dtype=torch.float64), MODES)
ZERO = torch.zeros(3, dtype=torch.float64)


def variance_errors(propagate, step, make, numbers, top, bottom):
    """Largest relative variance error per number of steps, for modes .1, 1 and 4."""
    modes = torch.tensor([0.1, 1.0, 4.0], dtype=torch.float64)
    prior, found = Gaussian(ZERO, modes), []
    for n in numbers:
        grid = make(n + 1, smin=bottom, smax=top)
        _, variance = propagate(step, prior, grid, ZERO, modes + top**2)
        found.append(float((variance / (modes + bottom**2) - 1).abs().max()))
    return found


@pytest.mark.parametrize(
    ("step", "order", "tolerance"),
    [(Renoise(eta=0.5), 1, 0.1), (Renoise(eta=1.0), 1, 0.1), (EulerMaruyama(), 1, 0.1), (Renoise(eta=0.0), 1, 0.1)],
    ids=["DDIM(.5)", "DDPM", "Euler-Maruyama", "DDIM(0)"],
)
def test_first_order_methods_have_variance_errors_of_order_1(step, order, tolerance, propagate):
    errors = variance_errors(propagate, step, uniform_lambda, (64, 128, 256), 5.0, 0.3)
    assert [math.log2(a / b) for a, b in pairwise(errors)] == pytest.approx([order] * 2, abs=tolerance)


def test_the_second_order_sde_solver_has_variance_errors_of_order_2(propagate):
    errors = variance_errors(propagate, PP2MSDE(), uniform_lambda, (64, 128, 256), 40.0, 0.03)
    assert [math.log2(a / b) for a, b in pairwise(errors)] == pytest.approx([2, 2], abs=0.1)
    assert errors[-1] < 5e-4


def test_churn_costs_heun_its_order(propagate):
    numbers = (32, 64, 128, 256)
    errors = []
    for n in numbers:
        errors += variance_errors(propagate, Heun(churn=0.1 * n), uniform_lambda, (n,), 5.0, 0.3)
    orders = [math.log2(a / b) for a, b in pairwise(errors)]
    assert orders[0] > orders[-1] and orders[-1] < 1.2


@pytest.mark.parametrize("diffusion", [0.0, 0.5, 2.0])
def test_interpolant_marginals_do_not_depend_on_the_diffusion(diffusion, propagate):
    errors = variance_errors(propagate, InterpolantSDE(diffusion), uniform_flow, (200, 400), 5.0, 0.3)
    assert errors[-1] < 1.6e-2
    assert math.log2(errors[-2] / errors[-1]) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (euler, {5: (0.35, 0.46, 0.50), 10: (0.62, 0.68, 0.71), 20: (0.79, 0.83, 0.84), 50: (0.91, 0.93, 0.93)}),
        (Renoise(), {5: (0.21, 0.31, 0.34), 10: (0.44, 0.50, 0.53), 20: (0.63, 0.69, 0.71), 50: (0.82, 0.85, 0.87)}),
        (PP2MSDE(), {5: (0.39, 1.01, 1.15), 10: (0.82, 1.23, 1.25), 20: (0.99, 1.09, 1.08), 50: (1.01, 1.01, 1.01)}),
        (pp2m, {5: (0.56, 1.13, 1.24), 10: (0.93, 1.14, 1.13), 20: (1.01, 1.04, 1.03), 50: (1.00, 1.00, 1.00)}),
        (heun, {5: (2.81, 1.76, 1.62), 10: (1.32, 1.15, 1.12), 20: (1.07, 1.03, 1.03), 50: (1.01, 1.00, 1.00)}),
    ],
    ids=["DDIM", "DDPM", "pp2m_sde", "pp2m", "heun"],
)
def test_few_steps_spread_as_the_table_says(step, expected, propagate):
    for n, ratios in expected.items():
        grid = karras(n + 1, smin=0.03, smax=40.0)
        _, variance = propagate(step, PRIOR, grid, ZERO, MODES + 1600.0)
        assert (variance / (MODES + 0.0009)).tolist() == pytest.approx(ratios, abs=0.011)


def test_the_last_jump_leaves_the_known_deficit(propagate):
    """Returning D at smin: std ratio sqrt(l / (l + smin^2)) per mode."""
    grid = with_zero(uniform_lambda(801, smin=0.2, smax=40.0))
    _, variance = propagate(heun, PRIOR, grid, ZERO, MODES + 1600.0)
    assert (variance / MODES) == pytest.approx(MODES / (MODES + 0.04), rel=1e-4)


def test_a_wrong_start_is_kept_by_the_ode_and_forgotten_by_the_sde(propagate):
    """White noise of level smax instead of data plus noise, data mean 1: sqrt(l/(l+smax^2)) and l/(l+smax^2) of it stay."""
    prior = Gaussian(torch.ones(1).double(), torch.tensor([4.0]).double())
    grid = uniform_lambda(801, smin=1e-3, smax=40.0)
    white = torch.zeros(1).double(), torch.tensor([1600.0]).double()
    ode, _ = propagate(heun, prior, grid, *white)
    sde, _ = propagate(PP2MSDE(), prior, grid, *white)
    assert float(1 - ode) == pytest.approx(math.sqrt(4 / 1604), rel=1e-3)
    assert float(1 - sde) == pytest.approx(4 / 1604, rel=2e-2)
    right, _ = propagate(heun, prior, grid, torch.ones(1).double(), torch.tensor([1604.0]).double())
    assert float(right) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(("beta", "factor"), [(0.8, 1.5), (0.5, 3.0), (0.2, 9.0)])
@pytest.mark.parametrize("order", [1, 2])
def test_heavy_ball_widens_the_stable_interval_by_2_minus_beta_over_beta(beta, factor, order):
    """Largest stable step of u' = -u on equal steps, AB1 2 and AB2 1, times the factor."""
    assert largest_stable_step(HeavyBall(order, beta)) == pytest.approx(factor * (2 if order == 1 else 1), rel=0.02)
    assert largest_stable_step(PLMS(order)) == pytest.approx(2 if order == 1 else 1, rel=0.02)


def test_heavy_ball_keeps_strong_guidance_on_its_class(mixture):
    """Guidance 16 in 6 steps: share of samples whose nearest component is another."""
    narrow = Mixture(mixture.weights, 2 * mixture.means, 0.3 * mixture.factors, 0.1 * mixture.floor)
    wanted = Gaussian.of(narrow.means[2], narrow.covariances()[2])

    def guided(u, sigma):
        return narrow(u, sigma) + 16 * (wanted(u, sigma) - narrow(u, sigma))

    u = 40 * Noise(1)(0, torch.empty(200, 8, dtype=torch.float64))
    off = {}
    for step in (PLMS(4), HeavyBall(4, 0.8)):
        x = sample(guided, u, karras(7, smin=0.05, smax=40.0), step)
        off[type(step)] = float((torch.cdist(x, narrow.means).argmin(1) != 2).double().mean())
    assert off[PLMS] > 0.5 and off[HeavyBall] < 0.05


def largest_stable_step(step):
    """The largest rate, of 1,500 tried at once, for which du/dsigma = rate u shrinks over unit steps down in sigma."""
    rates = torch.linspace(0.02, 30, 1500, dtype=torch.float64)[:, None]
    grid = torch.arange(1001.0, 600.0, -1.0, dtype=torch.float64)
    state = State(torch.ones_like(rates))
    for _ in range(400):
        state = step(lambda u, sigma: u - sigma[:, None] * rates * u, state, grid, Noise(0))
        shrinks = state.u.abs() < 1
        state = State(state.u.clamp(-1e9, 1e9), state.step, tuple(h.clamp(-1e9, 1e9) for h in state.history))
    return float(rates[: int((~shrinks).flatten().int().argmax())].max())
