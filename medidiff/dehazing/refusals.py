"""Recordings that are not computed, with the reason and what to do."""

import torch
from torch import Tensor

from medidiff.errors import DataError, NumericsError

MOST_GROWTH = 10.0  # of the norm of the tissue over that of the measurement


def check_frames(y: Tensor, first: int = 0) -> None:
    """Nothing, where frames are complex and finite.

    y       (frame, axial, lateral)
    first   number of the first frame

    Raises DataError for real or integer values, another number of axes, and values that are not finite.
    """
    if not y.is_complex():
        kind = str(y.dtype).removeprefix("torch.")
        raise DataError(
            f"recording of {kind}, expected complex baseband IQ: haze is not additive after log compression. Use the B-mode "
            "track for images (`medidiff dehaze` with a picture or DICOM), or demodulate radio-frequency data first."
        )
    if y.ndim != 3 or min(y.shape) < 1:
        raise DataError(f"recording of shape {tuple(y.shape)}, expected (frame, axial, lateral) with at least one of each")
    wrong = ~torch.isfinite(y).flatten(1).all(1)
    if bool(wrong.any()):
        number = int(wrong.nonzero()[0])
        count = int((~torch.isfinite(y[number])).sum())
        raise DataError(
            f"frame {first + number}: {count} samples are not finite. Export the recording again, or leave out the frame."
        )


def check_size(expected: tuple[int, int], found: tuple[int, int]) -> None:
    """DataError unless frames have the size of their grid."""
    if expected != found:
        raise DataError(
            f"frames of {found[0]} x {found[1]} samples, but their grid has {expected[0]} ranges and {expected[1]} angles. "
            "Give the grid that belongs to the recording."
        )


def check_growth(y: Tensor, tissue: Tensor, first: int, method: str) -> None:
    """NumericsError where the tissue of a frame is much larger than the measurement."""
    grown = torch.linalg.vector_norm(tissue, dim=(1, 2)) > MOST_GROWTH * torch.linalg.vector_norm(y, dim=(1, 2))
    if bool(grown.any()) or not bool(torch.isfinite(tissue).all()):
        number = first + int(grown.nonzero()[0]) if bool(grown.any()) else first
        raise NumericsError(
            f"frame {number}: the tissue of method {method} grew to more than {MOST_GROWTH:g} times the measurement. Use "
            "more levels, a smaller weight of the guidance, or method regress."
        )
