from dataclasses import dataclass

import numpy as np
import pytest
import torch

from physics.ct.grid import Grid, arc
from physics.ct.parallel import ParallelBeam
from physics.operator import LinearOperator
from physics.solvers.cgls import reconstruct_cgls
from physics.solvers.differences import difference_z, gradient_adjoint
from physics.solvers.total_variation import lengths, minimise_tv, objective, reconstruct_tv


@dataclass(frozen=True)
class Identity(LinearOperator):
    """y = x, of images of a shape; complex on request."""

    shape: tuple[int, ...]
    is_complex: bool = False

    @property
    def domain(self):
        return self.shape

    range = domain

    def _forward(self, x):
        return x

    def _adjoint(self, y):
        return y


@dataclass(frozen=True)
class Scaled(LinearOperator):
    """factor A."""

    inner: LinearOperator
    factor: float

    @property
    def domain(self):
        return self.inner.domain

    @property
    def range(self):
        return self.inner.range

    def _forward(self, x):
        return self.factor * self.inner.forward(x)

    def _adjoint(self, y):
        return self.factor * self.inner.adjoint(y)


BEAM = ParallelBeam(Grid(14, 13, pixel_mm=0.7), arc(7, start_rad=0.1), bins=21, bin_mm=0.7)
UNIT = Scaled(BEAM, 1 / BEAM.norm)


def noise(*shape, dtype=torch.float64, seed=0):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def blocks():
    """A volume of constant boxes, (slice, 1, row, column)."""
    x = torch.zeros(5, 1, 14, 13, dtype=torch.float64)
    x[1:4, :, 3:9, 4:10] = 1.0
    x[2:, :, 7:12, 2:7] += 0.5
    return x


def taut_string(y, weight):
    """The exact minimum of 1/2 |x - y|^2 + weight sum |x[i + 1] - x[i]|: slopes of the shortest path within a tube.

    The tube has radius `weight` around the running sums of y and is pinched to them at both ends (Davies and Kovac 2001).
    """
    count = len(y)
    sums = np.concatenate([[0.0], np.cumsum(y)])
    upper, lower = sums + weight, sums - weight
    upper[count] = lower[count] = sums[count]
    x, here, height = np.empty(count), 0, 0.0
    while here < count:
        knot, slope = _bend(upper - height, lower - height, here)
        x[here:knot] = slope
        height, here = height + slope * (knot - here), knot
    return x


def _bend(upper, lower, here):
    """Where the string from `here`, at height 0, touches the tube next, and its slope up to there."""
    least, most = (np.inf, here), (-np.inf, here)
    for place in range(here + 1, len(upper)):
        rise, fall = upper[place] / (place - here), lower[place] / (place - here)
        if fall > least[0]:
            return least[1], least[0]
        if rise < most[0]:
            return most[1], most[0]
        least = (rise, place) if rise <= least[0] else least
        most = (fall, place) if fall >= most[0] else most
    return len(upper) - 1, upper[-1] / (len(upper) - 1 - here)


def test_the_exact_solution_that_is_the_oracle_satisfies_its_own_optimality():
    y, weight = noise(40).cumsum(0).numpy(), 0.9
    x = taut_string(y, weight)
    dual = np.cumsum(y - x)  # x - y + D^T u = 0
    assert abs(dual[-1]) < 1e-12 and np.abs(dual[:-1]).max() < weight + 1e-12
    jumps = np.diff(x)
    np.testing.assert_allclose(-dual[:-1][np.abs(jumps) > 1e-9], weight * np.sign(jumps[np.abs(jumps) > 1e-9]), atol=1e-12)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("weight", [0.05, 0.3, 1.0])
def test_denoising_along_any_axis_is_the_taut_string(axis, weight):
    y = torch.tensor([0.0, 1.0, 0.3, 0.8], dtype=torch.float64).repeat_interleave(8) + 0.1 * noise(32)
    shape = [1, 1, 1]
    shape[axis] = 32
    found = reconstruct_tv(Identity(tuple(shape[1:])), y.reshape(shape), weight=weight)
    np.testing.assert_allclose(found.flatten().numpy(), taut_string(y.numpy(), weight), rtol=0, atol=1e-6)


def test_without_a_weight_it_is_cgls():
    y = noise(3, *BEAM.range)
    assert torch.equal(reconstruct_tv(UNIT, y, weight=0.0, iterations=9), reconstruct_cgls(UNIT, y, iterations=9))


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_a_large_weight_along_the_slices_leaves_the_mean_of_each_column(dtype):
    y = noise(6, 1, 1, dtype=dtype)
    found = reconstruct_tv(Identity((1, 1), dtype.is_complex), y, weight=5.0)
    torch.testing.assert_close(found, y.mean(dim=0, keepdim=True).expand_as(y), rtol=0, atol=1e-6)


@pytest.mark.parametrize("nonnegative", [False, True])
def test_it_ends_where_no_direction_lowers_the_objective(nonnegative):
    y, weight = UNIT.forward(blocks()) + 0.02 * noise(5, *BEAM.range), 0.003
    found = minimise_tv(UNIT, y, weight=weight, iterations=120, nonnegative=nonnegative)
    slope = UNIT.adjoint(UNIT.forward(found.x) - y) + gradient_adjoint(found.dual)
    slope = slope if found.sign_dual is None else slope + found.sign_dual
    assert float(slope.norm() / UNIT.adjoint(y).norm()) < 1e-3
    assert float(lengths(found.dual).max()) <= weight * (1 + 1e-9)
    if nonnegative:
        assert float(found.x.min()) >= 0 and float(found.sign_dual.max()) <= 0
        assert float((found.sign_dual * found.x).abs().max()) < 1e-5


def test_the_objective_falls_from_checkpoint_to_checkpoint_to_its_minimum():
    y, weight = UNIT.forward(blocks()) + 0.02 * noise(5, *BEAM.range), 0.003
    values = [
        objective(UNIT, y, reconstruct_tv(UNIT, y, weight=weight, iterations=count), weight=weight) for count in (4, 20, 60, 120)
    ]
    assert values[0] > values[1] > values[2] > values[3]
    assert values[2] - values[3] < 2e-3 * values[3]
    assert objective(UNIT, y, blocks(), weight=weight) > values[3]


def test_the_image_scales_with_data_and_weight():
    y = UNIT.forward(blocks()) + 0.02 * noise(5, *BEAM.range)
    one, tenfold = (reconstruct_tv(UNIT, a * y, weight=0.003 * a, iterations=30) for a in (1.0, 10.0))
    torch.testing.assert_close(tenfold, 10 * one, rtol=1e-8, atol=1e-8)


def test_a_phase_of_complex_data_is_the_phase_of_the_image():
    operator = Identity((6, 7), is_complex=True)
    y = noise(4, 6, 7, dtype=torch.complex128)
    turn = torch.exp(torch.tensor(0.7j, dtype=torch.complex128))
    straight, turned = (reconstruct_tv(operator, data, weight=0.4) for data in (y, turn * y))
    torch.testing.assert_close(turned, turn * straight, rtol=1e-8, atol=1e-8)


def test_real_data_of_a_complex_operator_give_the_image_of_the_real_one():
    y = noise(4, 6, 7)
    real = reconstruct_tv(Identity((6, 7)), y, weight=0.4, iterations=300)
    found = reconstruct_tv(Identity((6, 7), is_complex=True), y + 0j, weight=0.4, iterations=300)
    torch.testing.assert_close(found, real + 0j, rtol=0, atol=1e-3)


def test_equal_slices_stay_equal():
    y = (UNIT.forward(blocks())[2:3] + 0.05 * noise(1, *BEAM.range)).expand(5, -1, -1, -1).contiguous()
    found = reconstruct_tv(UNIT, y, weight=0.003)
    assert float(difference_z(found).abs().max()) < 1e-9
    torch.testing.assert_close(found[:1], reconstruct_tv(UNIT, y[:1], weight=0.003, iterations=60), rtol=0, atol=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize("start", [torch.zeros, torch.ones])
def test_another_start_ends_at_the_same_image(start):
    y = UNIT.forward(blocks()) + 0.02 * noise(5, *BEAM.range)
    known = reconstruct_tv(UNIT, y, weight=0.003, iterations=400)
    begin = start(5, *BEAM.domain, dtype=torch.float64)
    found = reconstruct_tv(UNIT, y, weight=0.003, iterations=400, start=begin)
    torch.testing.assert_close(found, known, rtol=0, atol=1e-2)


def test_it_beats_least_squares_on_constant_boxes_from_few_noisy_views():
    y = UNIT.forward(blocks()) + 0.01 * noise(5, *BEAM.range)
    error = [
        float((x - blocks()).norm()) for x in (reconstruct_tv(UNIT, y, weight=0.003), reconstruct_cgls(UNIT, y, iterations=12))
    ]
    assert error[0] < 0.6 * error[1]


def test_an_image_without_anything_stays_empty():
    assert not reconstruct_tv(UNIT, torch.zeros(2, *BEAM.range), weight=0.003, iterations=5).any()


def test_negative_weights_and_signs_of_complex_images_are_refused():
    with pytest.raises(ValueError, match=r"found weight -0\.1, expected 0 or more"):
        reconstruct_tv(UNIT, torch.zeros(1, *BEAM.range), weight=-0.1)
    with pytest.raises(ValueError, match="found a complex operator with nonnegative"):
        reconstruct_tv(Identity((2, 2), True), torch.zeros(1, 2, 2, dtype=torch.complex64), weight=0.1, nonnegative=True)
