"""k-space of an object on finer pixels than the reconstruction has, so that no solver inverts its own discretisation."""

import math

import torch
from torch import Tensor

from physics.mri.coils import pixel_positions, simulated_maps
from physics.mri.fourier import to_kspace

BEND = 0.25 * math.pi  # standard deviation of each coefficient of a smooth phase, rad


def measure_kspace_finely(image: Tensor, *, coils: int = 8, fine: int = 2) -> Tensor:
    """All of the k-space (slice, coil, row, column) of a finer complex object, without noise.

    image     (slice, fine · row, fine · column)   complex; fine x fine of its pixels are one pixel of the reconstruction
    coils     of `simulated_maps`, seen on the fine pixels
    fine      fine pixels along the edge of a coarse one, at least 2
    returns   samples that `CartesianMRI` with `simulated_maps(row, column)` explains up to what coarse pixels cannot show

        k[u, v] = 1 / sqrt(M N)  sum over fine pixels of  S_c image / fine^2  exp(-2 pi i (u' m / M + v' n / N))

    with m, n the centre of the fine pixel in coarse pixels from index M // 2, N // 2. As at a scanner, frequencies beyond those
    measured exist and are cut off: edges ring, and the mean of the fine pixels is a reference, not the answer.
    ValueError for a size that is no multiple of `fine`.
    """
    rows, columns = image.shape[-2:]
    if fine < 2 or rows % fine or columns % fine or not image.is_complex():
        raise ValueError(
            f"found {image.dtype} {rows} x {columns} and fine {fine}, expected a complex image of sizes that fine divides, "
            f"fine from 2. Multiply a magnitude by a phase; choose fine to divide the sizes."
        )
    seen = simulated_maps(rows, columns, coils=coils).to(image) * image.unsqueeze(-3)
    kspace = _centre(to_kspace(seen), rows // fine, columns // fine) / fine
    return kspace * _shift(rows // fine, fine).to(image)[:, None] * _shift(columns // fine, fine).to(image)


def smooth_phase(rows: int, columns: int, *, generator: torch.Generator) -> Tensor:
    """exp(i phase) (row, column), complex64, with a random phase of second order in x and y, as shim and receivers leave it."""
    x, y = pixel_positions(rows, columns)
    terms = torch.stack([term.expand(rows, columns) for term in (torch.ones_like(x), x, y, x * y, x**2, y**2)])
    weights = BEND * torch.randn(len(terms), dtype=torch.float64, generator=generator)
    phase = torch.einsum("t,tyx->yx", weights, terms)
    return torch.polar(torch.ones_like(phase), phase).to(torch.complex64)


def add_noise(kspace: Tensor, *, noise_std: float, generator: torch.Generator) -> Tensor:
    """k-space with independent noise of this standard deviation in the real and in the imaginary part of each sample."""
    if not 0 <= noise_std < math.inf:
        raise ValueError(f"noise_std: found {noise_std}, expected 0 or more and finite. It has the unit of the samples.")
    noise = torch.randn(kspace.shape, dtype=kspace.dtype, device=kspace.device, generator=generator)
    return kspace + 2**0.5 * noise_std * noise  # complex noise of torch has 1/2 in each part


def _centre(kspace: Tensor, rows: int, columns: int) -> Tensor:
    """The middle of a finer k-space, its zero frequency at rows // 2, columns // 2."""
    top, left = (size // 2 - kept // 2 for size, kept in zip(kspace.shape[-2:], (rows, columns)))
    return kspace[..., top : top + rows, left : left + columns]


def _shift(size: int, fine: int) -> Tensor:
    """Phase (size,) by which centres of fine pixels, where the fine transform has them at whole indices, move to their place."""
    zero = (fine * size // 2 + 0.5) / fine - 0.5  # the fine pixel of index 0 from the centre, in coarse pixels
    frequency = torch.arange(size, dtype=torch.float64) - size // 2
    angle = -2 * math.pi * frequency * (zero - size // 2) / size
    return torch.polar(torch.ones_like(angle), angle)
