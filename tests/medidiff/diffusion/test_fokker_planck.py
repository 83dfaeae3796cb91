"""The Fokker-Planck residual: zero for true scores, seen where a score is none."""

import pytest
import torch

from medidiff.diffusion.exact import Gaussian, Mixture
from medidiff.diffusion.fokker_planck import fokker_planck_residual


def mixture(smoothing: float = 0.0) -> Mixture:
    generator = torch.Generator().manual_seed(3)
    return Mixture(
        torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64),
        torch.randn(3, 4, generator=generator, dtype=torch.float64),
        0.6 * torch.randn(3, 4, 2, generator=generator, dtype=torch.float64),
        torch.full((3,), 0.01, dtype=torch.float64),
        smoothing=smoothing,
    )


def states(level: float) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    z = torch.randn(12, 4, generator=generator, dtype=torch.float64)
    u = mixture().draw(z, torch.rand(12, generator=generator, dtype=torch.float64), level)
    return u, torch.full((12,), level, dtype=torch.float64)


@pytest.mark.parametrize("level", [0.1, 0.5, 2.0])
def test_the_residual_of_the_exact_mixture_score_is_zero(level):
    residual, rate = fokker_planck_residual(mixture(), *states(level))
    assert float(residual.abs().max()) / float(rate.abs().max()) < 1e-12
    assert float(residual.norm() / rate.norm()) < 1e-13


def test_the_residual_of_a_gaussian_is_zero_at_mixed_levels():
    prior = Gaussian.of(torch.ones(4, dtype=torch.float64), torch.diag(torch.tensor([0.1, 1.0, 4.0, 2.0], dtype=torch.float64)))
    u, _ = states(0.5)
    sigma = torch.linspace(0.2, 5, 12, dtype=torch.float64)
    residual, rate = fokker_planck_residual(prior, u, sigma)
    assert float(residual.norm() / rate.norm()) < 1e-13


def test_a_smoothed_score_has_a_residual():
    u, sigma = states(0.3)
    residual, rate = fokker_planck_residual(mixture(smoothing=0.3), u, sigma)
    assert float(residual.norm() / rate.norm()) > 0.03


def test_random_signs_estimate_the_same_residual():
    u, sigma = states(1.0)
    exact, rate = fokker_planck_residual(mixture(smoothing=0.5), u, sigma)
    estimate, _ = fokker_planck_residual(mixture(smoothing=0.5), u, sigma, probes=256)
    assert float((estimate - exact).norm() / rate.norm()) < 0.1
