"""The measured and the null part of images, for operators whose null space is known."""

import math
from dataclasses import dataclass

import pytest
import torch

from medidiff.reconstruction.nullspace import measured_part, null_energy, null_part, split_error
from physics.ct.grid import Grid, arc
from physics.ct.parallel import ParallelBeam
from physics.operator import LinearOperator


@dataclass(frozen=True)
class Mixing(LinearOperator):
    """A wide matrix (3, 6) on images (1, 2, 3), of rank 3."""

    seed: int = 0

    @property
    def domain(self):
        return 1, 2, 3

    @property
    def range(self):
        return 1, 3, 1

    @property
    def matrix(self):
        return torch.randn(3, 6, generator=torch.Generator().manual_seed(self.seed), dtype=torch.float64)

    def _forward(self, x):
        return (x.reshape(-1, 6) @ self.matrix.T).reshape(-1, 1, 3, 1)

    def _adjoint(self, y):
        return (y.reshape(-1, 3) @ self.matrix).reshape(-1, 1, 2, 3)


def images(seed: int, shape=(4, 1, 2, 3)):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_measured_part_is_the_projection_on_the_rows_of_the_matrix():
    operator, x = Mixing(), images(1)
    rows = torch.linalg.pinv(operator.matrix) @ operator.matrix
    expected = (x.reshape(4, 6) @ rows.T).reshape(x.shape)
    assert torch.allclose(measured_part(operator, x), expected, atol=1e-6)


def test_what_is_in_the_null_space_is_wholly_unsupported():
    operator, x = Mixing(), images(2)
    null = null_part(operator, x)
    assert float(operator.forward(null).norm()) < 1e-5 * float(operator.forward(x).norm())
    assert null_energy(operator, null, torch.zeros_like(null)) == pytest.approx(1)
    seen = measured_part(operator, x)
    assert null_energy(operator, seen, torch.zeros_like(x)) < 1e-5


def test_energy_is_counted_against_the_baseline_and_relative_to_the_image():
    operator, baseline = Mixing(), images(3)
    null = null_part(operator, images(4))
    x = baseline + null
    assert null_energy(operator, x, baseline) == pytest.approx(float(null.norm() / x.norm()), rel=1e-5)
    assert null_energy(operator, torch.zeros_like(x), torch.zeros_like(x)) == 0


def test_the_error_splits_into_shares_of_known_size():
    operator, truth = Mixing(), images(5)
    seen, null = measured_part(operator, images(6)), null_part(operator, images(7))
    seen, null = seen / seen.norm(), null / null.norm()
    shares = split_error(operator, truth + 0.6 * seen + 0.8 * null, truth)
    assert shares.measured == pytest.approx(0.36, abs=1e-4)
    assert shares.null == pytest.approx(0.64, abs=1e-4)
    assert math.isnan(split_error(operator, truth, truth).null)


def test_more_views_leave_less_of_an_image_unmeasured():
    grid = Grid(16, 16, 2.0)
    x = images(8, (2, 1, 16, 16)).float()
    shares = []
    for views in (3, 8, 40):
        beam = ParallelBeam(grid=grid, angles_rad=arc(views), bins=25, bin_mm=2.0)
        shares.append(null_energy(beam, x, torch.zeros_like(x)))
    assert shares[0] > shares[1] > shares[2]
    assert shares[0] ** 2 >= 1 - 3 * 25 / 256  # 75 measurements cannot hold more than that share of white noise
