"""The step towards the data against its closed forms: dense solves, the form in measurement space, and its limits."""

import pytest
import torch

from medidiff.diffusion.measurement import Measurement
from medidiff.errors import NumericsError
from medidiff.reconstruction.sweep import Sweep, shrink

SHAPE = (5, 1, 4, 3)  # slice, channel, row, column


class Matrix:
    """A matrix on the pixels of every slice."""

    def __init__(self, matrix):
        self.matrix = matrix

    def forward(self, x):
        return x.flatten(1) @ self.matrix.T

    def adjoint(self, y):
        return (y @ self.matrix).reshape(-1, *SHAPE[1:])

    def normal(self, x):
        return self.adjoint(self.forward(x))


def normal(*shape, seed):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


MATRIX = normal(7, 12, seed=0) / 6
Y, H0 = normal(5, 7, seed=1), normal(*SHAPE, seed=2)
SEEN = Measurement(Matrix(MATRIX), Y, 0.1)


def differences(is_periodic):
    """D_z as a matrix over the slices."""
    d = torch.roll(torch.eye(5, dtype=torch.float64), 1, dims=1) - torch.eye(5, dtype=torch.float64)
    if not is_periodic:
        d[-1] = 0
    return d


@pytest.mark.parametrize("kappa", [0.02, 1.0, 30.0])
def test_without_coupling_it_is_the_form_in_measurement_space(kappa):
    """h + A^T (A A^T + kappa)^-1 (y - A h)."""
    h, duals = Sweep(SEEN, 60, 0.0, 0.1)(H0, kappa, ())
    gram = MATRIX @ MATRIX.T + kappa * torch.eye(7, dtype=torch.float64)
    expected = H0 + SEEN.operator.adjoint(torch.linalg.solve(gram, SEEN.misfit(H0).T).T)
    torch.testing.assert_close(h, expected, rtol=1e-5, atol=1e-5)
    assert duals == ()


@pytest.mark.parametrize("is_periodic", [False, True])
def test_with_coupling_it_solves_the_system_of_the_whole_volume(is_periodic):
    rho, kappa, threshold = 0.7, 0.3, 0.2
    duals = normal(*SHAPE, seed=3), normal(*SHAPE, seed=4)
    h, (w, m) = Sweep(SEEN, 200, rho, threshold, is_periodic)(H0, kappa, duals)
    d = torch.kron(differences(is_periodic), torch.eye(12, dtype=torch.float64))
    a = torch.kron(torch.eye(5, dtype=torch.float64), MATRIX)
    system = a.T @ a + rho * d.T @ d + kappa * torch.eye(60, dtype=torch.float64)
    rhs = a.T @ Y.flatten() + rho * d.T @ (duals[0] - duals[1]).flatten() + kappa * H0.flatten()
    torch.testing.assert_close(h.flatten(), torch.linalg.solve(system, rhs), rtol=1e-8, atol=1e-8)
    steps = (d @ h.flatten()).reshape(SHAPE)
    v = steps + duals[1]
    torch.testing.assert_close(w, v.sign() * (v.abs() - threshold).clamp(min=0))
    torch.testing.assert_close(m, v - w)


def test_few_conjugate_gradients_minimise_over_the_krylov_space_of_the_whole_volume():
    kappa, rho = 0.05, 0.4
    sweep = Sweep(SEEN, 3, rho, 0.1)
    h, _ = sweep(H0, kappa, sweep.no_duals(H0))
    d = torch.kron(differences(False), torch.eye(12, dtype=torch.float64))
    a = torch.kron(torch.eye(5, dtype=torch.float64), MATRIX)
    system = a.T @ a + rho * d.T @ d + kappa * torch.eye(60, dtype=torch.float64)
    r = a.T @ Y.flatten() + kappa * H0.flatten() - system @ H0.flatten()
    space = torch.linalg.qr(torch.stack([r, system @ r, system @ (system @ r)], 1))[0]
    best = H0.flatten() + space @ torch.linalg.solve(space.T @ system @ space, space.T @ r)
    torch.testing.assert_close(h.flatten(), best, rtol=1e-9, atol=1e-9)


def test_repeated_rounds_minimise_total_variation_along_the_slices():
    """ADMM ends where the subgradient vanishes; under a large threshold the slices are equal and fit all data at once."""
    sweep = Sweep(SEEN, 100, 0.5, 50.0)
    h, duals = H0, sweep.no_duals(H0)
    for _ in range(100):
        h, duals = sweep(h, 0.0, duals)
    assert float(h.diff(dim=0).abs().max()) < 1e-4
    pull = SEEN.operator.normal(h).mean(0) - SEEN.operator.adjoint(Y).mean(0)
    assert float(pull.abs().max()) < 1e-4


def test_one_slice_or_no_weight_is_not_coupled():
    assert Sweep(SEEN, 5, 0.5, 0.1).no_duals(H0[:1]) == ()
    assert Sweep(SEEN, 5, 0.0, 0.1).no_duals(H0) == ()


def test_permuting_uncoupled_slices_permutes_the_result():
    order = [3, 0, 4, 1, 2]
    permuted = Measurement(Matrix(MATRIX), Y[order], 0.1)
    h, _ = Sweep(SEEN, 4, 0.0, 0.1)(H0, 0.1, ())
    torch.testing.assert_close(Sweep(permuted, 4, 0.0, 0.1)(H0[order], 0.1, ())[0], h[order])


def test_an_operator_whose_adjoint_is_not_its_transpose_stops_the_solver():
    class Unmatched(Matrix):
        def normal(self, x):
            return -super().normal(x)

    measurement = object.__new__(Measurement)
    for name, value in {"operator": Unmatched(MATRIX), "y": Y, "noise_std": 0.1}.items():
        object.__setattr__(measurement, name, value)
    with pytest.raises(NumericsError, match=r"the step towards the data broke down: .*p\^H H p = -"):
        Sweep(measurement, 5, 0.0, 0.1)(H0, 1e-3, ())


def test_shrinking_complex_differences_keeps_their_phases():
    v = normal(4, 2, 3, 3, seed=5)
    size, found = torch.hypot(v[:, 0], v[:, 1]), shrink(v, 0.8)
    expected = torch.complex(v[:, 0], v[:, 1]) / size * (size - 0.8).clamp(min=0)
    torch.testing.assert_close(torch.complex(found[:, 0], found[:, 1]), expected)
    assert torch.equal(shrink(torch.zeros(2, 1, 2, 2), 0.1), torch.zeros(2, 1, 2, 2))
