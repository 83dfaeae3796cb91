"""K-space that stands alone in a NumPy file, as tutorials publish it: no header, 0 where nothing was measured."""

from pathlib import Path

import numpy as np

from medidiff.errors import DataError
from medidiff.io.measurement import KSpace

SPACING_MM = 1.0  # such a file does not tell


def read_array(path: str | Path) -> KSpace:
    """The samples of a `.npy` file in the orthonormal centred Fourier transform.

    path   complex (coil, row, column) of one slice, or (slice, coil, row, column)

    A sample is measured where some coil of some slice has another value than 0; the calibration width is that of the largest
    square around the middle that is measured whole. Voxels are taken as 1 mm, which the provenance says. Raises DataError for
    another file; pickled objects are never read.
    """
    path = Path(path)
    try:
        samples = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(
            f"{path.name}: not readable as a NumPy array of numbers ({error}). Save k-space with numpy.save."
        ) from error
    if samples.ndim not in (3, 4) or not np.iscomplexobj(samples) or not samples.size:
        raise DataError(
            f"{path.name}: found {samples.dtype} of shape {samples.shape}, expected complex (coil, row, column) or "
            f"(slice, coil, row, column). Move its axes, and add one for a single coil."
        )
    samples = samples.reshape(-1, *samples.shape[-3:]).astype(np.complex64)
    mask = (samples != 0).any(axis=(0, 1))
    facts = {"format": "numpy", "spacing": f"unknown, taken as {SPACING_MM:g} mm", "noise": "unknown"}
    return KSpace(samples, mask, np.diag([SPACING_MM] * 3 + [1.0]), None, _calibration_width(mask), facts)


def _calibration_width(mask: np.ndarray) -> int:
    """Edge of the largest square around the middle in which everything is measured."""
    rows, columns = mask.shape
    width = 0
    for edge in range(1, min(rows, columns) + 1):
        top, left = rows // 2 - edge // 2, columns // 2 - edge // 2
        if not mask[top : top + edge, left : left + edge].all():
            break
        width = edge
    return width
