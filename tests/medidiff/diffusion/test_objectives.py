"""The objectives of the base: denoising, training on measurements only, and what all objectives have in common."""

from dataclasses import dataclass
from functools import partial

import pytest
import torch

from medidiff.diffusion.convert import edm_weight
from medidiff.diffusion.distil import ConsistencyDistillation, SubPath
from medidiff.diffusion.exact import Gaussian
from medidiff.diffusion.grid import karras
from medidiff.diffusion.jump import ExactJump, Jump
from medidiff.diffusion.levels import Levels
from medidiff.diffusion.masked_prior import gaussian_from_measurements
from medidiff.diffusion.mmd import SampleDiscrepancy
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.objectives import Denoising, SplitMeasurement
from medidiff.diffusion.onestep import euler
from medidiff.diffusion.reflow import HalfSteps, Reflow
from medidiff.diffusion.smoothness import Smooth
from medidiff.diffusion.trajectory import Trajectory

VARIANCE = torch.tensor([0.1, 0.5, 1.0, 4.0], dtype=torch.float64)
PRIOR = Gaussian(torch.tensor([0.3, -0.2, 0.0, 1.0], dtype=torch.float64), VARIANCE)


@dataclass(frozen=True)
class OneLevel(Levels):
    sigma: float

    def quantile(self, probability):
        return torch.full_like(probability, self.sigma)


def draws(count: int, size: int = 4, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def data(count: int) -> dict[str, torch.Tensor]:
    return {"x0": PRIOR.noisy(draws(count), 0.0)}


def flow_to(smin: float):
    """The exact consistency function of PRIOR."""
    return lambda u, sigma: ExactJump(PRIOR)(u, sigma, target=torch.full_like(sigma, smin))


def exact_jump() -> Jump:
    """CTM's g of PRIOR, made of the exact flow: (G - (b/a) u) / (1 - b/a), and the denoiser where both levels are equal."""

    def g(u, sigma, *, target):
        kept = (target / sigma)[:, None]
        far = (ExactJump(PRIOR)(u, sigma, target=target) - kept * u) / (1 - kept).clamp(min=1e-12)
        return torch.where(kept == 1, PRIOR(u, sigma), far)

    return Jump(g)


def test_the_loss_of_the_exact_denoiser_is_the_weighted_posterior_variance():
    level, batch = OneLevel(0.7), data(5000)
    found = float(Denoising(0.5, level)(batch, PRIOR, Noise(1)))
    posterior = VARIANCE * 0.49 / (VARIANCE + 0.49)
    assert found == pytest.approx(float(edm_weight(torch.tensor(0.7), 0.5) * posterior.mean()), rel=0.05)


def test_the_loss_is_a_mean_so_that_repeating_a_batch_does_not_change_it():
    small, level = data(512), OneLevel(0.7)
    large = {"x0": small["x0"].repeat(1, 3)}
    prior = Gaussian(PRIOR.mean.repeat(3), VARIANCE.repeat(3))
    assert float(Denoising(0.5, level)(large, prior, Noise(1))) == pytest.approx(
        float(Denoising(0.5, level)(small, PRIOR, Noise(1))), rel=0.1
    )


def test_a_prior_is_learned_from_masked_measurements():
    size, count = 6, 6000
    factor = draws(size, size, seed=11)
    truth = factor @ factor.T / size + 0.1 * torch.eye(size, dtype=torch.float64)
    x = draws(count, size, seed=12) @ torch.linalg.cholesky(truth).T
    y = x + 0.1 * draws(count, size, seed=13)
    masks = torch.rand(count, size, generator=torch.Generator().manual_seed(14)) < 0.6

    def error(rounds: int, seen: torch.Tensor) -> float:
        found = gaussian_from_measurements(torch.where(seen, y, 7e7), seen, noise_std=0.1, rounds=rounds)
        return float((found.covariance() - truth).norm() / truth.norm())

    errors = [error(rounds, masks) for rounds in (1, 5, 20)]
    assert errors[0] > 0.3
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.06
    assert error(20, torch.ones_like(masks)) < errors[2]


def test_the_loss_on_the_other_part_of_a_measurement_is_least_for_the_exact_conditional_mean():
    size, count, level = 4, 4000, 0.5
    factor = draws(size, size, seed=11)
    prior = Gaussian.of(torch.zeros(size, dtype=torch.float64), factor @ factor.T / size)
    x = prior.noisy(draws(count, size), 0.0)
    first = (torch.rand(count, size, generator=torch.Generator().manual_seed(14)) < 0.5).double()
    second = 1 - first
    batch = {"y1": first * x, "y2": second * x, "m1": first, "m2": second}
    objective = SplitMeasurement(start=lambda b: b["y1"], second=lambda x, b: b["m2"] * x, handed=("m1",), levels=OneLevel(level))
    c = prior.covariance()

    def exact(u, sigma, m1):
        seen = m1[:, :, None] * c
        gram = seen * m1[:, None] + level**2 * torch.eye(size, dtype=torch.float64)
        return torch.einsum("nde,ne->nd", torch.linalg.solve(gram, seen).mT, u)

    best = float(objective(batch, exact, Noise(0)))
    for factor in (0.9, 1.1):
        assert float(objective(batch, lambda u, s, m1, f=factor: f * exact(u, s, m1), Noise(0))) > best
    assert float(objective(batch, lambda u, s, m1: u, Noise(0))) > 1.2 * best


def test_every_objective_gives_the_same_loss_for_the_same_noise():
    grid = karras(6, smin=0.05, smax=10.0)
    batch = {**data(8), "z": draws(8, seed=3)}
    plain = {"x0": batch["x0"]}
    losses = {
        "denoising": partial(Denoising(1.0), plain, PRIOR),
        "consistency": partial(ConsistencyDistillation(PRIOR, grid, 1.0), plain, flow_to(0.05)),
        "sub-path": partial(SubPath(PRIOR, grid, 1.0), plain, flow_to(0.05)),
        "trajectory": partial(Trajectory(PRIOR, grid, 1.0), plain, exact_jump()),
        "reflow": partial(Reflow(0.5), batch, PRIOR),
        "half steps": partial(HalfSteps(), batch, PRIOR),
        "discrepancy": partial(SampleDiscrepancy(grid, euler, (1.0,)), plain, PRIOR),
        "smooth": partial(Smooth(1.0), plain, PRIOR),
    }
    for name, loss in losses.items():
        first, again, other = loss(Noise(1)), loss(Noise(1)), loss(Noise(2))
        assert torch.equal(first, again), name
        assert first.ndim == 0, name
        assert name == "half steps" or not torch.equal(first, other), name
