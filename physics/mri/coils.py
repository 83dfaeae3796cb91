"""Sensitivities of receive coils: what they must be, closed forms for simulation, and images that do without them."""

import math

import torch
from torch import Tensor

RING = 1.7  # radius of the ring of coils, in half widths of the field of view; its corners are at 1.41
OPENING = 0.8  # share of the ring that the coils cover, the rest are gaps between them
EXCESS = 1e-3  # sum |S|^2 may exceed 1 by this much: rounding of estimated maps
SHORTFALL = 1e-2  # its largest value may fall short of 1 by this much


def simulated_maps(rows: int, columns: int, *, coils: int = 8) -> Tensor:
    """Sensitivities (coil, row, column), complex64, of long rectangular loops on a ring around the slice, sum |S|^2 = 1.

    rows, columns   of the slice; the field of view is the same for any number of them, pixels are taken at their centres

        S_c(z) proportional to  1 / (z - a_c) - 1 / (z - b_c),    z = x + i y

    the in-plane field  B_x - i B_y  of two wires through a_c and b_c along the axis that carry opposite currents (Biot-Savart).
    """
    if min(rows, columns, coils) < 1:
        raise ValueError(f"found {rows} rows, {columns} columns and {coils} coils, expected at least 1 of each.")
    x, y = pixel_positions(rows, columns)
    z = torch.complex(x.expand(rows, -1), y.expand(-1, columns))
    angles = 2 * math.pi * torch.arange(coils, dtype=torch.float64) / coils
    half = math.pi / max(coils, 2) * OPENING
    first, second = (torch.polar(torch.full_like(angles, RING), angles + turn)[:, None, None] for turn in (-half, half))
    return normalised_maps(1 / (z - first) - 1 / (z - second)).to(torch.complex64)


def pixel_positions(rows: int, columns: int) -> tuple[Tensor, Tensor]:
    """x (1, column) to the right and y (row, 1) upwards of pixel centres, float64; the edges of the field are at -1 and 1."""
    x = (2 * torch.arange(columns, dtype=torch.float64) + 1) / columns - 1
    y = 1 - (2 * torch.arange(rows, dtype=torch.float64) + 1) / rows
    return x[None, :], y[:, None]


def normalised_maps(maps: Tensor) -> Tensor:
    """Maps (*batch, coil, row, column) scaled at each pixel to  sum |S|^2 = 1;  0 where every coil is 0."""
    size = root_sum_of_squares(maps).unsqueeze(-3)
    return torch.where(size > 0, maps / size.clamp(min=torch.finfo(size.dtype).tiny), torch.zeros_like(maps))


def seen_by(maps: Tensor, x: Tensor) -> Tensor:
    """What each coil sees of images (*batch, row, column):  S_c x,  (*batch, coil, row, column)."""
    return maps.to(x) * x.unsqueeze(-3)


def combined(maps: Tensor, coil_images: Tensor) -> Tensor:
    """The adjoint of `seen_by`:  sum over c of  conj(S_c) image_c,  (*batch, row, column)."""
    return (maps.to(coil_images).conj() * coil_images).sum(dim=-3)


def root_sum_of_squares(coil_images: Tensor) -> Tensor:
    """sqrt(sum over coils of |image|^2), (*batch, row, column), real, of coil images (*batch, coil, row, column)."""
    return torch.linalg.vector_norm(coil_images, dim=-3)


def check_maps(maps: Tensor) -> None:
    """ValueError unless maps are complex (coil, row, column) or (slice, coil, row, column), finite and normalised.

    Normalised means that  sum |S|^2  is at most 1 everywhere and reaches 1 somewhere. A slice without any map is black.
    """
    if maps.ndim not in (3, 4) or not maps.is_complex():
        raise ValueError(
            f"maps: found {maps.dtype} of shape {tuple(maps.shape)}, expected complex (coil, row, column) or (slice, coil, row, "
            f"column). One coil without a map is torch.ones((1, row, column), dtype=torch.complex64)."
        )
    if not bool(torch.isfinite(torch.view_as_real(maps)).all()):
        raise ValueError("maps: found values that are not finite, expected sensitivities. Estimate them from more central lines.")
    peak = float((maps.abs() ** 2).sum(dim=-3).max())
    if peak == 0:
        raise ValueError("maps: found zeros alone, expected sensitivities. Estimate them from more central lines.")
    if not 1 - SHORTFALL <= peak <= 1 + EXCESS:
        raise ValueError(f"maps: found sum |S|^2 up to {peak:.4g}, expected up to 1. Scale them with normalised_maps().")
