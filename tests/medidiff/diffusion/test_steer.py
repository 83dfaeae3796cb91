"""DPS as published, the recipes of DDS and DiffPIR, and inpainting on repeated levels."""

import math

import pytest
import torch

from medidiff.diffusion.exact import Gaussian
from medidiff.diffusion.grid import karras, with_zero
from medidiff.diffusion.measurement import Measurement
from medidiff.diffusion.multistep import pp2m
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.onestep import euler, heun
from medidiff.diffusion.posterior import correction
from medidiff.diffusion.propagation import Moments, propagated
from medidiff.diffusion.rules import Flat, Isotropic
from medidiff.diffusion.sample import State, sample, sampler_name
from medidiff.diffusion.steer import DPS, Inpainting, dds, diffpir
from medidiff.diffusion.stochastic import Renoise
from medidiff.errors import ConfigError


class Matrix:
    """A matrix on vectors."""

    def __init__(self, matrix):
        self.matrix = matrix

    def forward(self, x):
        return x @ self.matrix.to(x.dtype).T

    def adjoint(self, y):
        return y @ self.matrix.to(y.dtype)

    def normal(self, x):
        return self.adjoint(self.forward(x))


def normal(*shape, seed):
    return Noise(seed, ("steer",))(0, torch.empty(1, *shape, dtype=torch.float64))[0]


PRIOR = Gaussian(normal(6, seed=1), torch.logspace(-1, 0.5, 6, dtype=torch.float64), torch.linalg.qr(normal(6, 6, seed=2))[0])
SEEN = Measurement(Matrix(normal(3, 6, seed=3)), normal(1, 3, seed=4), 0.2)
U = 5 * normal(4, 6, seed=5)
GRID = karras(12, smin=0.05, smax=5.0)


@pytest.mark.parametrize("step", [euler, heun, pp2m, Renoise()], ids=["euler", "heun", "pp2m", "DDPM"])
def test_dps_walks_down_the_norm_of_the_misfit_after_the_step(step):
    """The gradient by finite differences of the norm itself."""
    plain, pushed = (method(PRIOR, State(U), GRID, Noise(7)) for method in (step, DPS(step, SEEN, 0.6)))

    def norms(u):
        return (SEEN.y - SEEN.operator.forward(PRIOR(u, torch.full((len(u),), 5.0).double()))).norm(dim=1)

    shift = 1e-5 * torch.eye(6).double()
    for row in range(4):
        gradient = (norms(U[row] + shift) - norms(U[row] - shift)) / 2e-5
        assert (pushed.u[row] - plain.u[row] + 0.6 * gradient).abs().max() < 1e-8


def test_dps_makes_no_call_more_than_its_step():
    calls = []

    def counted(u, sigma):
        calls.append(1)
        return PRIOR(u, sigma)

    sample(counted, U, GRID, DPS(euler, SEEN, 0.3))
    assert len(calls) == len(GRID) - 1
    calls.clear()
    sample(counted, U, GRID, DPS(heun, SEEN, 0.3))
    assert len(calls) == 2 * (len(GRID) - 1)


def test_dps_moves_towards_the_measurement_and_zeta_0_changes_nothing():
    plain = sample(PRIOR, U, GRID, euler)
    assert torch.equal(sample(PRIOR, U, GRID, DPS(euler, SEEN, 0.0)), plain)
    misfits = [SEEN.misfit(x).norm(dim=1).mean() for x in (plain, sample(PRIOR, U, GRID, DPS(euler, SEEN, 0.3)))]
    assert misfits[1] < 0.6 * misfits[0]


def test_dps_of_an_item_does_not_depend_on_its_batch():
    together = sample(PRIOR, U, GRID, DPS(Renoise(), SEEN, 0.3), noise=Noise(1, ("a", "b", "c", "d")))
    alone = sample(PRIOR, U[2:3], GRID, DPS(Renoise(), SEEN, 0.3), noise=Noise(1, ("c",)))
    assert (alone - together[2:3]).abs().max() < 1e-13


def test_dps_without_misfit_stays_finite():
    seen = Measurement(SEEN.operator, SEEN.operator.forward(PRIOR(U[:1], torch.full((1,), 5.0).double())), 0.1)
    moved = DPS(euler, seen, 1.0)(PRIOR, State(U[:1]), GRID, Noise(0))
    assert bool(torch.isfinite(moved.u).all())


def test_dps_is_stochastic_and_repeats_levels_as_its_step_does():
    assert DPS(Renoise(), SEEN).is_stochastic and DPS(Renoise(), SEEN).may_repeat
    assert not DPS(pp2m, SEEN).is_stochastic and not DPS(pp2m, SEEN).may_repeat


def test_dds_keeps_the_networks_own_noise():
    correct = correction(SEEN, Isotropic(0.8))
    found = dds(correct, eta=0.6)(PRIOR, State(U), GRID, Noise(3)).u
    denoised = PRIOR(U, torch.full((4,), 5.0).double())
    z = Noise(3)(0, U, 1)
    b = float(GRID[1])
    assert (found - (correct(denoised, 5.0) + b * (0.6 * z + 0.8 * (U - denoised) / 5))).abs().max() < 1e-14


def test_diffpir_takes_the_noise_that_leads_to_its_own_prediction():
    correct = correction(SEEN, Flat(7.0))
    found = diffpir(correct, zeta=0.36)(PRIOR, State(U), GRID, Noise(3)).u
    h = correct(PRIOR(U, torch.full((4,), 5.0).double()), 5.0)
    z = Noise(3)(0, U, 1)
    b = float(GRID[1])
    assert (found - (h + b * (0.6 * z + 0.8 * (U - h) / 5))).abs().max() < 1e-14


def test_inpainting_keeps_the_known_pixels_and_repeated_levels_bring_the_rest_to_them():
    """Two pixels with correlation .9, the first known: repeats draw the second to its conditional mean (RePaint)."""
    prior = Gaussian.of(torch.zeros(2).double(), torch.tensor([[1.0, 0.9], [0.9, 1.0]], dtype=torch.float64))
    step = Renoise(rule="fresh", correct=Inpainting(torch.tensor([[1.0, 0.0]]).double(), torch.tensor([[2.0, 0.0]]).double()))
    errors = []
    for repeats in (1, 5, 40):
        grid = with_zero(karras(16, smin=0.02, smax=10.0).repeat_interleave(repeats))
        end = propagated(step, prior, grid, start=Moments(torch.zeros(2).double(), 100 * torch.eye(2).double()), shape=(2,))
        assert float(end.mean[0]) == 2 and float(end.covariance[0, 0]) == 0
        errors.append(abs(float(end.mean[1]) - 1.8))
    assert errors[0] > 0.1 and errors[1] < errors[0] and errors[2] < 0.02


def test_recipes_are_named_with_their_measurement():
    mask = Inpainting(torch.ones(1, 6), torch.zeros(1, 6))
    other = Inpainting(torch.ones(1, 6), torch.ones(1, 6))
    names = {sampler_name(step) for step in (DPS(euler, SEEN), Renoise(correct=mask), Renoise(correct=other), dds(mask))}
    assert len(names) == 4 and sampler_name(Renoise(correct=mask)) == sampler_name(Renoise(correct=mask))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DPS(euler, SEEN, 1.4), r"zeta 1\.4: expected 0 to 1"),
        (lambda: DPS(euler, SEEN, math.nan), "zeta nan: expected 0 to 1"),
        (lambda: diffpir(Inpainting(U, U), zeta=-0.1), r"zeta -0\.1: expected 0 to 1"),
        (lambda: dds(Inpainting(U, U), eta=1.4), r"eta 1\.4: expected 0 to 1"),
    ],
)
def test_shares_out_of_range_are_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()
