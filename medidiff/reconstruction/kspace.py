"""MR k-space as a scan: sensitivities of every slice from its own centre, images on a scale that priors know."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from medidiff.errors import DataError
from medidiff.io.measurement import KSpace
from medidiff.reconstruction.operators import Normalised, Scan, Window
from physics.mri.cartesian import CartesianMRI
from physics.mri.coils import combined, root_sum_of_squares, seen_by
from physics.mri.fourier import filter_kspace, to_image, to_kspace
from physics.mri.sensitivities import espirit_maps

BRIGHT = 99  # percentile of the zero-filled magnitude that is 1 in window units


@dataclass(frozen=True, eq=False)
class SlicesMRI(CartesianMRI):
    """`CartesianMRI` of one slice at a time with sensitivities of its own: a batch is the first slices of the stack.

    mask   (row, column)                  1 where a sample is measured
    maps   (slice, coil, row, column)     sensitivities, sum |S|^2 = 1 or 0
    """

    @property
    def domain(self) -> tuple[int, ...]:
        return tuple(self.maps.shape[-2:])

    @property
    def range(self) -> tuple[int, ...]:
        return tuple(self.maps.shape[-3:])

    def _forward(self, x: Tensor) -> Tensor:
        return self._measured.to(x.device) * to_kspace(seen_by(self._maps_of(x, 2), x))

    def _adjoint(self, y: Tensor) -> Tensor:
        return combined(self._maps_of(y, 3), to_image(self._measured.to(y.device) * y))

    def _normal(self, x: Tensor) -> Tensor:
        maps = self._maps_of(x, 2)
        return combined(maps, filter_kspace(seen_by(maps, x), self._measured.to(x.device, x.real.dtype)))

    def _maps_of(self, values: Tensor, one: int) -> Tensor:
        """The maps of a batch of slices, or of the first slice for values of `one` axes."""
        return (self.maps[0] if values.ndim == one else self.maps[: len(values)]).to(values.device)


def mr_scan(measurement: KSpace) -> Scan:
    """The scan of MR k-space; its images are complex, and 1 is the 99th percentile of the zero-filled magnitude.

    DataError where there is no signal, or where the calibration lines are too few for sensitivities.
    """
    samples = torch.from_numpy(np.ascontiguousarray(measurement.samples)).to(torch.complex64)
    size = root_sum_of_squares(to_image(samples)).numpy()
    scale = float(np.percentile(size, BRIGHT))
    if not scale > 0:
        raise DataError(f"samples: found a zero-filled image whose {BRIGHT}th percentile is 0, expected signal. Check the scan.")
    mask, maps = torch.from_numpy(np.asarray(measurement.mask)), _maps(samples, measurement.calibration_lines)
    stack, middle = SlicesMRI(mask, maps), CartesianMRI(mask, maps[len(maps) // 2])
    operator = Normalised.of(stack)
    unit = operator.factor / scale
    noise_std = unit * (measurement.noise_std or 0.0)
    variance = torch.where(mask, noise_std**2, torch.inf)[None, None] if noise_std else None
    spacing_mm = measurement.grid.spacing_mm
    hideable = _outside_centre(measurement.mask.any(axis=0), measurement.calibration_lines)
    return Scan(
        operator=operator,
        y=unit * samples,
        noise_std=noise_std,
        variance=variance,
        window=Window(0.0, scale),
        hideable=hideable,
        slice_ratio=spacing_mm[0] / spacing_mm[2],
        slice_operator=middle,
        support=(root_sum_of_squares(maps) > 0).float(),
    )


def _maps(samples: Tensor, calibration_lines: int) -> Tensor:
    if samples.shape[1] == 1:
        return torch.ones_like(samples)
    try:
        return espirit_maps(samples, calibration_lines=calibration_lines)
    except ValueError as error:
        raise DataError(f"calibration_lines: {error}") from error


def _outside_centre(is_measured: np.ndarray, lines: int) -> tuple[int, ...]:
    """The measured columns that are not calibration lines."""
    first = len(is_measured) // 2 - lines // 2
    return tuple(int(column) for column in np.flatnonzero(is_measured) if not first <= column < first + lines)
