"""Straight flows: one reflow of a Gaussian, annealed pairs at both ends, one-step distillation."""

from dataclasses import dataclass

import pytest
import torch

from medidiff.diffusion.exact import Gaussian
from medidiff.diffusion.grid import karras
from medidiff.diffusion.levels import Levels
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.onestep import dpm3, euler
from medidiff.diffusion.reflow import HalfSteps, Reflow, reflow_pairs
from medidiff.diffusion.sample import sample

VARIANCE = torch.tensor([0.1, 0.5, 1.0, 4.0], dtype=torch.float64)
PRIOR = Gaussian(torch.tensor([0.3, -0.2, 0.0, 1.0], dtype=torch.float64), VARIANCE)


@dataclass(frozen=True)
class OneLevel(Levels):
    sigma: float

    def quantile(self, probability):
        return torch.full_like(probability, self.sigma)


def draws(count: int, size: int = 4, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def straight_denoiser(u, sigma):
    """E[x0 | u] of the pairs (z, mean + C^(1/2) z): they are one to one, so the denoiser knows x0."""
    root, kept = VARIANCE.sqrt(), 1 / (1 + sigma)[:, None]  # kept = 1 - t
    z = kept * (u - PRIOR.mean) / (kept * root + kept * sigma[:, None])
    return PRIOR.mean + root * z


def test_a_gaussian_is_straight_after_one_reflow_and_one_euler_step_is_exact():
    z = draws(64)
    pairs = {"x0": PRIOR.noisy(z, 0.0), "z": z}
    assert float(Reflow()(pairs, straight_denoiser, Noise(0))) < 1e-25
    one_step = sample(straight_denoiser, 1e16 * z, torch.tensor([1e16, 0.0], dtype=torch.float64), euler)
    assert (one_step - pairs["x0"]).abs().max() < 1e-14
    assert float(HalfSteps(smax=1e8)(pairs, straight_denoiser, Noise(0))) < 1e-12
    assert float(HalfSteps(smax=1e3)(pairs, PRIOR, Noise(0))) > 0.01


def test_pairs_are_the_ends_of_the_ode():
    z = draws(32)
    pairs = reflow_pairs(PRIOR, z, karras(60, smin=0.01, smax=200.0), dpm3)
    assert (pairs["x0"] - PRIOR.flow(200.0 * z, 200.0, 0.01)).abs().max() < 1e-3
    assert (pairs["x0"] - PRIOR.noisy(z, 0.0)).abs().max() < 0.05


def test_slimflow_is_the_first_flow_at_one_end_and_reflow_at_the_other():
    pairs = {"x0": PRIOR.noisy(draws(64), 0.0), "z": draws(64)}
    fresh = {"x0": pairs["x0"], "z": draws(64, seed=9)}
    first = Reflow(fresh_share=1.0)
    assert torch.equal(first(pairs, PRIOR, Noise(0)), first(fresh, PRIOR, Noise(0)))
    assert not torch.equal(Reflow()(pairs, PRIOR, Noise(0)), Reflow()(fresh, PRIOR, Noise(0)))
    assert torch.equal(Reflow()(pairs, PRIOR, Noise(0)), Reflow(fresh_share=0.0)(pairs, PRIOR, Noise(0)))
    # in between, the noise keeps its variance
    many = {"x0": torch.zeros(2000, 1, dtype=torch.float64), "z": draws(2000, 1)}
    seen = []
    Reflow(fresh_share=0.6, levels=OneLevel(1.0))(many, lambda u, sigma: seen.append(u) or u, Noise(0))
    assert float(seen[0].std()) == pytest.approx(1, abs=0.05)
