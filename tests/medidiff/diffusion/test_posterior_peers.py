"""Our posterior rules beside azula's own code, on the mixture and with an asymmetric Jacobian. Skipped without azula."""

import pytest
import torch

from medidiff.diffusion.measurement import Measurement
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.posterior import data_consistent
from medidiff.diffusion.rules import Flat, MomentMatching, RowSums
from medidiff.diffusion.sample import State
from medidiff.diffusion.steer import DPS
from medidiff.diffusion.stochastic import Renoise

LEVEL = 0.7


def normal(*shape, seed):
    return Noise(seed, ("peers",))(0, torch.empty(1, *shape, dtype=torch.float64))[0]


MATRIX, Y, U = normal(3, 8, seed=1), normal(1, 3, seed=2), 2 * normal(6, 8, seed=3)


class Matrix:
    """A matrix on vectors."""

    def forward(self, x):
        return x @ MATRIX.T

    def adjoint(self, y):
        return y @ MATRIX

    def normal(self, x):
        return self.adjoint(self.forward(x))


SEEN = Measurement(Matrix(), Y, 0.4)


@pytest.fixture(scope="module")
def azula():
    pytest.importorskip("azula.guidance", reason="azula is not installed", exc_type=ImportError)
    import azula.denoise
    import azula.guidance
    import azula.linalg.covariance
    import azula.noise

    return azula


@pytest.fixture(params=["mixture", "turned"])
def prior(request, mixture):
    """The mixture, and a denoiser that is the gradient of nothing."""
    turn = torch.linalg.matrix_exp(0.1 * (normal(8, 8, seed=4) - normal(8, 8, seed=4).T))
    return mixture if request.param == "mixture" else lambda u, sigma: mixture(u, sigma) @ turn


def theirs(azula, prior):
    """Our denoiser as one of azula's, with time = sigma."""

    class Schedule(azula.noise.Schedule):
        def forward(self, t):
            return torch.ones_like(t), t

        __call__ = forward

    class Wrapped(azula.denoise.Denoiser):
        schedule = Schedule()

        def forward(self, x_t, t, **kwargs):
            return azula.denoise.DiracPosterior(mean=prior(x_t, t.expand(len(x_t))))

    return Wrapped()


def mean_of(denoiser):
    return denoiser(U, torch.tensor(LEVEL, dtype=torch.float64)).mean


def ours(prior, rule):
    sigma = torch.full((6,), LEVEL, dtype=torch.float64)
    return data_consistent(prior, SEEN, rule, iterations=3, tolerance=0.0)(U, sigma)


def test_moment_matching_is_theirs(azula, prior):
    covariance = azula.linalg.covariance.IsotropicCovariance(torch.tensor(0.16, dtype=torch.float64))
    peer = azula.guidance.MMPSDenoiser(theirs(azula, prior), Y, Matrix().forward, covariance, solver="cg", iterations=3)
    assert (mean_of(peer) - ours(prior, MomentMatching(1.0))).abs().max() < 1e-9


def test_row_sums_are_theirs(azula, prior):
    """Where no row sum is negative; there they go on and we put 0."""
    peer = azula.guidance.TMPDenoiser(theirs(azula, prior), Y, Matrix().forward, 0.16)
    rows = torch.einsum("md,bde,ne->bm", MATRIX, transposed_jacobian(prior), MATRIX)
    same = (rows >= 0).all(1)
    assert bool(same.any())
    assert (mean_of(peer) - ours(prior, RowSums()))[same].abs().max() < 1e-12


def test_diffpir_is_theirs(azula, prior):
    peer = azula.guidance.DiffPIRDenoiser(theirs(azula, prior), Y, Matrix().forward, 0.16, lmbda=7.0, solver="cg", iterations=3)
    assert (mean_of(peer) - ours(prior, Flat(7.0))).abs().max() < 1e-12


def test_dps_is_theirs_for_one_item(azula, prior, monkeypatch):
    """One item at a time: their norm runs over the batch, so that the images of a batch guide each other."""
    z = Noise(9)(0, U[:1], 1)
    monkeypatch.setattr(torch, "randn_like", lambda x: z)
    peer = azula.guidance.DPSSampler(theirs(azula, prior), Y, Matrix().forward, zeta=0.3)
    a, b = (torch.tensor(level, dtype=torch.float64) for level in (LEVEL, 0.5))
    found = DPS(Renoise(), SEEN, 0.3)(prior, State(U[:1]), torch.stack([a, b]), Noise(9))
    assert (found.u - peer.step(U[:1], a, b)).abs().max() < 1e-13


def transposed_jacobian(prior):
    """J^T of every item."""
    sigma = torch.full((1,), LEVEL, dtype=torch.float64)
    return torch.stack([torch.autograd.functional.jacobian(lambda v: prior(v[None], sigma)[0], u) for u in U]).mT
