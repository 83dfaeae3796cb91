"""RED-diff of volumes against that of the engine and against its closed form."""

import pytest
import torch

from medidiff.diffusion.exact import Gaussian
from medidiff.diffusion.grid import uniform_lambda
from medidiff.diffusion.measurement import Measurement
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.reddiff import RedDiff, fixed_point, red_diff
from medidiff.reconstruction.reddiff import prox_along_z, volume_red_diff

SLICES, COUNT = 24, 5


class Matrix:
    """A matrix on the pixels of every slice, (slice, 1, 1, pixel)."""

    def __init__(self, matrix):
        self.matrix = matrix

    def forward(self, x):
        return x @ self.matrix.T

    def adjoint(self, y):
        return y @ self.matrix

    def normal(self, x):
        return self.adjoint(self.forward(x))


def normal(*shape, seed):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


MATRIX, Y = normal(3, COUNT, seed=0), normal(3, seed=1)
VARIANCE, BASIS = torch.logspace(-1, 0.3, COUNT, dtype=torch.float64), torch.linalg.qr(normal(COUNT, COUNT, seed=2))[0]
PRIOR = Gaussian(normal(1, 1, COUNT, seed=3), VARIANCE, BASIS)
SEEN = Measurement(Matrix(MATRIX), Y.expand(SLICES, 1, 1, 3), 0.4)
START = torch.zeros(SLICES, 1, 1, COUNT, dtype=torch.float64)
GRID = uniform_lambda(400, smin=0.5, smax=0.51)  # so close together that the fixed point stands still
OPTIONS = RedDiff(lam=1.0, learning_rate=0.04)


def run(threshold, grid=GRID, **more):
    return volume_red_diff(PRIOR, SEEN, START, grid=grid, options=OPTIONS, threshold=threshold, noise=Noise(0), **more)


def test_without_coupling_it_is_the_solver_of_the_engine():
    grid = uniform_lambda(12, smin=0.1, smax=5.0)
    found = run(0.0, grid)
    assert torch.equal(found, red_diff(PRIOR, SEEN, START, grid, options=OPTIONS, noise=Noise(0)))


@pytest.mark.parametrize("threshold", [0.0, 0.05])
def test_it_ends_at_the_fixed_point_and_coupling_only_takes_noise_away(threshold):
    m = run(threshold)
    flat = Gaussian(PRIOR.mean.flatten(), VARIANCE, BASIS)
    known = fixed_point(flat, MATRIX, y=Y, noise_std=0.4, levels=GRID, options=OPTIONS)
    assert float((m.mean(0).flatten() - known).abs().max()) < 0.05
    assert (float(m.diff(dim=0).abs().mean()) < 0.03) == (threshold > 0)


def test_every_level_is_told():
    seen = []
    run(0.01, uniform_lambda(5, smin=0.1, smax=1.0), on_step=lambda state: seen.append(state.step))
    assert seen == [1, 2, 3, 4, 5]


def test_the_prox_of_two_slices_moves_them_together_by_the_threshold():
    v = torch.tensor([[0.0, 0.0], [1.0, 0.3]], dtype=torch.float64)
    found, _ = prox_along_z(v, 0.2, torch.zeros_like(v), iterations=200)
    torch.testing.assert_close(found, torch.tensor([[0.2, 0.15], [0.8, 0.15]], dtype=torch.float64))


def test_the_prox_fulfils_its_optimality_condition():
    v = normal(9, 4, seed=5)
    x, p = prox_along_z(v, 0.3, torch.zeros_like(v), iterations=3000)
    steps = x.diff(dim=0)
    moving = steps.abs() > 1e-5
    assert 0 < int(moving.sum()) < steps.numel()
    assert float(p.abs().max()) <= 0.3
    torch.testing.assert_close(p[:-1][moving], 0.3 * steps[moving].sign(), rtol=0, atol=1e-6)
    torch.testing.assert_close(x.mean(0), v.mean(0))
