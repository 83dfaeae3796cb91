"""The orthonormal centred Fourier transform of images, and its inverse; the centre of N samples is index N // 2."""

import torch
from torch import Tensor

AXES = (-2, -1)


def to_kspace(image: Tensor) -> Tensor:
    """k-space (*batch, row, column) of images (*batch, row, column), complex.

        k[u, v] = 1 / sqrt(M N)  sum over m, n of  image[m, n] exp(-2 pi i (u' m' / M + v' n' / N))

    with primes for indices from the centre, m' = m - M // 2, so that sizes may be odd.
    """
    centred = torch.fft.ifftshift(image, dim=AXES)
    return torch.fft.fftshift(torch.fft.fft2(centred, norm="ortho"), dim=AXES)


def to_image(kspace: Tensor) -> Tensor:
    """Images (*batch, row, column) of k-space: the inverse of `to_kspace`, which is its adjoint."""
    centred = torch.fft.ifftshift(kspace, dim=AXES)
    return torch.fft.fftshift(torch.fft.ifft2(centred, norm="ortho"), dim=AXES)


def filter_kspace(image: Tensor, weights: Tensor) -> Tensor:
    """Images whose k-space is multiplied by weights: `to_image(weights to_kspace(image))`, without shifting images.

    image     (*batch, row, column)   complex
    weights   (row, column)           real, one for each sample of the centred k-space

    A filter moves with its image, so the shifts of both sides cancel. Weights that differ by column alone need no transform
    along the rows, whose two transforms cancel.
    """
    uncentred = torch.fft.ifftshift(weights, dim=AXES)
    if bool((weights == weights[:1]).all()):
        return torch.fft.ifft(uncentred[0] * torch.fft.fft(image, dim=-1), dim=-1)
    return torch.fft.ifft2(uncentred * torch.fft.fft2(image))
