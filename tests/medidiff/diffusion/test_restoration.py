import math
from itertools import pairwise

import pytest
import torch

from medidiff.diffusion import convert
from medidiff.diffusion.denoiser import from_x0
from medidiff.diffusion.exact import Gaussian
from medidiff.diffusion.multistep import pp2m
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.onestep import euler
from medidiff.diffusion.process import MeanReverting, ResShift, rddm
from medidiff.diffusion.restoration import (
    MeanRevertingSDE,
    RDDMChain,
    degraded_start,
    mean_reverting_levels,
    resshift_levels,
)
from medidiff.diffusion.sample import State, sample
from medidiff.diffusion.stochastic import Renoise
from medidiff.errors import ConfigError

TAU = 0.2
MODES = torch.linspace(0.01, 0.2, 5, dtype=torch.float64)
PRIOR = Gaussian(torch.full((5,), 0.3, dtype=torch.float64), MODES)
RAMP = torch.linspace(0.01, 1, 100, dtype=torch.float64)


def test_resshift_levels_are_the_published_schedule():
    kappa, power, steps = 2.0, 0.3, 15
    first, last = min(0.001, (0.04 / kappa) ** 2), 0.999
    q = math.exp(math.log(last / first) / (2 * (steps - 1)))
    etas = [(math.sqrt(first) * q ** (((t - 1) / (steps - 1)) ** power * (steps - 1))) ** 2 for t in range(1, steps + 1)]
    eta = ResShift(kappa).time(resshift_levels(steps, kappa=kappa, power=power)).flip(0)
    assert eta.tolist() == pytest.approx(etas, rel=1e-10)
    assert float(eta[-1]) == pytest.approx(0.999, rel=1e-12)


def test_the_resshift_rule_is_the_published_kernel(mixture, start):
    """x' = (eta'/eta) x + (1 - eta'/eta) x0 + kappa sqrt((eta'/eta)(eta - eta')) z, and y drops out of u."""
    grid, kappa, noise = resshift_levels(8), 2.0, Noise(3)
    process, u = ResShift(kappa), start
    for y in (0.0, 3.7):
        u, anchor = start, torch.full_like(start, y)
        for step, (a, b) in enumerate(pairwise(grid)):
            eta_a, eta_b = (float(process.time(level)) for level in (a, b))
            x = process.to_x(u, a.expand(64), anchor)
            clean = mixture(u, a.expand(64))
            fresh = kappa * math.sqrt(eta_b / eta_a * (eta_a - eta_b))
            x = eta_b / eta_a * x + (1 - eta_b / eta_a) * clean + fresh * noise(step, x, 1)
            u = process.to_state(x, b.expand(64), anchor)
        ours = sample(mixture, start, grid, Renoise(rule="resshift", kappa=kappa), noise=noise)
        assert ((ours - u).abs() / u.abs().max()).max() < 1e-10


def test_restoration_runs_start_from_the_degraded_image():
    anchor = torch.full((3, 1, 4, 4), 2.0, dtype=torch.float64)
    assert torch.equal(degraded_start(anchor, 5.0, noise=Noise(2)), anchor + 5.0 * Noise(2)(0, anchor))
    # ResShift's own start is x_T = y + kappa sqrt(eta_T) n, the mean-reverting one x_T = mu + tau sqrt(1 - s^2) n
    sigma = torch.tensor([5.0], dtype=torch.float64)
    for process in (ResShift(), MeanReverting(TAU)):
        x = process.to_x(degraded_start(anchor, 5.0), sigma, anchor)
        spread = float(process.scale(process.time(sigma)) * sigma)
        assert x - anchor == pytest.approx(spread * Noise(0)(0, anchor), abs=1e-12)


def test_a_restoration_network_with_its_anchor_is_sampled_like_any_other(gaussian, start):
    process, anchor = ResShift(), torch.full_like(start, 3.7)

    def network(x, time, anchor):
        sigma = process.sigma(time)
        u = process.to_state(x, sigma, anchor)
        return convert.x0(process, time).output(gaussian(u, sigma), u)

    grid = resshift_levels(10)
    through_network = sample(from_x0(network, process), start, grid, euler, anchor=anchor)
    assert through_network == pytest.approx(sample(gaussian, start, grid, euler), abs=1e-9)


def test_rddm_without_fresh_noise_is_euler_for_any_input_image(mixture, start):
    process = rddm(0.95 * RAMP, RAMP)
    grid = process.levels[[99, 80, 50, 20, 5]]
    assert (sample(mixture, start, grid, RDDMChain(process, eta=0.0)) - sample(mixture, start, grid, euler)).abs().max() < 1e-13


def test_rddm_with_fresh_noise_is_its_published_step(mixture, start):
    process, noise, y = rddm(0.95 * RAMP, RAMP), Noise(3), 3.7
    index, u = [99, 80, 50, 20, 5], start
    grid = process.levels[index]
    for step, (i, j) in enumerate(pairwise(index)):
        abar, bbar = (0.95 * RAMP[[i, j]]).tolist(), RAMP[[i, j]].tolist()
        x = (1 - abar[0]) * u + abar[0] * y
        r = y - mixture(u, grid[step].expand(64))
        e = (x - (y - r) - abar[0] * r) / bbar[0]
        v = bbar[1] ** 2 * (bbar[0] ** 2 - bbar[1] ** 2) / bbar[0] ** 2
        x = x - (abar[0] - abar[1]) * r - (bbar[0] - math.sqrt(bbar[1] ** 2 - v)) * e + math.sqrt(v) * noise(step, x, 1)
        u = (x - abar[1] * y) / (1 - abar[1])
    assert (sample(mixture, start, grid, RDDMChain(process), noise=noise) - u).abs().max() < 1e-10


def test_rddm_shares_lie_between_0_and_1():
    with pytest.raises(ConfigError, match=r"eta 1\.2: expected 0 to 1"):
        RDDMChain(rddm(0.95 * RAMP, RAMP), eta=1.2)


def test_mean_reverting_levels_end_where_the_process_has_forgotten_the_image():
    process, grid = MeanReverting(TAU), mean_reverting_levels(12, stationary_std=TAU)
    assert float(process.scale(process.time(grid[:1]))) == pytest.approx(0.005, rel=1e-10)
    assert grid.log().diff() == pytest.approx(grid.log().diff().mean().expand(11), rel=1e-9)


def spread_errors(propagate, step, grid):
    """Largest mean error, in standard deviations, and largest relative error of one, from the process's own start."""
    top, bottom = float(grid[0]), float(grid[-1])
    mean, variance = propagate(step, PRIOR, grid, torch.zeros(5).double(), torch.full((5,), top**2).double())
    std = torch.sqrt(MODES + bottom**2)
    return float(((mean - 0.3).abs() / std).max()), float((variance.sqrt() / std - 1).abs().max())


def test_mean_reverting_solvers_need_ten_times_fewer_calls(propagate):
    process = MeanReverting(TAU)
    for few, many in ((10, 100), (20, 200)):
        times = torch.linspace(-math.log(0.005), 1e-3, many + 1, dtype=torch.float64)
        slow = spread_errors(propagate, MeanRevertingSDE(process, torch.zeros(5).double()), process.sigma(times))
        fast = spread_errors(propagate, pp2m, mean_reverting_levels(few + 1, stationary_std=TAU, first=1e-3))
        assert fast[0] < slow[0] and fast[1] < slow[1]


def test_the_mean_reverting_sde_is_first_order(propagate):
    process, errors = MeanReverting(TAU), []
    for n in (200, 400):
        times = torch.linspace(-math.log(0.005), 1e-2, n + 1, dtype=torch.float64)
        errors.append(spread_errors(propagate, MeanRevertingSDE(process, torch.zeros(5).double()), process.sigma(times))[1])
    assert math.log2(errors[0] / errors[1]) == pytest.approx(1, abs=0.1)


def test_the_mean_reverting_sde_follows_its_anchor(propagate):
    """Moving image, anchor and start by the same amount moves the result by that amount."""
    process, shift = MeanReverting(TAU), 3.7
    grid = process.sigma(torch.linspace(-math.log(0.005), 1e-2, 51, dtype=torch.float64))
    moved = Gaussian(PRIOR.mean + shift, MODES)
    noise = Noise(1)
    u = float(grid[0]) * Noise(2)(0, torch.empty(4, 5, dtype=torch.float64))
    here = sample(PRIOR, u, grid, MeanRevertingSDE(process, torch.zeros_like(u)), noise=noise)
    there = sample(moved, u + shift, grid, MeanRevertingSDE(process, torch.full_like(u, shift)), noise=noise)
    assert there - shift == pytest.approx(here, abs=1e-10)


@pytest.mark.parametrize("name", ["rddm", "mean-reverting", "resshift"])
def test_restoration_chains_resume_to_the_byte(name, mixture, start):
    process = rddm(0.95 * RAMP, RAMP)
    step, grid = {
        "rddm": (RDDMChain(process), process.levels[[99, 80, 50, 20, 5]]),
        "mean-reverting": (
            MeanRevertingSDE(MeanReverting(TAU), torch.ones_like(start)),
            mean_reverting_levels(6, stationary_std=TAU),
        ),
        "resshift": (Renoise(rule="resshift"), resshift_levels(6)),
    }[name]
    states, noise = [State(start)], Noise(4)
    whole = sample(mixture, start, grid, step, noise=noise, on_step=states.append)
    assert all(torch.equal(sample(mixture, state, grid, step, noise=noise), whole) for state in states)
