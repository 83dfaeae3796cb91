"""One gain per frame, from the measurement alone, that brings its amplitudes where the models know them."""

from dataclasses import dataclass

import torch
from torch import Tensor

from medidiff.dehazing.domain import cut
from medidiff.errors import DataError

QUANTILE = 0.995  # of the amplitudes of a frame


@dataclass(frozen=True)
class Scaled:
    """Frames as the models take them."""

    signal: Tensor  # (frame, axial, lateral) complex, amplitudes of at most 1
    gain: Tensor  # (frame,), by which the measurement was multiplied; 1 where a frame is empty
    excess: Tensor  # (frame, axial, lateral), what was cut, in units of `signal`
    clipped: Tensor  # (frame,), share of samples that were cut

    def undone(self, values: Tensor) -> Tensor:
        """Values of the models in units of the measurement."""
        return values / self.gain[:, None, None]


def scaled(y: Tensor, *, headroom: float) -> Scaled:
    """Frames scaled by 1 / (headroom q), q the 99.5 % quantile of their amplitudes, and cut at amplitude 1.

    y          (frame, axial, lateral) complex
    headroom   by how much that quantile stays below 1
    """
    gain = gain_of(y, headroom=headroom)
    full = y * gain[:, None, None]
    signal = cut(full)
    return Scaled(signal, gain, full - signal, (full.abs() > 1).flatten(1).float().mean(1))


def gain_of(y: Tensor, *, headroom: float) -> Tensor:
    """The gain of each frame, (frame,); 1 where a frame is empty."""
    level = torch.stack([torch.quantile(frame.abs().flatten(), QUANTILE) for frame in y])
    peak = y.abs().flatten(1).amax(1)
    level = torch.where(level > 0, level, peak)  # a frame of few echoes in the dark
    return torch.where(level > 0, 1 / (headroom * level.clamp(min=torch.finfo(level.dtype).tiny)), torch.ones_like(level))


def check_clipping(clipped: Tensor, first: int, *, warn: float, stop: float) -> list[str]:
    """Warnings about frames, the first of number `first`, of which more than a share `warn` was cut. DataError above `stop`."""
    worst = first + int(clipped.argmax())
    share = float(clipped.max())
    if share > stop:
        raise DataError(
            f"frame {worst}: {100 * share:.1f} % of the samples are above full scale, expected at most {100 * stop:g} %. The "
            "recording is saturated; take one with less gain, or raise dehaze.signal.headroom."
        )
    if share > warn:
        return [
            f"{100 * share:.2f} % of the samples of frame {worst} are above full scale and were cut before the models saw them."
        ]
    return []
