"""The order of convergence of every deterministic sampler: on a Gaussian against its flow, on a mixture against a fine run."""

import math
from itertools import pairwise

import pytest
import torch

from medidiff.diffusion.grid import uniform_lambda, uniform_sigma
from medidiff.diffusion.multistep import GHVB, LMS, HeavyBall, HeavyBall2M, UniPC, pndm, pp2m, pp3m
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.onestep import dpm2, dpm3, euler, flow_heun, heun, pp2s
from medidiff.diffusion.sample import State, sample

TOP, BOTTOM, NUMBERS = 5.0, 0.3, (32, 64, 128, 256)
CASES = {  # step, grid, order, tolerance, number of exact start values, error at 32 and 256 on the Gaussian
    "euler": (euler, uniform_lambda, 1, 0.05, 0, 2.0e-2, 2.5e-3),
    "heun": (heun, uniform_lambda, 2, 0.05, 0, 9.0e-4, 1.4e-5),
    "flow_heun": (flow_heun, uniform_lambda, 2, 0.05, 0, 2.3e-4, 3.5e-6),
    "dpm2": (dpm2, uniform_lambda, 2, 0.05, 0, 4.5e-4, 6.9e-6),
    "pp2s": (pp2s, uniform_lambda, 2, 0.05, 0, 4.4e-4, 6.9e-6),
    "dpm3": (dpm3, uniform_lambda, 3, 0.1, 0, 1.2e-6, 2.3e-9),
    "pp2m": (pp2m, uniform_lambda, 2, 0.1, 0, 2.0e-4, 3.3e-6),
    "unip(2)": (UniPC(2, corrector=False), uniform_lambda, 2, 0.1, 0, 2.0e-4, 3.3e-6),
    "pp3m, exact start": (pp3m, uniform_lambda, 3, 0.15, 2, 4.4e-5, 7.4e-8),
    "pp3m": (pp3m, uniform_lambda, 2, 0.3, 0, 4.1e-4, 6.1e-6),
    "pp3m, warm": (UniPC(3, corrector=False, warm_start=dpm3), uniform_lambda, 3, 0.15, 0, 4.4e-5, 7.4e-8),
    "unipc(1)": (UniPC(1), uniform_lambda, 2, 0.1, 0, 1.7e-3, 2.6e-5),
    "unipc(2)": (UniPC(2), uniform_lambda, 3, 0.1, 0, 6.6e-5, 1.3e-7),
    "unipc(3)": (UniPC(3), uniform_lambda, 3.2, 0.25, 0, 1.1e-5, 1.4e-8),
    "unipc(3), exact start": (UniPC(3), uniform_lambda, 4, 0.15, 3, 3.6e-6, 9.5e-10),
    "unipc(3), warm": (UniPC(3, warm_start=dpm3), uniform_lambda, 4, 0.15, 0, 3.6e-6, 9.5e-10),
    "unipc(3, bh1), warm": (UniPC(3, variant="bh1", warm_start=dpm3), uniform_lambda, 4, 0.15, 0, 3.6e-6, 9.5e-10),
    "lms(4), exact start": (LMS(4), uniform_lambda, 3.95, 0.25, 3, 6.1e-5, 2.1e-8),
    "lms(4), warm": (LMS(4, warm_start=dpm3), uniform_lambda, 3.95, 0.25, 0, 6.1e-5, 2.1e-8),
    "pndm": (pndm, uniform_lambda, 2, 0.1, 0, 3.1e-4, 4.9e-6),
    "pndm, sigma": (pndm, uniform_sigma, 3.9, 0.3, 0, 5.8e-4, 2.6e-7),
    "hb(2)": (HeavyBall(2, 0.8), uniform_lambda, 1, 0.05, 0, 1.0e-2, 1.3e-3),
    "hb2m": (HeavyBall2M(0.8), uniform_lambda, 1, 0.05, 0, 1.1e-2, 1.3e-3),
    "ghvb(2)": (GHVB(2, 0.8), uniform_lambda, 2, 0.1, 0, 1.0e-3, 1.7e-5),
    "ghvb(3)": (GHVB(3, 0.8), uniform_lambda, 2, 0.1, 0, 1.8e-4, 2.9e-6),
    "ghvb(4)": (GHVB(4, 0.8), uniform_lambda, 2, 0.1, 0, 2.4e-4, 3.6e-6),
    "ghvb(3), sigma": (GHVB(3, 0.8), uniform_sigma, 2.9, 0.2, 0, 1.7e-3, 5.3e-6),
}


def started(step, grid, exact, denoiser, count):
    """A state `count` steps down whose history holds the exact predictions, as the method itself would keep them."""
    if count == 0:
        return State(exact(TOP))
    path = [exact(float(level)) for level in grid[: count + 1]]
    known = [denoiser(u, level.expand(len(u))) for u, level in zip(path, grid)]
    if isinstance(step, LMS):
        known = [(u - d) / float(level) for u, d, level in zip(path, known, grid)]
    has_newest = isinstance(step, UniPC) and step.corrector
    if has_newest:  # count = order exact predictions, the newest at the current level
        return State(path[count - 1], count - 1, tuple(reversed(known[:count])))
    return State(path[count], count, tuple(reversed(known[:count])))


def errors(case, denoiser, exact, end, numbers=NUMBERS):
    step, make, *_, count, _, _ = case
    found = []
    for n in numbers:
        grid = make(n + 1, smin=BOTTOM, smax=TOP)
        out = sample(denoiser, started(step, grid, exact, denoiser, count), grid, step)
        found.append((out - end).square().mean(1))
    return found


def orders(values):
    return [math.log2(a / b) for a, b in pairwise(values)]


@pytest.mark.parametrize("name", CASES)
def test_the_order_on_a_gaussian_is_the_theoretical_one(name, gaussian, start):
    case = CASES[name]
    end = gaussian.flow(start, TOP, BOTTOM)
    rms = [float(e.mean().sqrt()) for e in errors(case, gaussian, lambda level: gaussian.flow(start, TOP, level), end)]
    _, _, order, tolerance, _, at_32, at_256 = case
    assert orders(rms)[-2:] == pytest.approx([order] * 2, abs=tolerance)
    assert rms[0] == pytest.approx(at_32, rel=0.5) and rms[-1] == pytest.approx(at_256, rel=0.5)


@pytest.fixture(scope="module")
def mixture_path(mixture):
    """Where the mixture's ODE is at any level of any grid used here, from third-order runs of 512 steps."""
    z = Noise(7)(0, torch.empty(8, 8, dtype=torch.float64))
    u = mixture.draw(z, Noise(8).uniform(0, z[:, :1])[:, 0], TOP)
    memo = {TOP: u}

    def exact(level):
        if level not in memo:
            steps = max(8, round(512 * math.log(TOP / level) / math.log(TOP / BOTTOM)))
            memo[level] = sample(mixture, u, uniform_lambda(steps + 1, smin=level, smax=TOP), dpm3)
        return memo[level]

    return exact


ON_MIXTURE = [name for name in CASES if name not in ("pp3m", "unipc(3)", "unipc(3, bh1), warm")]


@pytest.mark.parametrize("name", ON_MIXTURE)
def test_the_order_on_a_mixture_is_the_same(name, mixture, mixture_path):
    case = CASES[name]
    found = errors(case, mixture, mixture_path, mixture_path(BOTTOM), NUMBERS[-2:])
    _, _, order, tolerance, *_ = case
    last = orders([float(e.median().sqrt()) for e in found])[-1]  # the median: near mode borders rms is ruled by flips
    assert last == pytest.approx(order, abs=tolerance + 0.1)


def test_without_the_factor_2_the_third_order_formula_is_second_order(gaussian, start):
    """What k-diffusion and diffusers ship; the factor is read as the distance between pp3m and pp2m's curvature term."""

    def flawed(denoiser, state, grid, noise):
        good = pp3m(denoiser, state, grid, noise)
        if len(state.history) < 2:
            return good
        a, b = float(grid[state.step]), float(grid[state.step + 1])
        h = math.log(a / b)
        h1, h2 = (math.log(float(grid[state.step - j]) / float(grid[state.step - j + 1])) for j in (1, 2))
        newest = good.history[0]
        d0, d1 = (newest - state.history[0]) * h / h1, (state.history[0] - state.history[1]) * h / h2
        q = 2 * (d0 - d1) * h / (h1 + h2)
        f3 = (1 + math.expm1(-h) / h) / h - 0.5
        return State(good.u + f3 * q / 2, good.step, good.history)

    case = (flawed, uniform_lambda, 2, 0.1, 2, 0, 0)
    end = gaussian.flow(start, TOP, BOTTOM)
    rms = [float(e.mean().sqrt()) for e in errors(case, gaussian, lambda level: gaussian.flow(start, TOP, level), end)]
    assert 1.8 < orders(rms)[-1] < 2.1
