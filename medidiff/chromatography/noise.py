"""The noise of a chromatogram, and what the residual of a fit says about it."""

import torch
from torch import Tensor

MAD = 0.6745  # median absolute deviation of a standard normal
FLOOR = 1e-9  # of the signal's range: a noise-free curve is known to rounding only


def baseline_noise(signal: Tensor) -> Tensor:
    """Standard deviation of white noise, from the median of absolute first differences: peaks hardly count.

    signal    (b, time)   more than half of it baseline or slow
    returns   (b,)        signal unit, at least 1e-9 of the range

        median |y_(j+1) - y_j| / (sqrt 2 · 0.6745)
    """
    spread = torch.diff(signal, dim=-1).abs().median(dim=-1).values / (2**0.5 * MAD)
    range_ = signal.amax(dim=-1) - signal.amin(dim=-1)
    return torch.maximum(spread, FLOOR * range_).clamp_min(torch.finfo(signal.dtype).tiny)


def durbin_watson(residual: Tensor) -> Tensor:
    """Sum of squared first differences over the sum of squares (...,): 2 for white noise, towards 0 for slow waves.

    residual   (..., time)
    """
    return (torch.diff(residual, dim=-1) ** 2).sum(dim=-1) / (residual**2).sum(dim=-1).clamp_min(1e-300)
