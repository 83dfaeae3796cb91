"""Whether a prior is good enough to sample with: its error against that of the best linear denoiser, at four noise levels."""

from collections.abc import Mapping

import torch
from torch import Tensor

from medidiff.diffusion.denoiser import Denoiser
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.spectrum import Stationary
from medidiff.errors import DataError

LEVELS = (0.05, 0.1, 0.3, 1.0)  # companded units
BATCH = 4  # items per call
SEED = 77  # of the noise on held-out signals


@torch.no_grad()
def error_over_linear(denoiser: Denoiser, held_out: Tensor, linear: Stationary, **condition: Tensor) -> dict[str, float]:
    """Noise level to the mean squared error of a denoiser over that of a Wiener filter; below 1 the denoiser is worth using.

    held_out    (n, 2, axial, lateral)   companded signals that neither has seen
    linear      the Wiener filter of the training signals
    condition   named tensors with leading n
    """
    ratios = {}
    for index, level in enumerate(LEVELS):
        u = held_out + level * Noise(SEED)(index, held_out)
        sigma = torch.full((len(u),), level, dtype=torch.float64)
        ours = _squared_error(denoiser, u, sigma, held_out, condition)
        ratios[f"{level:g}"] = ours / _squared_error(linear, u, sigma, held_out, {})
    return ratios


def check_gate(name: str, gate: Mapping[str, Mapping[str, float]]) -> None:
    """Nothing, where the priors of a model beat the best linear denoiser at every level that its card tells of.

    Raises DataError that names class, level and ratio where one does not: sampling with it gives grey images.
    """
    if not gate:
        raise DataError(f"{name}: its card tells of no test against a linear denoiser, expected one; train it anew")
    for kind, ratios in gate.items():
        for level, ratio in ratios.items():
            if not ratio < 1:
                raise DataError(
                    f"{name}: prior not trained. At noise level {level} its {kind} denoiser makes {ratio:.2f} times the "
                    "error of the best linear one, expected less than 1. Train it for longer, or use method regress or wiener."
                )


def _squared_error(denoiser: Denoiser, u: Tensor, sigma: Tensor, truth: Tensor, condition: Mapping[str, Tensor]) -> float:
    """Sum over all items, a few at a time."""
    total = 0.0
    for first in range(0, len(u), BATCH):
        part = slice(first, first + BATCH)
        named = {name: value[part] for name, value in condition.items()}
        total += float((denoiser(u[part], sigma[part], **named) - truth[part]).double().square().sum())
    return total
