"""Images without a prior: exact with all samples, the closed form of ridge regression without."""

import pytest
import torch

from physics.mri.cartesian import CartesianMRI
from physics.mri.coils import simulated_maps
from physics.mri.masks import uniform1d
from physics.mri.sense import reconstruct_sense, reconstruct_zero_filled

ROWS, COLUMNS = 9, 12
MAPS = simulated_maps(ROWS, COLUMNS, coils=6)
LINES = torch.from_numpy(uniform1d((ROWS, COLUMNS), acceleration=2, calibration_lines=2, seed=1).mask)


def noise(shape, dtype=torch.complex128, *, seed=0):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def matrix(operator):
    """A as a matrix: its columns are measurements of single pixels."""
    pixels = torch.eye(ROWS * COLUMNS, dtype=torch.complex128).reshape(-1, ROWS, COLUMNS)
    return operator.forward(pixels).reshape(len(pixels), -1).T


def test_all_of_kspace_needs_no_more_than_zero_filling():
    operator = CartesianMRI(torch.ones(ROWS, COLUMNS), MAPS)
    x = noise((2, ROWS, COLUMNS), torch.complex64)
    y = operator.forward(x)
    for image in (reconstruct_zero_filled(operator, y), reconstruct_sense(operator, y, iterations=1, ridge=0.0)):
        assert float((image - x).norm() / x.norm()) < 1e-6


@pytest.mark.parametrize("ridge", [1e-3, 0.1])
def test_sense_is_the_closed_form_of_ridge_regression(ridge):
    operator = CartesianMRI(LINES, MAPS)
    y = noise(operator.range)
    a = matrix(operator)
    weight = ridge * operator.norm**2
    exact = torch.linalg.solve(a.mH @ a + weight * torch.eye(a.shape[1], dtype=a.dtype), a.mH @ y.flatten()).reshape(
        ROWS, COLUMNS
    )
    found = reconstruct_sense(operator, y, iterations=400, ridge=ridge)
    assert float((found - exact).norm() / exact.norm()) < 1e-9


def test_coils_unfold_what_zero_filling_leaves_folded():
    operator = CartesianMRI(LINES, MAPS)
    x = noise((2, ROWS, COLUMNS))
    y = operator.forward(x)
    folded = float((reconstruct_zero_filled(operator, y) - x).norm() / x.norm())
    unfolded = float((reconstruct_sense(operator, y, iterations=500, ridge=0.0) - x).norm() / x.norm())
    assert folded > 0.5
    assert unfolded < 1e-6


def test_a_negative_ridge_is_refused():
    operator = CartesianMRI(LINES, MAPS)
    with pytest.raises(ValueError, match=r"ridge: found -0\.1"):
        reconstruct_sense(operator, noise(operator.range), ridge=-0.1)
