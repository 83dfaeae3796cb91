"""Symmetry of the Jacobian, intrinsic dimension, the gauge freedom, and the denoiser of data on subspaces."""

import pytest
import torch

from medidiff.diffusion.exact import Gaussian, Mixture
from medidiff.diffusion.geometry import asymmetry, asymmetry_by_level, local_dimension
from medidiff.diffusion.grid import karras
from medidiff.diffusion.jacobian import axes, pullback, trace
from medidiff.diffusion.lowrank import LowRankMixture
from medidiff.diffusion.networks.mlp import MLP
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.onestep import heun
from medidiff.diffusion.sample import sample

RANKS = (3, 5)


def subspaces(size: int = 32) -> torch.Tensor:
    """Orthonormal columns (2, size, 5)."""
    return torch.linalg.qr(Noise(4)(0, torch.empty(2, size, 5, dtype=torch.float64))).Q


def subspace_data(count: int, level: float, size: int = 32) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Points of rank 3 or 5 with noise, their levels, and which rank."""
    generator = torch.Generator().manual_seed(2)
    which = torch.arange(count) % 2
    kept = (torch.arange(5) < torch.tensor(RANKS)[which][:, None]).double()
    inside = kept * torch.randn(count, 5, generator=generator, dtype=torch.float64)
    x = torch.einsum("bdr,br->bd", subspaces(size)[which], inside)
    u = x + level * torch.randn(count, size, generator=generator, dtype=torch.float64)
    return u, torch.full((count,), level, dtype=torch.float64), which


def mixture_of_subspaces() -> Mixture:
    kept = (torch.arange(5) < torch.tensor(RANKS)[:, None]).double()
    zeros = torch.zeros(2, dtype=torch.float64)
    return Mixture(torch.full((2,), 0.5).double(), torch.zeros(2, 32).double(), subspaces() * kept[:, None], zeros)


def test_the_low_rank_formula_is_the_mixture_oracle_for_unequal_ranks():
    exact, formula = mixture_of_subspaces(), LowRankMixture(subspaces(), RANKS)
    for level in (0.05, 0.3, 1.0, 5.0):
        u, sigma, _ = subspace_data(40, level)
        assert (formula(u, sigma) - exact(u, sigma)).abs().max() < 1e-13


def test_dimension_is_right_for_every_sample_at_sigma_a_tenth():
    u, sigma, which = subspace_data(100, 0.1)
    found = local_dimension(LowRankMixture(subspaces(), RANKS), u, sigma)
    truth = torch.tensor(RANKS, dtype=torch.float64)[which]
    assert torch.equal(found.round(), truth)
    assert float(found[which == 0].mean()) == pytest.approx(3 / 1.01, abs=1e-3)
    assert float(found[which == 1].mean()) == pytest.approx(5 / 1.01, abs=1e-3)
    small = local_dimension(LowRankMixture(subspaces(), RANKS), *subspace_data(100, 0.01)[:2])
    assert float((small - truth).abs().max()) < 1e-3


def test_random_signs_estimate_the_same_dimension():
    u, sigma, _ = subspace_data(8, 0.1)
    model = LowRankMixture(subspaces(), RANKS)
    assert (local_dimension(model, u, sigma, probes=200) - local_dimension(model, u, sigma)).abs().max() < 0.7


def test_the_trace_over_all_axes_is_the_trace_of_the_jacobian():
    exact = mixture_of_subspaces()
    u, sigma, _ = subspace_data(10, 0.4)
    _, pull = pullback(exact, u, sigma)
    assert (trace(pull, axes(u)) - torch.func.vmap(torch.trace)(exact.jacobian(u, sigma))).abs().max() < 1e-12


def test_exact_denoisers_are_symmetric_and_a_rotation_is_not():
    exact = mixture_of_subspaces()
    u, sigma, _ = subspace_data(10, 0.3)
    assert asymmetry(exact, u, sigma) < 1e-13

    def half_turned(state, level):
        return state @ torch.tensor([[1.0, 1.0], [-1.0, 1.0]], dtype=state.dtype)

    pair = torch.randn(4000, 2, dtype=torch.float64)
    # J = I + R: |J - J^T| / |J| = |2 R| / |I + R| = sqrt(8) / 2
    assert asymmetry(half_turned, pair, torch.ones(4000).double()) == pytest.approx(2**0.5, rel=0.05)


def test_asymmetry_by_level_has_one_number_per_bin():
    u, _, _ = subspace_data(6, 0.1)
    exact = asymmetry_by_level(mixture_of_subspaces(), u, (0.1, 0.5, 2.0))
    turned = asymmetry_by_level(lambda state, level: state.roll(1, 1) * (level < 0.5)[:, None] + state, u, (0.1, 0.5, 2.0))
    assert len(exact) == len(turned) == 2
    assert max(exact) < 1e-12
    assert turned[0] > 0.5 > turned[1] == 0


def test_probes_of_a_network_leave_no_gradient_behind():
    network = MLP(4, width=8)
    u, sigma = torch.randn(3, 4), torch.ones(3, dtype=torch.float64)
    _, pull = pullback(lambda state, level: network(state, level), u, sigma)
    assert not pull(u).requires_grad
    assert all(p.grad is None for p in network.parameters())


def test_a_gauge_field_breaks_symmetry_but_not_the_marginal():
    prior = Gaussian(torch.zeros(2, dtype=torch.float64), torch.tensor([0.2, 1.0], dtype=torch.float64))
    turn = torch.tensor([[0.0, 0.4], [-0.4, 0.0]], dtype=torch.float64)

    def turned(u, sigma):
        # s + r with div(p r) = 0: r = turn C^-1 u is tangent to the ellipses of equal density
        inverse = 1 / (prior.variance + sigma[:, None] ** 2)
        return prior(u, sigma) + sigma[:, None] ** 2 * (inverse * u) @ turn.T

    grid = karras(400, smin=0.05, smax=10.0)
    start = torch.diag(torch.sqrt(prior.variance + 100))  # columns of the root of the covariance: the flow is linear
    ends = {name: sample(model, start, grid, heun) for name, model in {"plain": prior, "turned": turned}.items()}
    truth = torch.diag(prior.variance + 0.05**2)
    assert asymmetry(turned, start, torch.ones(2, dtype=torch.float64), probes=64) > 0.3
    assert (ends["turned"] - ends["plain"]).abs().max() > 0.05
    for end in ends.values():
        assert (end.T @ end - truth).abs().max() < 2e-3


def test_training_the_directions_finds_the_subspaces():
    truth = torch.linalg.qr(Noise(7)(0, torch.empty(2, 8, 2, dtype=torch.float64))).Q
    generator = torch.Generator().manual_seed(0)
    which = torch.arange(512) % 2
    x = torch.einsum("bdr,br->bd", truth[which], torch.randn(512, 2, generator=generator, dtype=torch.float64))
    model = LowRankMixture(torch.randn(2, 8, 2, generator=generator, dtype=torch.float64))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    sigma = torch.full((512,), 0.3, dtype=torch.float64)
    for _ in range(150):
        u = x + 0.3 * torch.randn(512, 8, generator=generator, dtype=torch.float64)
        optimizer.zero_grad()
        ((model(u, sigma) - x) ** 2).mean().backward()
        optimizer.step()
    with torch.no_grad():
        overlap = torch.einsum("kdr,jds->kjrs", model.bases(), truth).square().sum((2, 3)) / 2
        picked = model.responsibilities(x + 0.05, sigma * 0 + 0.1).argmax(1)
    assert float(overlap.max(1).values.min()) > 0.98
    assert overlap.argmax(1).unique().numel() == 2
    assert float((overlap.argmax(1)[picked] == which).double().mean()) > 0.9
