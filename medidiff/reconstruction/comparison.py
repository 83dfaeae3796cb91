"""A reconstructed volume against its reference; nothing here is ever seen by a solver."""

import math
from collections.abc import Mapping
from typing import Literal

import numpy as np

from medidiff.errors import DataError
from medidiff.io.volume import Grid, Volume
from medidiff.metrics.attenuation import body_mask, hu_errors
from medidiff.metrics.image import PLANES, nmse, psnr, psnr_plane, ssim_fastmri, ssim_wang
from medidiff.metrics.roughness import tvz_ratio

SAME_VOXELS = 1e-3  # voxels by which places on two grids may differ
LEAST_SIDE = 11  # pixels that structural similarity needs each way


def compare(
    volume: Volume,
    reference: Volume,
    *,
    kind: Literal["ct", "mr"],
    window_hu: tuple[float, float] = (-1000.0, 1000.0),
    maps: Mapping[str, Volume] | None = None,
) -> dict[str, float]:
    """Numbers of a volume beside its reference on the same grid.

    volume, reference   HU, or MR magnitude
    kind                ct: PSNR and SSIM of the window's width, errors in HU; mr: of the reference's largest value, and NMSE
    window_hu           of the prior and the solvers
    maps                of the reconstruction: `spread` and, where calibrated, `half_width` of an interval

    Nothing is clipped or rescaled; SSIM, which is meant for values from 0 on, counts HU from the lower end of the window. Raises
    DataError where the grids differ.
    """
    if not volume.grid.agrees_with(reference.grid):
        raise DataError(
            f"the volume has {volume!r} and the reference {reference!r}: found different grids, expected one within 0.001 mm. "
            f"Resample the reference to the grid of the measurement."
        )
    x, truth = (np.ascontiguousarray(each.array.transpose(2, 1, 0)) for each in (volume, reference))
    if kind == "ct":
        body, low, top = body_mask(truth), window_hu[0], window_hu[1] - window_hu[0]
        numbers = {"psnr_db": psnr(x, truth, range=top), **hu_errors(x, truth, body=body)}
    else:
        body, low, top = None, 0.0, float(truth.max())
        numbers = {"psnr_db": psnr(x, truth, range=top), "nmse": nmse(x, truth)}
        if min(x.shape[1:]) >= LEAST_SIDE:
            numbers["ssim_fastmri"] = ssim_fastmri(x, truth)
    numbers |= _planes(x - low, truth - low, top, body)
    if len(x) > 1:
        numbers["tvz_ratio"] = tvz_ratio(x, truth)
    return numbers | _honesty(x - truth, maps or {}, body)


def part_on(volume: Volume, grid: Grid) -> Volume:
    """The voxels of a volume that lie on a grid which is a part of its own, as challenges crop; the volume where none does."""
    place = np.linalg.inv(volume.affine) @ grid.affine
    first = np.round(place[:3, 3]).astype(int)
    last = first + grid.shape
    is_part = np.abs(place - np.block([[np.eye(3), first[:, None]], [np.zeros((1, 3)), 1]])).max() < SAME_VOXELS
    if not is_part or first.min() < 0 or (last > volume.array.shape).any():
        return volume
    return Volume(volume.array[tuple(slice(a, b) for a, b in zip(first, last))], grid.affine)


def _planes(x: np.ndarray, truth: np.ndarray, top: float, body: np.ndarray | None) -> dict[str, float]:
    """PSNR and SSIM of each plane that is large enough."""
    numbers = {}
    for plane, axis in PLANES.items():
        sides = [n for each, n in enumerate(x.shape) if each != axis]
        numbers[f"psnr_{plane}_db"] = psnr_plane(x, truth, range=top, axis=axis, body=body)
        if min(sides) >= LEAST_SIDE:
            numbers[f"ssim_{plane}"] = ssim_wang(x, truth, range=top, axis=axis, body=body)
    return numbers


def _honesty(error: np.ndarray, maps: Mapping[str, Volume], body: np.ndarray | None) -> dict[str, float]:
    """Whether the stated uncertainty is that of the error, where there is one."""
    error = error if body is None else error[body]
    stated = {name: values.array.transpose(2, 1, 0) for name, values in maps.items() if values.array.ndim == 3}
    if body is not None:
        stated = {name: values[body] for name, values in stated.items()}
    numbers = {}
    if "spread" in stated and stated["spread"].any():
        numbers["error_over_spread"] = math.sqrt(float((error**2).mean() / (stated["spread"] ** 2).mean()))
        numbers["error_spread_correlation"] = float(np.corrcoef(np.abs(error).ravel(), stated["spread"].ravel())[0, 1])
    if "half_width" in stated:
        numbers["coverage"] = float((np.abs(error) <= stated["half_width"]).mean())
        numbers["mean_half_width"] = float(stated["half_width"].mean())
    return numbers
