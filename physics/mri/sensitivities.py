"""Sensitivities of coils from the centre of k-space, by ESPIRiT."""

import numpy as np
import torch
from torch import Tensor

from physics.mri.coils import normalised_maps
from physics.mri.masks import calibration_width

MARGIN = 2  # lines beyond the kernel below which calibration matrices have too few rows


def espirit_maps(
    kspace: Tensor, *, calibration_lines: int = 24, kernel: int = 6, threshold: float = 0.02, crop: float = 0.95
) -> Tensor:
    """Sensitivities (slice, coil, row, column), sum |S|^2 = 1, or 0 where there is no signal (Uecker 2014, through sigpy).

    kspace              (slice, coil, row, column)   complex, zeros where nothing was measured
    calibration_lines   central lines to use at most; fewer where fewer are measured
    kernel              edge of the convolution kernels, samples
    threshold           singular values, and slices, below this share of the largest are noise
    crop                eigenvalues below it mean that there is no signal

    The phase is that of the first coil. A slice whose samples are below `threshold` of the largest takes the maps of the nearest
    slice with signal: ESPIRiT finds some in noise, and coils do not end with the object. One coil has the map 1.

    ValueError for a measured centre narrower than kernel + 2 lines, and where no slice gives a map.
    """
    _check_kspace(kspace)
    samples = kspace.detach().cpu().numpy().astype(np.complex64)
    if samples.shape[1] == 1:
        return torch.ones_like(kspace)
    width = min(calibration_lines, calibration_width(np.any(samples != 0, axis=(0, 1))))
    if width < kernel + MARGIN:
        raise ValueError(
            f"calibration lines: found {width} measured lines at the centre, expected at least kernel + {MARGIN} = "
            f"{kernel + MARGIN}. Measure more central lines, choose a smaller kernel, or give maps from another scan."
        )
    settings = {"calib_width": width, "kernel_width": kernel, "thresh": threshold, "crop": crop}
    peaks = np.abs(samples).max(axis=(1, 2, 3))
    has_signal = (peaks > 0) & (peaks >= threshold * peaks.max())
    each = [_maps_of_slice(one, settings) if has_any else np.zeros_like(one) for one, has_any in zip(samples, has_signal)]
    maps = torch.from_numpy(np.stack(each))
    return normalised_maps(_from_nearest(maps, crop)).to(kspace)


def _maps_of_slice(samples: np.ndarray, settings: dict) -> np.ndarray:
    """Maps (coil, row, column) of one slice, zeros where the eigenvalues are below the crop."""
    from sigpy.mri.app import EspiritCalib  # compiles on import

    return np.nan_to_num(EspiritCalib(samples / np.abs(samples).max(), **settings, show_pbar=False).run())


def _from_nearest(maps: Tensor, crop: float) -> Tensor:
    """`maps` with every slice of zeros replaced by the nearest other slice. ValueError where all are zeros."""
    found = torch.nonzero(maps.abs().amax(dim=(1, 2, 3)) > 0)[:, 0]
    if len(found) == 0:
        raise ValueError(
            f"maps: found zeros in all {len(maps)} slices, expected sensitivities where there is signal. "
            f"Measure more central lines, or lower crop (now {crop:g})."
        )
    distance = (torch.arange(len(maps))[:, None] - found[None, :]).abs()
    return maps[found[distance.argmin(dim=1)]]


def _check_kspace(kspace: Tensor) -> None:
    if kspace.ndim != 4 or not kspace.is_complex():
        raise ValueError(
            f"k-space: found {kspace.dtype} of shape {tuple(kspace.shape)}, expected complex (slice, coil, row, column). "
            f"Add an axis for one slice or one coil."
        )
    if not bool(torch.isfinite(torch.view_as_real(kspace)).all()):
        raise ValueError("k-space: found values that are not finite, expected samples. Set those to 0 and leave them unmeasured.")
