"""Slices the way round that a prior has seen them: heads do not look the same upside down to a network."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from medidiff.diffusion.denoiser import Denoiser, Limits, limits_of

ENDS = ("LR", "PA", "IS")  # of the three axes of RAS space: where negative and positive steps lead


@dataclass(frozen=True)
class Turned:
    """A denoiser of slices that are exchanged and flipped before it sees them, and turned back after."""

    denoiser: Denoiser
    is_exchanged: bool  # rows with columns, before the flips
    flips: tuple[int, ...]  # axes of what the denoiser sees

    @property
    def limits(self) -> Limits:
        return limits_of(self.denoiser)

    def __call__(self, u: Tensor, sigma: Tensor) -> Tensor:
        seen = (u.transpose(-2, -1) if self.is_exchanged else u).flip(self.flips)
        back = self.denoiser(seen, sigma).flip(self.flips)
        return back.transpose(-2, -1) if self.is_exchanged else back


def slice_axes(affine: np.ndarray) -> str:
    """Where growing column and row indices of a slice lead, mostly: "LP" is to the left and to the back of the patient."""
    main = [int(np.abs(affine[:3, axis]).argmax()) for axis in (0, 1)]
    return "".join(ENDS[along][int(affine[along, axis] > 0)] for axis, along in enumerate(main))


def as_trained(denoiser: Denoiser, axes: str, affine: np.ndarray) -> Denoiser:
    """The denoiser for slices of an affine that turns them the way its training images lay.

    axes     of the training images, as `slice_axes` gives them; "": they lay every way, or nobody knows
    affine   (4, 4) voxel (column, row, slice) -> RAS mm

    As it is where nothing is to be turned, and where the slices lie in another plane than the training images.
    """
    found = slice_axes(affine)
    planes = [{frozenset(pair) for pair in ENDS for end in each if end in pair} for each in (axes, found)]
    if not axes or planes[0] != planes[1]:
        return denoiser
    is_exchanged = found[0] not in next(pair for pair in ENDS if axes[0] in pair)
    columns, rows = reversed(found) if is_exchanged else found
    flips = tuple(axis for axis, one, other in ((-2, rows, axes[1]), (-1, columns, axes[0])) if one != other)
    return Turned(denoiser, is_exchanged, flips) if is_exchanged or flips else denoiser
