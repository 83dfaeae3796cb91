"""RF echoes to baseband IQ and back.  RF(t) = Re{ s(t) exp(+i 2 pi demodulation_hz t) },  t = 2 r / c."""

import math

import torch
from torch import Tensor

TAPS = 65  # of the low-pass filter; odd, so that it delays nothing
PASS = 0.95  # its cutoff, share of half the new sampling rate
KAISER = 6.0  # shape of its window: side lobes below -60 dB


def demodulate(
    rf: Tensor, *, sampling_hz: float, demodulation_hz: float, decimation: int = 4, first_time_s: float = 0.0, taps: int = TAPS
) -> Tensor:
    """Baseband IQ of RF echoes.

    rf                (*batch, axial, lateral) real
    sampling_hz       of rf
    demodulation_hz   becomes 0: an echo of demodulation_hz + d turns with +d
    decimation        one IQ sample for so many of RF; sample k lies where RF sample k · decimation lies
    first_time_s      of the first sample since transmission, 2 r / c of the first range
    taps              of the linear-phase low-pass, odd, at least 33
    returns           (*batch, ceil(axial / decimation), lateral) complex; its modulus is the envelope

        s = 2 lowpass( RF exp(-i 2 pi demodulation_hz t) ),   cutoff 0.95 · sampling_hz / (2 decimation)

    Lines are taken as 0 beyond their ends. ValueError where the band of the new rate has no place for the filter.
    """
    _check(taps, decimation, sampling_hz)
    carrier = _carrier(rf, sampling_hz, demodulation_hz, first_time_s)
    kernel = _low_pass(taps, PASS / decimation).to(rf.dtype)
    return 2 * _filtered(rf * carrier.conj(), kernel)[..., ::decimation, :]


def remodulate(
    iq: Tensor,
    *,
    sampling_hz: float,
    demodulation_hz: float,
    samples: int,
    decimation: int = 4,
    first_time_s: float = 0.0,
    taps: int = TAPS,
) -> Tensor:
    """RF echoes of baseband IQ, the inverse of `demodulate` for echoes within its band.

    iq            (*batch, axial, lateral) complex
    sampling_hz   of the RF that comes back; the others as for `demodulate`
    samples       of RF along the depth
    returns       (*batch, samples, lateral) real
    """
    _check(taps, decimation, sampling_hz)
    full = iq.new_zeros((*iq.shape[:-2], iq.shape[-2] * decimation, iq.shape[-1]))
    full[..., ::decimation, :] = iq
    kernel = decimation * _low_pass(taps, PASS / decimation).to(iq.real.dtype)
    smooth = _filtered(full, kernel)[..., :samples, :]
    return (smooth * _carrier(smooth.real, sampling_hz, demodulation_hz, first_time_s)).real


def _check(taps: int, decimation: int, sampling_hz: float) -> None:
    if taps < 33 or taps % 2 == 0 or decimation < 1 or not sampling_hz > 0:
        raise ValueError(
            f"found {taps} taps, decimation {decimation}, {sampling_hz} Hz; expected an odd number of taps from 33, a decimation "
            f"from 1, and a sampling rate above 0. Take the rate from the recording."
        )


def _carrier(like: Tensor, sampling_hz: float, demodulation_hz: float, first_time_s: float) -> Tensor:
    """exp(+i 2 pi demodulation_hz t) at the samples of `like`, (axial, 1) complex."""
    t = first_time_s + torch.arange(like.shape[-2], dtype=torch.float64, device=like.device) / sampling_hz
    phase = 2 * math.pi * (demodulation_hz * t).frac()
    return torch.polar(torch.ones_like(phase), phase).to(torch.complex64 if like.dtype == torch.float32 else torch.complex128)[
        :, None
    ]


def _low_pass(taps: int, cutoff: float) -> Tensor:
    """A windowed sinc of sum 1; `cutoff` is a share of half the sampling rate."""
    n = torch.arange(taps, dtype=torch.float64) - taps // 2
    kernel = torch.sinc(cutoff * n) * torch.kaiser_window(taps, periodic=False, beta=KAISER, dtype=torch.float64)
    return kernel / kernel.sum()


def _filtered(signal: Tensor, kernel: Tensor) -> Tensor:
    """Each line convolved with a symmetric kernel, its middle over each sample, zeros beyond the ends."""
    lines = torch.view_as_real(signal).movedim((-3, -1), (-1, -2))  # (*batch, lateral, 2, axial)
    smooth = torch.nn.functional.conv1d(lines.reshape(-1, 1, lines.shape[-1]), kernel[None, None], padding=len(kernel) // 2)
    return torch.view_as_complex(smooth.reshape(lines.shape).movedim((-1, -2), (-3, -1)).contiguous())
