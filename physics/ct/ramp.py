"""The ramp filter of back-projection, exact on samples, and its named windows."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

WINDOWS: dict[str, Callable[[Tensor], Tensor]] = {
    "ram-lak": torch.ones_like,
    "shepp-logan": lambda f: torch.sinc(f / 2),
    "cosine": lambda f: torch.cos(math.pi * f / 2),
    "hamming": lambda f: 0.54 + 0.46 * torch.cos(math.pi * f),
    "hann": lambda f: 0.5 + 0.5 * torch.cos(math.pi * f),
}


def filter_rows(rows: Tensor, spacing_mm: float, *, window: str, cutoff: float = 1.0) -> Tensor:
    """Rows convolved with the band-limited ramp.

    rows         (..., bin)
    spacing_mm   distance between bins, mm
    window       one of WINDOWS, over frequencies up to the cut-off; nothing passes above it
    cutoff       of the highest frequency that the bins can hold, above 0 and at most 1
    returns      (..., bin)   unit of the rows per mm

        h(0) = 1 / (4 d^2),   h(n d) = -1 / (pi n d)^2  for odd n,  0 for even n     (Kak and Slaney 1988, eq. 3.61)

    times d, padded to at least twice the bins so that nothing wraps around. ValueError for a window without a name here or a
    cut-off out of range.
    """
    if window not in WINDOWS or not 0 < cutoff <= 1:
        raise ValueError(
            f"found filter {window!r} with cut-off {cutoff}, expected one of {', '.join(WINDOWS)} and 0 < cut-off <= 1"
        )
    bins = rows.shape[-1]
    length = 2 ** math.ceil(math.log2(2 * bins))
    response = _response(length, window, cutoff).to(rows)
    spectrum = torch.fft.rfft(rows, n=length) * (response / spacing_mm)
    return torch.fft.irfft(spectrum, n=length)[..., :bins]


def _response(length: int, window: str, cutoff: float) -> Tensor:
    """The ramp's spectrum for unit spacing times its window, (length // 2 + 1,), double precision."""
    lag = torch.fft.fftfreq(length, 1 / length, dtype=torch.float64)
    kernel = torch.where(lag % 2 == 0, 0.0, -1 / (math.pi * lag) ** 2)
    kernel[0] = 0.25
    frequency = torch.linspace(0, 1, length // 2 + 1, dtype=torch.float64) / cutoff
    return torch.fft.rfft(kernel).real * torch.where(frequency <= 1, WINDOWS[window](frequency), 0.0)
