"""Averages of the weights over training: power-function tracks, and any other width from stored copies afterwards."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from medidiff.errors import ConfigError

Weights = Mapping[str, Tensor]


@dataclass(frozen=True)
class Snapshot:
    step: int  # number of updates the average has seen
    width: float  # relative width of the average
    weights: Weights


def power_exponent(width: float) -> float:
    """The exponent g of the averaging profile t^g whose standard deviation is `width` of the training time.

    width     0 to .28, relative to the steps so far: .05 and .10 are usual
    returns   16.97 for .05, 6.94 for .10

        width^2 = (g + 1) / ((g + 2)^2 (g + 3))

    EDM2 (arXiv 2312.02696, section 3.1). Raises ConfigError outside (0, .28).
    """
    if not 0 < width < 0.28:
        raise ConfigError(f"ema width {width}: expected between 0 and .28 of the training time")
    inverse = width**-2
    # (g+2)^2 (g+3) - inverse (g+1) = 0
    roots = np.roots([1, 7, 16 - inverse, 12 - inverse])
    return float(roots[np.isreal(roots)].real.max())


class PowerAverage:
    """Running averages of a network's weights, one track per width.

        beta = (1 - 1/step)^(g + 1);   average <- beta average + (1 - beta) weights

    so the first update copies the weights. Tracks are float32 (float64 for float64 weights); integer buffers are copied.
    """

    def __init__(self, widths: Sequence[float], tracks: Mapping[float, Weights] | None = None):
        self.exponents = {width: power_exponent(width) for width in widths}
        self.tracks: dict[float, dict[str, Tensor]] = {
            width: {name: value.clone() for name, value in (tracks or {}).get(width, {}).items()} for width in widths
        }

    @torch.no_grad()
    def update(self, weights: Weights, step: int) -> None:
        """Every track moved towards the weights after update number `step` (1, 2, ...)."""
        for width, exponent in self.exponents.items():
            beta = (1 - 1 / step) ** (exponent + 1)
            track = self.tracks[width]
            for name, value in weights.items():
                if beta == 0 or not value.is_floating_point():
                    track[name] = value.detach().clone()
                else:
                    track[name] = track[name].to(value.device).lerp_(value.detach(), 1 - beta)


def reconstruct(snapshots: Sequence[Snapshot], *, step: int, width: float) -> dict[str, Tensor]:
    """The average of another width, as the least-squares combination of stored ones.

    snapshots   of at least one track at several steps; more give a closer fit
    step        at which the wanted average ends
    width       of the wanted average

    Minimises the squared distance between averaging profiles p(t) = (g+1) t^g / step^(g+1) on [0, step]
    (EDM2, arXiv 2312.02696, appendix C.3):

        <p_a, p_b> = (g_a+1)(g_b+1)/(g_a+g_b+1) (m/t_a)^g_a (m/t_b)^g_b / max(t_a, t_b),   m = min(t_a, t_b)
    """
    steps = np.array([s.step for s in snapshots], dtype=float)
    exponents = np.array([power_exponent(s.width) for s in snapshots])
    gram = _inner_product(steps[:, None], exponents[:, None], steps[None], exponents[None])
    target = _inner_product(steps, exponents, float(step), power_exponent(width))
    shares = np.linalg.lstsq(gram, target, rcond=1e-12)[0]
    return {name: _combine([s.weights[name] for s in snapshots], shares) for name in snapshots[0].weights}


def _inner_product(step_a, exponent_a, step_b, exponent_b):
    shorter, longer = np.minimum(step_a, step_b), np.maximum(step_a, step_b)
    scale = (exponent_a + 1) * (exponent_b + 1) / (exponent_a + exponent_b + 1)
    return scale * (shorter / step_a) ** exponent_a * (shorter / step_b) ** exponent_b / longer


def _combine(values: list[Tensor], shares: np.ndarray) -> Tensor:
    if not values[0].is_floating_point():
        return values[-1].clone()
    total = sum(share * value.double() for share, value in zip(shares.tolist(), values, strict=True))
    return total.to(values[0].dtype)
