import math

import numpy as np
import pytest
import torch

from physics.ct.grid import Grid, arc
from physics.ct.parallel import ParallelBeam
from physics.mri.cartesian import CartesianMRI
from physics.solvers.sirt import reconstruct_sirt

BEAM = ParallelBeam(Grid(9, 8, pixel_mm=0.7), arc(11, start_rad=0.1), bins=25, bin_mm=0.7)


def noise(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def dense(operator):
    size = math.prod(operator.domain)
    columns = operator.forward(torch.eye(size, dtype=torch.float64).reshape(size, *operator.domain))
    return columns.reshape(size, -1).T.numpy()


def inverse(sums):
    return np.divide(1, sums, where=sums > 1e-9, out=np.zeros_like(sums))


@pytest.mark.parametrize("nonnegative", [False, True])
def test_an_iteration_weighs_with_the_sums_of_rows_and_columns(nonnegative):
    a, y = dense(BEAM), noise(1, *BEAM.range)
    x = np.zeros(a.shape[1])
    for _ in range(3):
        x = x + inverse(a.sum(axis=0)) * (a.T @ (inverse(a.sum(axis=1)) * (y.flatten().numpy() - a @ x)))
        x = x.clip(min=0) if nonnegative else x
    found = reconstruct_sirt(BEAM, y, iterations=3, nonnegative=nonnegative)
    np.testing.assert_allclose(found.flatten().numpy(), x, rtol=1e-10, atol=1e-12)


def test_it_tends_to_the_least_squares_solution_in_the_norm_of_its_weights():
    a = dense(BEAM)
    y = BEAM.forward(noise(1, *BEAM.domain)) + 0.05 * noise(1, *BEAM.range, seed=1)
    weights = np.sqrt(inverse(a.sum(axis=1)))
    known = np.linalg.lstsq(weights[:, None] * a, weights * y.flatten().numpy(), rcond=None)[0]
    errors = [
        np.linalg.norm(reconstruct_sirt(BEAM, y, iterations=count, nonnegative=False).flatten().numpy() - known)
        for count in (4, 40, 400)
    ]
    assert errors[0] > 1.5 * errors[1] > 1.5 * 1.5 * errors[2]
    assert errors[2] < 0.3 * np.linalg.norm(known)


def test_an_image_of_nonnegative_values_is_recovered_from_exact_data():
    x = noise(2, *BEAM.domain).clamp(min=0)
    found = reconstruct_sirt(BEAM, BEAM.forward(x), iterations=300, nonnegative=True)
    assert float((found - x).norm() / x.norm()) < 0.15 and float(found.min()) >= 0


def test_pixels_that_no_ray_meets_stay_zero_and_all_values_finite():
    narrow = ParallelBeam(Grid(16, 16, pixel_mm=1.0), arc(4), bins=5, bin_mm=1.0)
    found = reconstruct_sirt(narrow, torch.ones(1, *narrow.range), iterations=20, nonnegative=True)
    seen = narrow.adjoint(torch.ones(narrow.range))[0] > 0
    assert bool(torch.isfinite(found).all()) and not found[0, 0][~seen].any() and bool((~seen).any())


def test_complex_operators_are_refused():
    operator = CartesianMRI(torch.ones(4, 6), torch.ones(1, 4, 6, dtype=torch.complex64))
    with pytest.raises(ValueError, match="found a complex operator, expected a real one without negative entries"):
        reconstruct_sirt(operator, torch.zeros(1, *operator.range, dtype=torch.complex64), iterations=2, nonnegative=False)
