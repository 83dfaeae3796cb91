"""Conjugate gradients: dense systems, Krylov optimum, Hermitian and singular systems, negative curvature."""

import torch

from medidiff.diffusion.conjugate_gradient import conjugate_gradient
from medidiff.diffusion.noise import Noise


def normal(*shape, seed=0):
    return Noise(seed, ("posterior",))(0, torch.empty(1, *shape, dtype=torch.float64))[0]


def test_conjugate_gradients_end_after_n_products_and_stop_item_by_item():
    roots = normal(3, 7, 7, seed=14)
    systems = roots @ roots.mT + torch.eye(7).double()
    systems[1] = 2 * torch.eye(7).double()
    b = normal(3, 7, seed=15)
    b[2] = 0
    found = conjugate_gradient(lambda p: torch.einsum("bij,bj->bi", systems, p), b, iterations=8, tolerance=1e-12)
    assert (found.x - torch.linalg.solve(systems, b)).abs().max() < 1e-11
    assert found.iterations.tolist() == [7, 1, 0] and not found.negative_curvature.any()
    assert float(found.residual.max()) < 1e-12 and float(found.residual[2]) == 0


def test_few_iterations_give_the_krylov_optimum():
    """M products minimise the energy norm of the error over the Krylov space."""
    root = normal(7, 7, seed=16)
    system, b = root @ root.T + 0.1 * torch.eye(7).double(), normal(1, 7, seed=17)
    found = conjugate_gradient(lambda p: p @ system, b, iterations=3).x[0]
    krylov = torch.stack([b[0], system @ b[0], system @ system @ b[0]], 1)
    best = krylov @ torch.linalg.solve(krylov.T @ system @ krylov, krylov.T @ b[0])
    assert (found - best).abs().max() < 1e-9


def test_conjugate_gradients_on_hermitian_systems():
    root = torch.complex(normal(2, 5, 5, seed=18), normal(2, 5, 5, seed=19))
    systems, b = root @ root.mH + torch.eye(5), torch.complex(normal(2, 5, seed=20), normal(2, 5, seed=21))
    found = conjugate_gradient(lambda p: torch.einsum("bij,bj->bi", systems, p), b, iterations=5, tolerance=1e-14)
    assert (found.x - torch.linalg.solve(systems, b)).abs().max() < 1e-10


def test_singular_systems_get_the_least_norm_solution_without_alarm():
    root = normal(3, 6, seed=22)
    system, b = root.T @ root, normal(1, 3, seed=23) @ root
    found = conjugate_gradient(lambda p: p @ system, b, iterations=50, tolerance=1e-16)
    assert (found.x - b @ torch.linalg.pinv(system)).abs().max() < 1e-9
    assert not found.negative_curvature.any()


def test_negative_curvature_is_reported_for_the_item_that_has_it():
    systems = torch.diag_embed(torch.tensor([[1.0, 2.0], [1.0, -2.0]], dtype=torch.float64))
    b = torch.ones(2, 2, dtype=torch.float64)
    found = conjugate_gradient(lambda p: torch.einsum("bij,bj->bi", systems, p), b, iterations=5)
    assert found.negative_curvature.tolist() == [False, True]
    assert found.x[1].tolist() == [0, 0]
