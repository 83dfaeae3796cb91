"""What can be said and done about samples of k-space without looking at the image: its centre, fewer lines, oversampling."""

from dataclasses import replace

import numpy as np

from medidiff.errors import DataError
from medidiff.io.measurement import KSpace


def calibration_lines(mask: np.ndarray) -> int:
    """Width of the largest square of measured samples, and no more than all rows, in the middle of a mask (row, column)."""
    rows, columns = mask.shape
    width = 0
    while width < columns:
        wider = width + 1
        top, left = max(0, rows // 2 - wider // 2), columns // 2 - wider // 2
        if not mask[top : top + wider, left : left + wider].all():
            break
        width = wider
    return width


def with_columns(measurement: KSpace, columns: np.ndarray) -> KSpace:
    """The measurement as if only these columns had been measured, to test with fully sampled data.

    columns   (column,) bool

    Raises DataError where the number of columns is another, or none is left.
    """
    columns, mask = np.asarray(columns, dtype=bool), measurement.mask
    if columns.shape != mask.shape[1:] or not (mask & columns).any():
        found = f"{np.count_nonzero(columns)} of {columns.size}"
        raise DataError(f"columns: found {found} to keep, expected some of {mask.shape[1]}. Draw the mask for this matrix.")
    mask = mask & columns
    thinned = np.where(mask, measurement.samples, 0)
    return replace(measurement, samples=thinned, mask=mask, calibration_lines=calibration_lines(mask))


def without_oversampling(samples: np.ndarray, rows: int) -> np.ndarray:
    """The k-space of the middle `rows` rows of the image; every readout must be whole.

    samples   (..., row, column) complex64
    returns   (..., rows, column) complex64: the noise of a sample stays what it was

        kept = F crop(F* samples)   along rows, with the orthonormal centred transform F
    """
    image = np.fft.fftshift(np.fft.ifft(np.fft.ifftshift(samples, axes=-2), axis=-2, norm="ortho"), axes=-2)
    first = samples.shape[-2] // 2 - rows // 2
    image = image[..., first : first + rows, :]
    kept = np.fft.fftshift(np.fft.fft(np.fft.ifftshift(image, axes=-2), axis=-2, norm="ortho"), axes=-2)
    return kept.astype(np.complex64)
