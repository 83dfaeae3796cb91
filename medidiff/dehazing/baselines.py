"""What a method has to beat: methods without a model, and two that know the truth and are labelled so."""

import numpy as np
import torch
from skimage.filters import threshold_otsu
from skimage.restoration import denoise_nl_means, estimate_sigma
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from medidiff.dehazing.domain import Domain, channels, signal

FLOOR_DB = -80.0  # under the brightest local power, where the histogram of dark regions begins
BANDS = 16  # of depth, in each of which the haze has one power


def local_power(values: Tensor, window: int) -> Tensor:
    """Mean of |values|^2 over a window around each sample, (frame, axial, lateral); windows are cut at the edges."""
    power = values.abs().square()[:, None]
    return avg_pool2d(power, window, stride=1, padding=window // 2, count_include_pad=False)[:, 0]


def dark_region(y: Tensor, *, window: int) -> Tensor:
    """Where a frame holds little but haze, (frame, axial, lateral) bool: local powers in dB under their threshold by Otsu."""
    power = local_power(y, window)
    peak = power.flatten(1).amax(1).clamp(min=torch.finfo(power.dtype).tiny)[:, None, None]
    level = (10 * torch.log10((power / peak).clamp(min=10 ** (FLOOR_DB / 10)))).numpy()
    thresholds = [threshold_otsu(frame) if np.ptp(frame) > 0 else frame.min() for frame in level]
    return torch.from_numpy(level < np.asarray(thresholds)[:, None, None])


def black_fill(y: Tensor, region: Tensor) -> Tensor:
    """Tissue that is 0 wherever `region` is true: wins every contrast figure, and shows why those are not enough."""
    return torch.where(region, torch.zeros_like(y), y)


def high_pass(y: Tensor, *, cutoff: float) -> Tensor:
    """Tissue as what varies fast across lines, (frame, axial, lateral).

    cutoff   share of the largest lateral frequency at which half of the amplitude is taken away, above 0 and below 1

        T(f) = f^2 / (f^2 + cutoff^2),    a Butterworth filter of first order in power
    """
    frequency = 2 * torch.fft.fftfreq(y.shape[-1], dtype=y.real.dtype)
    gain = frequency.square() / (frequency.square() + cutoff**2)
    return torch.fft.ifft(torch.fft.fft(y, dim=-1) * gain, dim=-1)


def wiener(y: Tensor, *, window: int) -> Tensor:
    """Tissue by a local Wiener filter whose haze is what dark regions hold at each depth, (frame, axial, lateral).

    x = max(1 - P_h(r) / P_y, 0) y,    P_h(r) = median of P_y over the dark region in one of 16 bands of depth
    """
    power, dark = local_power(y, window), dark_region(y, window=window)
    haze = torch.stack([_depth_profile(p, d) for p, d in zip(power, dark, strict=True)])
    return (1 - haze[:, :, None] / power.clamp(min=torch.finfo(power.dtype).tiny)).clamp(min=0) * y


def _depth_profile(power: Tensor, dark: Tensor) -> Tensor:
    """Haze power at each depth (axial,), from the dark samples of its band; bands without any take the whole frame's."""
    if not bool(dark.any()):
        return power.new_zeros(len(power))
    whole = power[dark].median()
    bands = zip(power.tensor_split(BANDS), dark.tensor_split(BANDS), strict=True)
    profile = torch.stack([p[d].median() if bool(d.any()) else whole for p, d in bands])
    return interpolate(profile[None, None], size=len(power), mode="linear", align_corners=True)[0, 0]


def nlm(y: Tensor, domain: Domain, *, strength: float) -> Tensor:
    """Tissue by non-local means of scikit-image on companded I and Q, (frame, axial, lateral).

    y          amplitudes of at most 1
    strength   filter strength over the noise that scikit-image estimates
    """
    return domain.expand(signal(torch.stack([_nlm_frame(frame, strength) for frame in channels(domain.compress(y))])))


def _nlm_frame(frame: Tensor, strength: float) -> Tensor:
    image = frame.movedim(0, -1).numpy()
    sigma = float(estimate_sigma(image, channel_axis=-1, average_sigmas=True))
    options = {"patch_size": 5, "patch_distance": 6, "fast_mode": True, "channel_axis": -1}
    return torch.from_numpy(denoise_nl_means(image, h=strength * sigma, sigma=sigma, **options)).movedim(-1, 0).to(frame)


def oracle_wiener(y: Tensor, tissue: Tensor, haze: Tensor, *, window: int) -> Tensor:
    """An upper bound that knows the truth: each sample of y weighted by the true local powers, P_x / (P_x + P_h)."""
    own, other = local_power(tissue, window), local_power(haze, window)
    return own / (own + other).clamp(min=torch.finfo(own.dtype).tiny) * y
