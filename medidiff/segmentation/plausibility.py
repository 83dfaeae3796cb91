"""Doubts about a PET/CT pair that do not stop the work but belong beside its result."""

from collections.abc import Iterator

import numpy as np

from medidiff.errors import DataError
from medidiff.io.volume import Grid, Volume

_SPACING_MM = (0.3, 15.0)
_LARGEST_SUV = 200.0  # hotter than any tissue but an injection site
_USUAL_SUV = (1.0, 60.0)  # where the hottest thousandth of the voxels starts
_LEAST_OVERLAP = 0.5


def check_overlap(ct: Volume, pet: Volume) -> None:
    """Raise DataError when the CT covers less than half of the PET along one of its axes: another scan, or a wrong affine."""
    covered = covered_fraction(pet.grid, ct.grid)
    if covered < _LEAST_OVERLAP:
        raise DataError(
            f"the CT covers {100 * covered:.0f} % of the PET along one axis, expected at least {100 * _LEAST_OVERLAP:.0f} %."
            " Check that both come from one examination and that their affines are right."
        )


def covered_fraction(grid: Grid, cover: Grid) -> float:
    """The smallest part of a grid's three extents that lies inside the box around another grid, 0 to 1.

    Per axis, since a CT of 500 mm within a PET of 700 mm is usual and covers only half of its volume.
    """
    to_index = np.linalg.inv(grid.affine)
    corners = cover.corners() @ to_index[:3, :3].T + to_index[:3, 3]
    top = np.array(grid.shape) - 0.5
    shared = np.minimum(corners.max(axis=0), top) - np.maximum(corners.min(axis=0), -0.5)
    return float(np.clip(shared / grid.shape, 0, 1).min())


def doubts(ct: Volume, pet: Volume) -> tuple[str, ...]:
    """One sentence for each thing that looks wrong: units, modalities, spacing, uptake; empty when nothing does."""
    return (*_doubts_on_spacing(ct, pet), *_doubts_on_uptake(pet), *_doubts_on_modality(ct, pet))


def _doubts_on_spacing(ct: Volume, pet: Volume) -> Iterator[str]:
    low, high = _SPACING_MM
    for name, volume in (("CT", ct), ("PET", pet)):
        spacing = volume.grid.spacing_mm
        if min(spacing) < low or max(spacing) > high:
            found = " x ".join(f"{d:.4g}" for d in spacing)
            yield f"The {name} spacing is {found} mm, expected {low:g} to {high:g} mm: is it in centimetres or metres?"


def _doubts_on_uptake(pet: Volume) -> Iterator[str]:
    largest, hottest = float(pet.array.max()), float(np.percentile(pet.array, 99.9))
    if largest <= 0:
        yield "The PET is empty: no voxel is above 0."
    elif largest > _LARGEST_SUV or hottest > _USUAL_SUV[1]:
        yield (
            f"The PET reaches {largest:.4g} (99.9th percentile {hottest:.4g}), expected at most {_LARGEST_SUV:g} and"
            f" {_USUAL_SUV[1]:g} SUV: was it never converted from Bq/ml?"
        )
    elif hottest < _USUAL_SUV[0]:
        yield f"The 99.9th percentile of the PET is {hottest:.3g}, expected at least {_USUAL_SUV[0]:g} SUV: is it another unit?"


def _doubts_on_modality(ct: Volume, pet: Volume) -> Iterator[str]:
    if float(pet.array.min()) < -100:
        yield f"The PET goes down to {float(pet.array.min()):.4g}, and SUV is not negative: are PET and CT swapped?"
    if float(ct.array.min()) >= 0:
        yield "The CT has no negative value, and air is -1000 HU: are PET and CT swapped, or is its rescale missing?"
