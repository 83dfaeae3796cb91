"""Our samplers beside k-diffusion's and diffusers' own code, on our oracles. Skipped where a peer is not installed."""

import math
from itertools import pairwise

import pytest
import torch

from medidiff.diffusion.grid import karras, uniform_lambda
from medidiff.diffusion.multistep import LMS, UniPC, pp2m, pp3m
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.onestep import dpm2, euler, heun, pp2s
from medidiff.diffusion.sample import State, sample
from medidiff.diffusion.stochastic import PP2MSDE, Renoise

GRID = karras(21, smin=0.3, smax=5.0)


@pytest.fixture(scope="module")
def k_sampling():
    return pytest.importorskip("k_diffusion.sampling", reason="k-diffusion is not installed", exc_type=ImportError)


@pytest.fixture(scope="module")
def diffusers():
    return pytest.importorskip("diffusers", reason="diffusers is not installed", exc_type=ImportError)


def their_noise(noise):
    """Our noise in the form of k-diffusion's samplers, which ask once per step."""
    steps = iter(range(1000))
    return lambda sigma, sigma_next: noise(next(steps), torch.empty(64, 8, dtype=torch.float64), 1)


@pytest.mark.parametrize(
    ("name", "step", "options", "tolerance"),
    [
        ("sample_euler", euler, {}, 1e-12),
        ("sample_heun", heun, {}, 1e-12),
        ("sample_dpm_2", dpm2, {}, 1e-12),
        ("sample_dpmpp_2m", pp2m, {}, 1e-12),
        ("sample_dpmpp_2s_ancestral", pp2s, {"eta": 0.0}, 1e-12),
        ("sample_lms", LMS(4), {"order": 4}, 1e-4),  # their weights come from a quadrature of tolerance 1e-4
    ],
)
@pytest.mark.parametrize("prior", ["gaussian", "mixture"])
def test_k_diffusion_takes_the_same_steps(name, step, options, tolerance, prior, k_sampling, start, request):
    oracle = request.getfixturevalue(prior)
    theirs = getattr(k_sampling, name)(oracle, start, GRID, disable=True, **options)
    assert float((sample(oracle, start, GRID, step) - theirs).abs().max()) < tolerance


@pytest.mark.parametrize(
    ("name", "step", "options"),
    [
        ("sample_euler_ancestral", Renoise(), {}),
        ("sample_euler_ancestral", Renoise(eta=0.5), {"eta": 0.5}),
        ("sample_dpmpp_2m_sde", PP2MSDE(), {"solver_type": "midpoint"}),
        ("sample_dpmpp_2m_sde", PP2MSDE(eta=0.5), {"eta": 0.5, "solver_type": "midpoint"}),
    ],
)
def test_k_diffusion_puts_the_same_noise_back_on(name, step, options, k_sampling, mixture, start):
    noise = Noise(4)
    theirs = getattr(k_sampling, name)(mixture, start, GRID, disable=True, noise_sampler=their_noise(noise), **options)
    assert float((sample(mixture, start, GRID, step, noise=noise) - theirs).abs().max()) < 1e-12


def run_scheduler(scheduler, oracle, u, count):
    """A diffusers scheduler on data predictions: their variable is x = u / sqrt(1 + sigma^2)."""
    sigmas = scheduler.sigmas.double()
    x = u / torch.sqrt(1 + sigmas[0] ** 2)
    for index, time in enumerate(scheduler.timesteps[:count]):
        level = sigmas[index]
        denoised = oracle(x.double() * torch.sqrt(1 + level**2), level.expand(len(x)))
        x = scheduler.step(denoised, time, x).prev_sample
    return x.double() * torch.sqrt(1 + sigmas[count] ** 2)


@pytest.mark.parametrize(
    ("name", "step", "options"),
    [
        ("DPMSolverMultistepScheduler", pp2m, {"solver_order": 2, "algorithm_type": "dpmsolver++"}),
        ("UniPCMultistepScheduler", UniPC(2), {"solver_order": 2, "solver_type": "bh2", "lower_order_final": False}),
        ("UniPCMultistepScheduler", UniPC(3), {"solver_order": 3, "solver_type": "bh2", "lower_order_final": False}),
        (
            "UniPCMultistepScheduler",
            UniPC(3, variant="bh1"),
            {"solver_order": 3, "solver_type": "bh1", "lower_order_final": False},
        ),
    ],
    ids=["2M", "UniPC-2", "UniPC-3", "UniPC-3 bh1"],
)
def test_diffusers_takes_the_same_steps_to_its_float32(name, step, options, diffusers, gaussian):
    scheduler = getattr(diffusers, name)(prediction_type="sample", timestep_spacing="trailing", **options)
    scheduler.set_timesteps(20)
    count, grid = 18, scheduler.sigmas.double()[:19]
    u = gaussian.noisy(Noise(1)(0, torch.empty(16, 8, dtype=torch.float64)), float(grid[0]))
    theirs = run_scheduler(scheduler, gaussian, u, count)
    error = (sample(gaussian, u, grid, step) - theirs).abs().max() / theirs.abs().max()
    assert float(error) < 5e-6


def third_order_errors(run, gaussian, start):
    found = []
    for n in (32, 64, 128, 256):
        grid = uniform_lambda(n + 1, smin=0.3, smax=5.0)
        found.append(float((run(grid) - gaussian.flow(start, 5.0, 0.3)).square().mean().sqrt()))
    return [math.log2(a / b) for a, b in pairwise(found)]


def test_the_third_order_formula_of_k_diffusion_is_second_order(k_sampling, gaussian, start, record_property):
    theirs = third_order_errors(
        lambda grid: k_sampling.sample_dpmpp_3m_sde(gaussian, start, grid, disable=True, eta=0.0, noise_sampler=lambda a, b: 0.0),
        gaussian,
        start,
    )
    ours = third_order_errors(lambda grid: sample(gaussian, exact_start(gaussian, start, grid), grid, pp3m), gaussian, start)
    record_property("orders", {"k-diffusion": theirs, "ours": ours})
    assert theirs == pytest.approx([2] * 3, abs=0.3) and ours[-1] == pytest.approx(3, abs=0.1)


def test_the_third_order_formula_of_diffusers_is_second_order(diffusers, gaussian, start, record_property):
    def run(grid):
        scheduler = diffusers.DPMSolverMultistepScheduler(prediction_type="sample", solver_order=3, lower_order_final=False)
        scheduler.set_timesteps(len(grid) - 1)
        scheduler.sigmas = grid
        return run_scheduler(scheduler, gaussian, start, len(grid) - 1)

    theirs = third_order_errors(run, gaussian, start)
    record_property("orders", {"diffusers": theirs})
    assert theirs == pytest.approx([2] * 3, abs=0.3)


def exact_start(gaussian, start, grid):
    path = [gaussian.flow(start, 5.0, float(level)) for level in grid[:3]]
    known = [gaussian(u, level.expand(len(u))) for u, level in zip(path, grid)]
    return State(path[2], 2, (known[1], known[0]))
