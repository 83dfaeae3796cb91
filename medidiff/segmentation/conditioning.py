"""What the network sees of a PET/CT study: both modalities on one grid, as numbers from -1 to 1."""

import math
from dataclasses import dataclass

import nibabel
import numpy as np
from numpy.typing import NDArray

from medidiff.errors import ConfigError
from medidiff.io.resample import resample_to
from medidiff.io.volume import Grid, Volume

AIR_HU = -1024.0
FILL = -1.0  # of every channel: air in the CT, no uptake in the PET


@dataclass(frozen=True)
class Conditioning:
    """Constants of the input, part of a model's card: a model may only see what it was trained on."""

    modalities: tuple[str, ...] = ("ct", "pet")  # channels in this order
    spacing_mm: float = 4.0  # cubic voxels of the network's grid
    ct_window_hu: tuple[float, float] = (-250.0, 250.0)  # become -1 and 1
    suv_max: float = 30.0  # becomes 1

    def __post_init__(self):
        low, high = self.ct_window_hu
        if not self.modalities or not set(self.modalities) <= {"ct", "pet"} or len(set(self.modalities)) != len(self.modalities):
            raise ConfigError(f"modalities {self.modalities}: expected one or both of ct and pet")
        if not (low < high and self.suv_max > 0 and self.spacing_mm > 0):
            raise ConfigError(f"expected a rising window, suv_max and spacing_mm above 0, found {self}")

    def ct(self, hu: NDArray) -> NDArray[np.float32]:
        """clip((HU - low) / (high - low), 0, 1) · 2 - 1."""
        low, high = self.ct_window_hu
        return (np.clip((hu - low) / (high - low), 0, 1) * 2 - 1).astype(np.float32)

    def pet(self, suv: NDArray) -> NDArray[np.float32]:
        """2 ln(1 + SUV) / ln(1 + suv_max) - 1, clipped: hot lesions do not drown the warm ones, and SUV stays absolute."""
        scaled = np.log1p(np.clip(suv, 0, self.suv_max)) / math.log1p(self.suv_max)
        return (scaled * 2 - 1).astype(np.float32)


def network_grid(grid: Grid, spacing_mm: float) -> Grid:
    """Cubic voxels along the axes of a grid, around its centre and about as large; axes in the nearest order of RAS.

    shape[axis] = max(round(extent_mm[axis] / spacing_mm), 1): up to half a voxel of the box is left out or added on each side.
    """
    turn = nibabel.orientations.inv_ornt_aff(nibabel.io_orientation(grid.affine), grid.shape)
    order = np.abs(turn[:3, :3]).argmax(axis=0)  # stored axis of each RAS axis
    affine, shape = grid.affine @ turn, np.array(grid.shape)[order]
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    count = np.maximum(np.rint(shape * spacing / spacing_mm), 1).astype(int)
    result = np.eye(4)
    result[:3, :3] = affine[:3, :3] / spacing * spacing_mm
    centre = affine[:3, :3] @ ((shape - 1) / 2) + affine[:3, 3]
    result[:3, 3] = centre - result[:3, :3] @ ((count - 1) / 2)
    return Grid(tuple(count), result)


def conditions(ct: Volume, pet: Volume, grid: Grid, conditioning: Conditioning) -> NDArray[np.float32]:
    """The channels of a study on the network's grid, (c, i, j, k).

    ct       HU          outside of it: air
    pet      SUV         outside of it: no uptake
    """
    made = {
        "ct": lambda: conditioning.ct(resample_to(ct, grid, fill=AIR_HU).array),
        "pet": lambda: conditioning.pet(resample_to(pet, grid, fill=0.0).array),
    }
    return np.stack([made[name]() for name in conditioning.modalities])
