"""A voxel array and where it lies in the patient."""

from dataclasses import dataclass
from typing import Self

import nibabel
import numpy as np


@dataclass(frozen=True, eq=False)
class Grid:
    """Where voxel centres lie: shape (i, j, k) and the affine from indices to RAS millimetres."""

    shape: tuple[int, int, int]
    affine: np.ndarray  # (4, 4) float64

    def __post_init__(self):
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))
        object.__setattr__(self, "affine", np.asarray(self.affine, dtype=np.float64))

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distances between neighbouring voxel centres along i, j, k."""
        return tuple(float(d) for d in np.linalg.norm(self.affine[:3, :3], axis=0))

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel; right for sheared grids too."""
        return float(abs(np.linalg.det(self.affine[:3, :3]))) / 1000

    @property
    def orientation(self) -> str:
        """Nearest anatomical directions of growing i, j, k, as in "LPS" or "RAS"."""
        return "".join(nibabel.aff2axcodes(self.affine))

    def positions(self, indices: np.ndarray) -> np.ndarray:
        """RAS millimetres (n, 3) of voxel indices (n, 3); whole numbers are voxel centres."""
        return np.asarray(indices, dtype=np.float64) @ self.affine[:3, :3].T + self.affine[:3, 3]

    def corners(self) -> np.ndarray:
        """RAS millimetres (8, 3) of the outer voxel corners: indices -1/2 and n - 1/2."""
        low, high = np.full(3, -0.5), np.array(self.shape) - 0.5
        choose = np.stack(np.meshgrid(*[[0, 1]] * 3, indexing="ij"), -1).reshape(8, 3)
        return self.positions(np.where(choose, high, low))

    def agrees_with(self, other: "Grid", *, tolerance_mm: float = 1e-3) -> bool:
        """Same shape, and every corner within the tolerance."""
        return self.shape == other.shape and bool(np.abs(self.corners() - other.corners()).max() <= tolerance_mm)


@dataclass(frozen=True, eq=False)
class Volume:
    """Voxel values array[i, j, k] and their affine; voxels stay in the order in which they were stored."""

    array: np.ndarray
    affine: np.ndarray  # (4, 4) float64, indices to RAS millimetres

    def __post_init__(self):
        object.__setattr__(self, "affine", np.asarray(self.affine, dtype=np.float64))

    @property
    def grid(self) -> Grid:
        """Shape and affine without the values."""
        return Grid(self.array.shape, self.affine)

    def with_array(self, array: np.ndarray) -> Self:
        """Other values on the same grid."""
        return Volume(array, self.affine)

    def canonical(self) -> Self:
        """The same voxels with axes permuted and flipped to the nearest of RAS."""
        to_ras = nibabel.io_orientation(self.affine)
        array = nibabel.apply_orientation(self.array, to_ras)
        return Volume(array, self.affine @ nibabel.orientations.inv_ornt_aff(to_ras, self.array.shape))

    def __repr__(self) -> str:
        shape, spacing = "x".join(map(str, self.array.shape)), " x ".join(f"{d:.3g}" for d in self.grid.spacing_mm)
        return f"Volume({shape}, {spacing} mm, {self.grid.orientation}, {self.array.dtype}, {self.array.nbytes / 1e6:.1f} MB)"
