"""Filtered back-projection of a scan; the other classical solvers of `physics.solvers` take a scan as they are."""

import numpy as np
import torch
from torch import Tensor

from medidiff.errors import DataError
from medidiff.reconstruction.operators import Scan
from physics.ct.backprojection import reconstruct_fan, reconstruct_parallel
from physics.ct.fan import FanBeam


def back_projected(scan: Scan, *, window: str, cutoff: float) -> Tensor:
    """The volume (slice, 1, row, column) by filtered back-projection, window units.

    window   of the ramp, a name of `physics.ct.ramp.WINDOWS`
    cutoff   share of the frequencies that is kept

    Rays that were not measured are interpolated between their neighbours in the view. DataError for views that have no direct
    inverse: unequal steps, an arc between half a turn and a full one, a fan over less than a full turn.
    """
    beam = scan.operator.operator
    sinogram = scan.y / scan.operator.factor
    if scan.operator.trusted is not None:
        sinogram = torch.from_numpy(filled(sinogram.cpu().numpy(), scan.operator.trusted.cpu().numpy() > 0)).to(sinogram)
    invert = reconstruct_fan if isinstance(beam, FanBeam) else reconstruct_parallel
    try:
        return invert(sinogram, beam, window=window, cutoff=cutoff)
    except ValueError as error:
        raise DataError(f"fbp: {error}") from error


def filled(sinogram: np.ndarray, is_measured: np.ndarray) -> np.ndarray:
    """The sinogram with linear interpolation along the bins where nothing was measured; a view without any ray stays 0."""
    out = sinogram.reshape(-1, sinogram.shape[-1]).copy()
    known = is_measured.reshape(out.shape)
    bins = np.arange(out.shape[-1])
    for row in np.flatnonzero(~known.all(axis=1) & known.any(axis=1)):
        out[row] = np.interp(bins, bins[known[row]], out[row, known[row]])
    return out.reshape(sinogram.shape)
