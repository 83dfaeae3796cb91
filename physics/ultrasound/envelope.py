"""From echoes to what is shown: envelope, decibels against a fixed reference, grey values."""

import torch
from torch import Tensor

REFERENCE_QUANTILE = 0.999


def envelope_of_rf(rf: Tensor) -> Tensor:
    """Envelope of real RF echoes: the modulus of the analytic signal along the axial axis.

    rf        (*batch, axial, lateral) real; the ends of each line are taken as joined
    returns   the same shape. The envelope of IQ echoes is their modulus
    """
    spectrum = torch.fft.fft(rf, dim=-2)
    n = rf.shape[-2]
    weight = torch.zeros(n, dtype=rf.dtype, device=rf.device)
    weight[0] = 1
    weight[1 : (n + 1) // 2] = 2
    if n % 2 == 0:
        weight[n // 2] = 1
    return torch.fft.ifft(spectrum * weight[:, None], dim=-2).abs()


def reference_level(clip: Tensor, *, quantile: float = REFERENCE_QUANTILE) -> float:
    """The amplitude that is shown as 0 dB: a quantile of the envelopes of a whole measured clip.

    clip   any shape, IQ or envelope, of the measurement: one reference for all results, else a method is graded on its gain
    """
    amplitudes = clip.abs().flatten()
    rank = min(max(round(quantile * amplitudes.numel()), 1), amplitudes.numel())
    return float(amplitudes.kthvalue(rank).values)


def log_compress(signal: Tensor, *, reference: float, range_db: float = 60.0) -> Tensor:
    """Decibels from -range_db to 0:  20 log10(|signal| / reference), cut at both ends.

    signal      any shape, IQ or envelope
    reference   amplitude shown as 0 dB, above 0
    """
    if not reference > 0:
        raise ValueError(f"found a reference of {reference}, expected an amplitude above 0. An empty clip has no decibels.")
    lowest = reference * 10 ** (-range_db / 20)
    return (20 * torch.log10(signal.abs().clamp(min=lowest) / reference)).clamp(min=-range_db, max=0)


def grey(level_db: Tensor, *, range_db: float = 60.0) -> Tensor:
    """Grey values from 0 to 255, uint8, of decibels from -range_db to 0."""
    return (255 * (1 + level_db / range_db)).round().clamp(0, 255).to(torch.uint8)
