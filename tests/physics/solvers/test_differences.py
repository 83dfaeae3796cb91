import numpy as np
import pytest
import torch

from physics.solvers.differences import difference_z, difference_z_adjoint, gradient, gradient_adjoint

DTYPES = [torch.float64, torch.complex128]


def noise(*shape, dtype=torch.float64, seed=0):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("periodic", [False, True])
@pytest.mark.parametrize("slices", [1, 2, 5])
def test_the_adjoint_along_the_slices_is_exact(slices, periodic, dtype):
    x, w = noise(slices, 1, 4, 3, dtype=dtype), noise(slices, 1, 4, 3, dtype=dtype, seed=1)
    seen = torch.vdot(difference_z(x, periodic=periodic).flatten(), w.flatten())
    back = torch.vdot(x.flatten(), difference_z_adjoint(w, periodic=periodic).flatten())
    assert abs(complex(seen - back)) < 1e-12


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(5, 1, 4, 3), (5, 4, 3), (1, 4, 3), (4, 1, 1)])
def test_the_adjoint_of_the_gradient_is_exact(shape, dtype):
    x, w = noise(*shape, dtype=dtype), noise(3, *shape, dtype=dtype, seed=1)
    seen, back = torch.vdot(gradient(x).flatten(), w.flatten()), torch.vdot(x.flatten(), gradient_adjoint(w).flatten())
    assert abs(complex(seen - back)) < 1e-12


def test_differences_are_those_of_numpy_with_zero_at_the_far_face():
    x = noise(5, 1, 4, 3)
    found = gradient(x).numpy()
    for part, axis in zip(found, (0, 2, 3)):
        inner, last = np.split(part, [x.shape[axis] - 1], axis=axis)
        np.testing.assert_allclose(inner, np.diff(x.numpy(), axis=axis), rtol=0, atol=1e-15)
        assert not last.any()
    np.testing.assert_array_equal(found[0], difference_z(x).numpy())


def test_a_ring_of_slices_ties_the_last_to_the_first():
    x = noise(5, 2)
    assert torch.equal(difference_z(x, periodic=True)[-1], x[0] - x[-1])
    torch.testing.assert_close(difference_z(x, periodic=True).sum(dim=0), torch.zeros(2, dtype=x.dtype), rtol=0, atol=1e-14)


def test_equal_slices_have_no_difference():
    assert not difference_z(noise(1, 1, 4, 3).expand(6, -1, -1, -1)).any()
