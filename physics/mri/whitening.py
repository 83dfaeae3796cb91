"""Noise of receive coils: its covariance, and coils mixed so that it is independent."""

import torch
from torch import Tensor


def noise_covariance(noise: Tensor) -> Tensor:
    """E[n n^H] (coil, coil), complex128, of a measurement without signal.

    noise   (coil, sample)   complex, at least as many samples as coils
    """
    coils, samples = noise.shape
    if samples < coils:
        raise ValueError(f"noise: found {samples} samples of {coils} coils, expected at least as many samples. Record more.")
    wide = noise.to(torch.complex128)
    return wide @ wide.mH / samples


def whitening_matrix(covariance: Tensor) -> Tensor:
    """The matrix W (coil, coil) for which noise W n is independent, with standard deviation 1 of real and of imaginary parts.

    covariance   (coil, coil)   E[n n^H]

        W = sqrt(2) L^-1,    covariance = L L^H

    ValueError for a matrix that is not Hermitian and positive definite: a coil that records nothing, or one twice.
    """
    wide = covariance.to(torch.complex128)
    factor, failed = torch.linalg.cholesky_ex(wide)
    size = torch.linalg.matrix_norm(wide)
    if bool(failed) or not bool(torch.linalg.matrix_norm(wide - wide.mH) <= 1e-6 * size):
        raise ValueError(
            "covariance of the noise: found a matrix that is not Hermitian and positive definite, expected E[n n^H]. "
            "Leave out coils that record nothing or the same as another, or record more noise."
        )
    return 2**0.5 * torch.linalg.solve_triangular(factor, torch.eye(len(wide), dtype=wide.dtype, device=wide.device), upper=False)


def mix_coils(kspace: Tensor, matrix: Tensor) -> Tensor:
    """k-space (*batch, coil, row, column) of mixed coils, (W y)_c = sum over d of W[c, d] y_d; sensitivities mix alike."""
    return torch.einsum("cd,...dxy->...cxy", matrix.to(kspace), kspace)
