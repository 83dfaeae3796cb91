"""Simulated MRI: k-space of a fine object with a smooth phase, seen by coils on a ring, thinned and noisy."""

import numpy as np
import torch

from medidiff.acquisition.settings import MrAcquisition, ScanSettings
from medidiff.acquisition.source import FINE, TISSUE_SHARE, coarse
from medidiff.io.measurement import KSpace
from medidiff.io.volume import Volume
from physics.mri.masks import MASKS, Sampling, calibration_width
from physics.mri.simulation import add_noise, measure_kspace_finely, smooth_phase

SLICES_AT_ONCE = 8  # bounds the memory of coil images on the fine grid
BY_FRACTION = ("random", "equispaced")  # masks whose centre is a share of all lines


def measure_mr(fine: Volume, scan: ScanSettings) -> tuple[KSpace, Volume]:
    """The k-space of an object, and its magnitude on the grid to reconstruct.

    fine   (2 columns, 2 rows, slices)   magnitude
    scan   with its acquisition `mr`

    The object has pixels half as large as the grid, so k-space is cut off as at a scanner; the reference is the mean of 2 x 2
    of them. Noise has the given share of the mean magnitude of the tissue. Raises ValueError for a mask that cannot be.
    """
    mr, generator = scan.mr, torch.Generator().manual_seed(scan.seed)
    reference = coarse(fine)
    magnitude = torch.from_numpy(np.maximum(fine.array, 0).transpose(2, 1, 0).astype(np.float32))
    image = magnitude * smooth_phase(*magnitude.shape[1:], generator=generator)
    parts = [measure_kspace_finely(part, coils=mr.coils, fine=FINE) for part in image.split(SLICES_AT_ONCE)]
    kspace = torch.cat(parts)
    noise_std = mr.noise * _mean_of_tissue(reference.array)
    if noise_std:
        kspace = add_noise(kspace, noise_std=noise_std, generator=generator)
    mask = _sampling(mr, scan).mask
    samples = (kspace * torch.from_numpy(mask)).numpy().astype(np.complex64)
    measurement = KSpace(samples, mask, reference.affine, noise_std or None, calibration_width(mask), _provenance(scan))
    return measurement, reference


def _sampling(mr: MrAcquisition, scan: ScanSettings) -> Sampling:
    shape = scan.matrix, scan.matrix
    centre = {"calibration_lines": mr.calibration_lines}
    if mr.mask in BY_FRACTION:
        centre = {"centre_fraction": mr.calibration_lines / scan.matrix}
    return MASKS[mr.mask](shape, acceleration=mr.acceleration, seed=scan.seed, **centre)


def _mean_of_tissue(magnitude: np.ndarray) -> float:
    return float(magnitude[magnitude > TISSUE_SHARE * np.percentile(magnitude, 99)].mean())


def _provenance(scan: ScanSettings) -> dict:
    return {
        "simulated": True,
        "inverse_crime": False,
        "fine_pixels_per_edge": FINE,
        "source": scan.source if not scan.dataset else f"{scan.dataset}: {scan.source}",
        "mask": scan.mr.mask,
        "noise": scan.mr.noise,
        "seed": scan.seed,
    }
