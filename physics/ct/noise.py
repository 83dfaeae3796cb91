"""The noise of counted photons: counts from line integrals, line integrals from counts, and how far each can be trusted."""

import math

import torch
from torch import Tensor

SMALLEST_COUNT = 1.0  # below it a logarithm means nothing


def count_photons(line_integrals: Tensor, *, photons: float, generator: torch.Generator, electronic_std: float = 0.0) -> Tensor:
    """Noisy counts of a detector, in the shape of the line integrals.

    line_integrals   any shape            no unit
    photons          I0                   photons that reach a bin without an object
    generator        source of all randomness, on the device of the line integrals
    electronic_std   standard deviation of the electronic noise, photons

        counts ~ Poisson(photons exp(-line_integrals)) + Normal(0, electronic_std^2)

    ValueError for a dose that is not positive, a negative noise, or line integrals that are not finite.
    """
    _check_dose(photons, electronic_std)
    if not bool(torch.isfinite(line_integrals).all()):
        raise ValueError("line integrals: found values that are not finite, expected -log(I / I0). Mask them before.")
    counts = torch.poisson(photons * torch.exp(-line_integrals), generator=generator)
    noise = torch.randn(counts.shape, generator=generator, dtype=counts.dtype, device=counts.device)
    return counts + electronic_std * noise


def line_integrals(counts: Tensor, *, photons: float) -> Tensor:
    """-log(max(counts, 1) / photons), in the shape of the counts. ValueError for counts that are not finite."""
    _check_dose(photons, 0.0)
    if not bool(torch.isfinite(counts).all()):
        raise ValueError("counts: found values that are not finite, expected photons. Mask those bins before.")
    return -torch.log(counts.clamp(min=SMALLEST_COUNT) / photons)


def whitening_weights(counts: Tensor, *, electronic_std: float = 0.0) -> Tensor:
    """One over the variance of each line integral, in the shape of the counts; 0 where fewer than one photon arrived.

    counts           any shape   measured photons
    electronic_std               standard deviation of the electronic noise, photons

        weight = counts^2 / (counts + electronic_std^2)

    so that sqrt(weight) (p_measured - p_true) has unit variance, to first order in 1 / counts.
    """
    _check_dose(1.0, electronic_std)
    seen = counts.clamp(min=SMALLEST_COUNT)
    return torch.where(counts >= SMALLEST_COUNT, seen**2 / (seen + electronic_std**2), torch.zeros_like(seen))


def noise_std(weights: Tensor) -> float:
    """Root mean square standard deviation of the line integrals, over those of positive weight. ValueError where none is."""
    trusted = weights[weights > 0].double()
    if trusted.numel() == 0:
        raise ValueError("weights: found none above 0, expected some. No photon arrived; check the dose and the counts.")
    return float((1.0 / trusted).mean().sqrt())


def _check_dose(photons: float, electronic_std: float) -> None:
    if not 0 < photons < math.inf or not 0 <= electronic_std < math.inf:
        raise ValueError(
            f"found {photons} photons and electronic_std {electronic_std}, expected more than 0 and at least 0, both finite"
        )
