"""Samplers that are one and the same in the state u: every published form is written out in its own variable and compared."""

import math
from itertools import pairwise

import pytest
import torch

from medidiff.diffusion.grid import karras, uniform_flow, uniform_sigma, with_zero
from medidiff.diffusion.multistep import GHVB, LMS, PLMS, HeavyBall, HeavyBall2M, UniPC, pndm, pp2m, pp3m
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.onestep import Heun, dpm2, dpm3, euler, flow_heun, heun, pp2s
from medidiff.diffusion.process import Flow, MeanReverting, VPLinear, rddm
from medidiff.diffusion.sample import State, sample
from medidiff.diffusion.stochastic import PP2MSDE, EulerMaruyama, InterpolantSDE, Renoise

GRID = karras(21, smin=0.3, smax=5.0)


def one_by_one(update, start, denoiser, grid=GRID):
    """A sampler written as update(u, D, a, b)."""
    u = start
    for a, b in pairwise(grid):
        u = update(u, denoiser(u, a.expand(len(u))), float(a), float(b))
    return u


def dpm1(u, d, a, b):
    """DPM-Solver-1: exponential integrator of the noise."""
    return u - b * math.expm1(math.log(a / b)) * (u - d) / a


def pp1(u, d, a, b):
    """DPM-Solver++(1): exponential integrator of the data."""
    return (b / a) * u - math.expm1(-math.log(a / b)) * d


def flow_euler(u, d, a, b):
    """Euler on the velocity of the rectified flow."""
    ta, tb = a / (1 + a), b / (1 + b)
    x = (1 - ta) * u
    return (x + (tb - ta) * (x - d) / ta) / (1 - tb)


def ddim_vp(u, d, a, b):
    """DDIM (Song 2021, eq. 12, eta = 0) in the variable of a variance-preserving process."""
    bar_a, bar_b = 1 / (1 + a * a), 1 / (1 + b * b)
    x = math.sqrt(bar_a) * u
    eps = (x - math.sqrt(bar_a) * d) / math.sqrt(1 - bar_a)
    return (math.sqrt(bar_b) * d + math.sqrt(1 - bar_b) * eps) / math.sqrt(bar_b)


def pndm_transfer(u, d, a, b):
    """PNDM's transfer part (Liu 2022, eq. 11)."""
    bar_a, bar_b = 1 / (1 + a * a), 1 / (1 + b * b)
    x, eps = math.sqrt(bar_a) * u, (u - d) / a
    root = math.sqrt(bar_a) * (math.sqrt((1 - bar_b) * bar_a) + math.sqrt((1 - bar_a) * bar_b))
    return (math.sqrt(bar_b / bar_a) * x - (bar_b - bar_a) / root * eps) / math.sqrt(bar_b)


def mean_reverting(u, d, a, b, mu=3.7, tau=0.2):
    """Order 1 in the variable of the mean-reverting process (MRS)."""
    process = MeanReverting(tau)
    sa, sb = (float(process.scale(process.time(torch.tensor(s, dtype=torch.float64)))) for s in (a, b))
    x = sa * u + (1 - sa) * mu
    x = (sb / sa) * x + (1 - sb / sa) * mu - sb * b * math.expm1(math.log(a / b)) * (u - d) / a
    return (x - (1 - sb) * mu) / sb


def rddm_step(u, d, a, b, y=3.7):
    """RDDM (Liu 2024, eq. 13, deterministic), with its shares of residual 1 - 1/(1 + sigma)."""
    bar_a, bar_b = (s / (1 + s) for s in (a, b))
    noise_a, noise_b = a * (1 - bar_a), b * (1 - bar_b)
    x = (1 - bar_a) * u + bar_a * y
    residual = y - d
    e = (x - d - bar_a * residual) / noise_a
    x = x - (bar_a - bar_b) * residual - (noise_a - noise_b) * e
    return (x - bar_b * y) / (1 - bar_b)


@pytest.mark.parametrize(
    "update", [dpm1, pp1, flow_euler, ddim_vp, pndm_transfer, mean_reverting, rddm_step], ids=lambda f: f.__name__
)
@pytest.mark.parametrize("prior", ["gaussian", "mixture"])
def test_euler_is(update, prior, request, start):
    oracle = request.getfixturevalue(prior)
    assert (sample(oracle, start, GRID, euler) - one_by_one(update, start, oracle)).abs().max() < 1e-13


def pp3m_written_out(denoiser, start, grid):
    """The third-order multistep formula of DPM-Solver++ with its factor 2."""
    u, known = start, []
    for n, (a, b) in enumerate(pairwise(grid.tolist())):
        known = [denoiser(u, torch.full((len(u),), a, dtype=torch.float64)), *known][:3]
        h = math.log(a / b)
        u = (b / a) * u - math.expm1(-h) * known[0]
        f2 = 1 + math.expm1(-h) / h
        if n == 1:
            u = u + (-math.expm1(-h)) / (2 * math.log(float(grid[0]) / a) / h) * (known[0] - known[1])
        if n >= 2:
            r0, r1 = (math.log(float(grid[n - j]) / float(grid[n - j + 1])) / h for j in (1, 2))
            d0, d1 = (known[0] - known[1]) / r0, (known[1] - known[2]) / r1
            p, q = d0 + (d0 - d1) * r0 / (r0 + r1), 2 * (d0 - d1) / (r0 + r1)
            u = u + f2 * p - (f2 / h - 0.5) * q
    return u


@pytest.mark.parametrize("prior", ["gaussian", "mixture"])
def test_unip_is_the_multistep_form_of_dpm_solver(prior, request, start):
    oracle = request.getfixturevalue(prior)
    assert (sample(oracle, start, GRID, UniPC(2, corrector=False)) - sample(oracle, start, GRID, pp2m)).abs().max() < 2e-14
    assert (sample(oracle, start, GRID, pp3m) - pp3m_written_out(oracle, start, GRID)).abs().max() < 1e-12


def test_momentum_without_momentum_is_plms(mixture, start):
    for order in (1, 2, 3, 4):
        plms = sample(mixture, start, GRID, PLMS(order))
        assert (sample(mixture, start, GRID, HeavyBall(order, beta=1.0)) - plms).abs().max() < 1e-14
        assert (sample(mixture, start, GRID, GHVB(order, beta=1.0)) - plms).abs().max() < 2e-14
    assert torch.equal(sample(mixture, start, GRID, HeavyBall2M(beta=1.0)), sample(mixture, start, GRID, pp2m))


def test_plms_of_order_1_is_euler(mixture, start):
    assert (sample(mixture, start, GRID, PLMS(1)) - sample(mixture, start, GRID, euler)).abs().max() < 2e-14


def test_lms_is_plms_on_equal_steps_in_sigma(mixture, start):
    grid = uniform_sigma(21, smin=0.3, smax=5.0)
    for order in (1, 2, 3, 4):
        assert (sample(mixture, start, grid, LMS(order)) - sample(mixture, start, grid, PLMS(order))).abs().max() < 1e-13


def test_ddpm_is_the_first_order_reverse_sde_solver(mixture, start):
    """SDE-DPM-Solver++(1): u' = (b/a) exp(-h) u - E(-2h) D + b sqrt(-E(-2h)) z, and k-diffusion's ancestral Euler."""
    noise = Noise(9)
    steps = iter(range(20))

    def sde1(u, d, a, b):
        h = math.log(a / b)
        z = noise(next(steps), u, 1)
        return (b / a) * math.exp(-h) * u - math.expm1(-2 * h) * d + b * math.sqrt(-math.expm1(-2 * h)) * z

    ours = sample(mixture, start, GRID, Renoise(), noise=noise)
    assert (ours - one_by_one(sde1, start, mixture)).abs().max() < 1e-13


def test_ddpm_is_the_reverse_kernel_of_the_first_chapter(mixture, start):
    """u_b ~ N(x0 + (b^2/a^2)(u_a - x0), b^2 (1 - b^2/a^2)) with x0 = D."""
    noise, steps = Noise(9), iter(range(20))

    def kernel(u, d, a, b):
        return d + (b / a) ** 2 * (u - d) + b * math.sqrt(1 - (b / a) ** 2) * noise(next(steps), u, 1)

    ours = sample(mixture, start, GRID, Renoise(), noise=noise)
    assert (ours - one_by_one(kernel, start, mixture)).abs().max() < 1e-13


@pytest.mark.parametrize(
    ("stochastic", "plain"),
    [(Renoise(eta=0.0), euler), (Renoise(eta=0.0, rule="fresh"), euler), (PP2MSDE(eta=0.0), pp2m), (Heun(churn=0.0), heun)],
    ids=["renoise", "fresh", "pp2m_sde", "heun"],
)
def test_without_fresh_noise_a_stochastic_method_is_its_plain_one(stochastic, plain, mixture, start):
    assert (sample(mixture, start, GRID, stochastic) - sample(mixture, start, GRID, plain)).abs().max() < 1e-13


def test_an_interpolant_without_diffusion_is_flow_euler_and_so_euler(mixture, start):
    assert (sample(mixture, start, GRID, InterpolantSDE(0.0)) - sample(mixture, start, GRID, euler)).abs().max() < 2e-14


DETERMINISTIC = [
    euler,
    heun,
    flow_heun,
    dpm2,
    dpm3,
    pp2s,
    pp2m,
    pp3m,
    UniPC(3),
    pndm,
    PLMS(),
    LMS(),
    HeavyBall(),
    HeavyBall2M(),
    GHVB(4),
]
STOCHASTIC = [
    Renoise(),
    Renoise(rule="fresh"),
    Renoise(rule="resshift"),
    PP2MSDE(),
    EulerMaruyama(),
    InterpolantSDE(),
    Heun(churn=2.0),
]


@pytest.mark.parametrize("step", DETERMINISTIC + STOCHASTIC, ids=lambda s: getattr(s, "__name__", type(s).__name__))
def test_the_step_to_level_0_returns_the_denoised_image(step, mixture, start):
    seen = []

    def recording(u, sigma):
        seen.append(mixture(u, sigma))
        return seen[-1]

    grid = with_zero(karras(6, smin=0.3, smax=5.0))
    out = sample(recording, start, grid, step)
    assert (out - seen[-1]).abs().max() < 1e-13 and bool(torch.isfinite(out).all())


@pytest.mark.parametrize("step", DETERMINISTIC, ids=lambda s: getattr(s, "__name__", type(s).__name__))
def test_a_point_prior_is_reached_exactly(step, start):
    """D = m at every level: the ODE is straight in sigma, and every method is exact for it."""
    end = sample(lambda u, sigma: torch.full_like(u, 1.5), start, GRID, step)
    assert end == pytest.approx(1.5 + (0.3 / 5.0) * (start - 1.5), abs=1e-12)


@pytest.mark.parametrize("process", [Flow(), VPLinear()], ids=lambda p: p.name)
def test_a_process_meets_the_same_levels_in_its_own_time(process):
    levels = uniform_flow(9, smin=0.01, smax=50.0)
    assert process.sigma(process.time(levels)) == pytest.approx(levels, rel=1e-12)


def test_rddm_states_do_not_depend_on_the_input_image():
    process = rddm(torch.linspace(0.01, 0.9, 50, dtype=torch.float64), torch.linspace(0.01, 1.0, 50, dtype=torch.float64))
    u, sigma = torch.randn(3, 4, dtype=torch.float64), torch.tensor([0.1, 1.0, 5.0], dtype=torch.float64)
    for y in (0.0, 3.7):
        anchor = torch.full_like(u, y)
        assert process.to_state(process.to_x(u, sigma, anchor), sigma, anchor) == pytest.approx(u, abs=1e-13)


def test_churn_that_is_never_reached_changes_nothing(mixture, start):
    assert torch.equal(sample(mixture, start, GRID, Heun(churn=5.0, low=50.0)), sample(mixture, State(start), GRID, heun))
