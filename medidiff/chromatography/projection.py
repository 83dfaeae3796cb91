"""Variable projection: areas and baseline are eliminated from a fit, exactly, and so is their part of the Jacobian."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import lsq_linear
from torch import Tensor

RANK = 1e-12


@dataclass(frozen=True)
class Projection:
    """The best linear combination of a basis, and what its derivative needs."""

    coefficients: Tensor  # (b, m)
    residual: Tensor  # (b, n)      signal - basis · coefficients
    orthonormal: Tensor  # (b, n, m)   Q of basis = Q R
    triangle: Tensor  # (b, m, m)   R
    inverse: Tensor  # (b, m, m)   W = pinv(R restricted to coefficients that are not held at 0)


def project(basis: Tensor, signal: Tensor, *, positive: int) -> Projection:
    """Least-squares coefficients of every chromatogram, the first `positive` of them not negative.

    basis      (b, m, n)   one function per row, weighted
    signal     (b, n)      weighted
    returns                coefficients that minimise |signal - sum of c_j basis_j|, c_j >= 0 for j < positive

    The bounded problem is solved where the free one breaks a bound, exactly (an active-set method on R).
    """
    orthonormal, triangle = torch.linalg.qr(basis.mT)
    inside = (orthonormal.mT @ signal.unsqueeze(-1)).squeeze(-1)
    inverse = _inverse(triangle)
    coefficients = (inverse @ inside.unsqueeze(-1)).squeeze(-1)
    broken = torch.nonzero((coefficients[:, :positive] < 0).any(dim=1)).flatten().tolist()
    for row in broken:
        bounded = _bounded(triangle[row].numpy(force=True), inside[row].numpy(force=True), positive)
        coefficients[row] = torch.as_tensor(bounded)
        inverse[row] = torch.linalg.pinv(triangle[row] * (coefficients[row] != 0), rtol=RANK)
    residual = signal - (coefficients.unsqueeze(1) @ basis).squeeze(1)
    return Projection(coefficients, residual, orthonormal, triangle, inverse)


def projected_jacobian(projection: Projection, slopes: Tensor, *, cross: Tensor) -> Tensor:
    """d residual/d theta with the coefficients at their best for every theta (Golub and Pereyra 1973, eq. 4.8).

    slopes    (b, p, n)   sum over j of c_j d basis_j/d theta, weighted
    cross     (b, p, m)   d basis_j/d theta · residual
    returns   (b, p, n)

        - P slopes - (basis^+)^T cross,      P = 1 - Q R W Q^T,   basis^+ = W Q^T
    """
    q, w = projection.orthonormal, projection.inverse
    along = slopes @ q @ (projection.triangle @ w).mT - cross @ w
    return along @ q.mT - slopes


def _inverse(triangle: Tensor) -> Tensor:
    """R^-1 (b, m, m), or the pseudo-inverse of the whole batch where some R is close to singular."""
    diagonal = torch.diagonal(triangle, dim1=1, dim2=2).abs()
    if bool((diagonal.amin(dim=1) <= RANK * diagonal.amax(dim=1)).any()):
        return torch.linalg.pinv(triangle, rtol=RANK)
    identity = torch.eye(triangle.shape[1], dtype=triangle.dtype, device=triangle.device)
    return torch.linalg.solve_triangular(triangle, identity.expand_as(triangle), upper=True)


def _bounded(triangle: np.ndarray, inside: np.ndarray, positive: int) -> np.ndarray:
    """Coefficients with the first `positive` at least 0, exactly 0 where the bound holds them."""
    low = np.where(np.arange(len(inside)) < positive, 0.0, -np.inf)
    result = lsq_linear(triangle, inside, bounds=(low, np.inf), method="bvls")
    return np.where(result.active_mask != 0, 0.0, result.x)
