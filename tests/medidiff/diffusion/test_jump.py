import math
from itertools import pairwise

import pytest
import torch

from medidiff.diffusion.exact import Gaussian
from medidiff.diffusion.grid import karras
from medidiff.diffusion.jump import CTM, Consistency, ExactJump, Jump
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.sample import State, sample
from medidiff.diffusion.stochastic import Renoise
from medidiff.errors import ConfigError

MODES = torch.tensor([0.1, 1.0, 4.0], dtype=torch.float64)
PRIOR = Gaussian(torch.zeros(3, dtype=torch.float64), MODES)
GRID = karras(6, smin=0.05, smax=10.0)
U = PRIOR.noisy(Noise(0)(0, torch.empty(16, 3, dtype=torch.float64)), 10.0)


def network_of(prior):
    """CTM's g of an exact flow: G = (b/a) u + (1 - b/a) g, and at b = a its limit D."""

    def g(u, sigma, target):
        kept = (target / sigma)[:, None]
        ahead = (ExactJump(prior)(u, sigma, target=target) - kept * u) / (1 - kept)
        return torch.where(kept == 1, prior(u, sigma), ahead)

    return g


def test_the_exact_jump_is_the_flow():
    sigma, target = torch.full((16,), 10.0).double(), torch.full((16,), 0.3, dtype=torch.float64)
    assert ExactJump(PRIOR)(U, sigma, target=target) == pytest.approx(PRIOR.flow(U, 10.0, 0.3), abs=1e-12)


def test_a_jump_goes_to_the_denoiser_linearly_as_it_gets_short():
    jump, sigma = Jump(network_of(PRIOR)), torch.full((16,), 2.0, dtype=torch.float64)
    exact = PRIOR(U, sigma)
    assert torch.equal(jump.denoiser(U, sigma), exact)
    errors = [
        float((jump.network(U, sigma, target=sigma * (1 - gap)) - exact).square().mean().sqrt()) for gap in (1e-1, 1e-2, 1e-3)
    ]
    assert [math.log10(a / b) for a, b in pairwise(errors)] == pytest.approx([1, 1], abs=0.06)


def test_a_jump_network_reproduces_its_flow():
    sigma, target = torch.full((16,), 10.0).double(), torch.full((16,), 0.3, dtype=torch.float64)
    assert Jump(network_of(PRIOR))(U, sigma, target=target) == pytest.approx(PRIOR.flow(U, 10.0, 0.3), abs=1e-11)


def jump_propagate(gamma, grid):
    """Variance per mode after CTM sampling with the exact jump: each step is a gain and fresh noise."""
    variance = MODES + float(grid[0]) ** 2
    for a, b in pairwise(grid.tolist()):
        target = math.sqrt(1 - gamma**2) * b
        variance = variance * (MODES + target**2) / (MODES + a**2) + (gamma * b) ** 2
    return variance


@pytest.mark.parametrize("gamma", [0.0, 0.3, 0.7, 1.0])
def test_every_gamma_gives_the_covariance_of_the_data(gamma, propagate):
    _, variance = propagate(CTM(gamma), ExactJump(PRIOR), GRID, torch.zeros(3).double(), MODES + 100.0)
    assert variance == pytest.approx(jump_propagate(gamma, GRID), rel=1e-12)
    assert variance == pytest.approx(MODES + 0.05**2, rel=1e-12)


def test_gamma_0_jumps_along_the_ode():
    assert sample(ExactJump(PRIOR), U, GRID, CTM(0.0)) == pytest.approx(PRIOR.flow(U, 10.0, 0.05), abs=1e-12)


def test_gamma_1_is_consistency_multistep_sampling():
    def consistency(u, sigma):
        return ExactJump(PRIOR)(u, sigma, target=torch.zeros_like(sigma))

    noise = Noise(3)
    jumped = sample(ExactJump(PRIOR), U, GRID, CTM(1.0), noise=noise)
    assert jumped == pytest.approx(sample(consistency, U, GRID, Renoise(rule="fresh"), noise=noise), abs=1e-12)


def test_a_consistency_function_is_the_identity_at_its_last_level():
    f = Consistency(lambda x, c_noise: torch.randn_like(x), sd=0.5, smin=0.002)
    last = torch.full((16,), 0.002, dtype=torch.float64)
    assert torch.equal(f(U, last), U)


def test_a_consistency_function_of_the_right_network_is_the_flow_map():
    """Gaussian: mu + sqrt(C / (C + s^2)) (u - mu), up to the last level."""
    smin, sd = 0.002, 0.5

    def network(x, c_noise):
        sigma = torch.exp(4 * c_noise)
        u = x * torch.sqrt(sigma**2 + sd**2)[:, None]
        end = ExactJump(PRIOR)(u, sigma, target=torch.full_like(sigma, smin))
        c_skip, c_out = sd**2 / ((sigma - smin) ** 2 + sd**2), sd * (sigma - smin) / torch.sqrt(sigma**2 + sd**2)
        return (end - c_skip[:, None] * u) / c_out[:, None]

    sigma = torch.full((16,), 10.0, dtype=torch.float64)
    assert Consistency(network, sd, smin)(U, sigma) == pytest.approx(PRIOR.flow(U, 10.0, smin), abs=1e-12)


def test_gamma_lies_between_0_and_1():
    with pytest.raises(ConfigError, match=r"gamma 1\.5: expected 0 to 1"):
        CTM(1.5)


def test_jump_sampling_resumes_to_the_byte():
    states, noise = [State(U)], Noise(4)
    whole = sample(ExactJump(PRIOR), U, GRID, CTM(0.5), noise=noise, on_step=states.append)
    assert all(torch.equal(sample(ExactJump(PRIOR), state, GRID, CTM(0.5), noise=noise), whole) for state in states)
