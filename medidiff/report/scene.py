"""The volumes of a study made ready for drawing: what there is, where to look, and planes through that point."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from scipy import ndimage

from medidiff.errors import DataError
from medidiff.io.nifti import read_nifti
from medidiff.io.resample import iso_grid, resample_to
from medidiff.io.volume import Grid, Volume
from medidiff.report.study import TRUTHS, VOLUMES, Study

# RAS axes of each plane: to the side, up, across
PLANES = {"axial": (0, 1, 2), "coronal": (0, 2, 1), "sagittal": (1, 2, 0)}
OUTSIDE = {"CT": -1024.0, "PET": 0.0}
TRUTH = "truth"


@dataclass(frozen=True)
class Scene:
    """CT and PET where they exist, and masks by name: the truth first, then the methods."""

    images: Mapping[str, Volume]  # CT in HU, PET in SUVbw
    masks: Mapping[str, Volume]  # 0 and 1
    notes: list[str] = field(default_factory=list)  # what could not be read

    @property
    def reference(self) -> Grid:
        """The grid whose box is shown: the CT's, else the PET's, else the first mask's."""
        return next(iter([*self.images.values(), *self.masks.values()])).grid

    @cached_property
    def suv_limit(self) -> float:
        """Upper end of the PET colour scale, SUV: 99.9 % of the voxels are below, between 5 and 20."""
        return float(np.clip(np.ceil(np.percentile(self.images["PET"].array, 99.9)), 5, 20))

    @cached_property
    def centre(self) -> np.ndarray:
        """RAS millimetres of the lesion's voxel nearest to its centroid; without a lesion the box's middle.

        The lesion is the largest connected part of the truth, or of the first mask that has a voxel.
        """
        points = self._lesion_points
        if not len(points):
            return self.reference.corners().mean(axis=0)
        return points[np.argmin(np.linalg.norm(points - points.mean(axis=0), axis=1))]

    def lesion_box(self, margin_mm: float = 20.0) -> np.ndarray:
        """Low and high corner (2, 3) of a cube around the centre, RAS millimetres, with the lesion inside."""
        points = self._lesion_points
        reach = np.abs(points - self.centre).max() if len(points) else 40.0
        return np.stack([self.centre - reach - margin_mm, self.centre + reach + margin_mm])

    @cached_property
    def _lesion_points(self) -> np.ndarray:
        mask = next((mask for mask in self.masks.values() if mask.array.any()), None)
        if mask is None:
            return np.empty((0, 3))
        parts, _ = ndimage.label(mask.array, structure=np.ones((3, 3, 3)))
        largest = np.argmax(np.bincount(parts.ravel())[1:]) + 1
        return mask.grid.positions(np.argwhere(parts == largest))


def read_scene(study: Study) -> Scene:
    """The volumes of a study; a file that cannot be read becomes a note."""
    notes: list[str] = []
    images = _read_all(study.volume_paths(VOLUMES), study.folder, notes)
    truths = study.volume_paths(TRUTHS)
    truth = truths.get("PET") or truths.get("CT")
    masks = _read_all(({TRUTH: truth} if truth else {}) | study.mask_paths(), study.folder, notes)
    return Scene(images, masks, notes)


def plane_grid(plane: str, through: np.ndarray, box: np.ndarray, spacing_mm: float) -> Grid:
    """One layer of square pixels in patient axes.

    plane        axial | coronal | sagittal
    through      RAS millimetres of a point of the layer
    box          (2, 3) low and high corner, RAS millimetres
    spacing_mm   of the pixels
    """
    shape = np.maximum(np.ceil((box[1] - box[0]) / spacing_mm - 1e-6).astype(int), 1)
    affine = np.diag([spacing_mm] * 3 + [1.0])
    affine[:3, 3] = box[0] + spacing_mm / 2
    across = PLANES[plane][2]
    shape[across], affine[across, 3] = 1, through[across]
    return Grid(tuple(shape), affine)


def picture(volume: Volume, grid: Grid, *, plane: str, fill: float) -> np.ndarray:
    """The values on a layer as an image: rows go up, columns along the plane's first axis."""
    values = resample_to(_near(volume, grid), grid, fill=fill, antialias=False).array
    side, up, across = PLANES[plane]
    return values.transpose(across, up, side)[0]


def _near(volume: Volume, grid: Grid) -> Volume:
    """The part of a volume that a layer can touch: all of it would be copied to sample a few slices."""
    corners = np.c_[grid.corners(), np.ones(8)] @ np.linalg.inv(volume.affine).T[:, :3]
    last = np.array(volume.array.shape) - 1
    low = np.clip(np.floor(corners.min(axis=0)).astype(int) - 2, 0, last)
    high = np.clip(np.ceil(corners.max(axis=0)).astype(int) + 2, low, last)
    affine = volume.affine.copy()
    affine[:3, 3] = volume.grid.positions(low[None])[0]
    return Volume(volume.array[tuple(slice(a, b + 1) for a, b in zip(low, high))], affine)


def extent_mm(grid: Grid, plane: str) -> tuple[float, float, float, float]:
    """Left, right, bottom and top edge of the image in RAS millimetres."""
    low = grid.affine[:3, 3] - np.diag(grid.affine)[:3] / 2
    high = low + np.diag(grid.affine)[:3] * grid.shape
    side, up, _ = PLANES[plane]
    return float(low[side]), float(high[side]), float(low[up]), float(high[up])


def box_of(grid: Grid) -> np.ndarray:
    """Low and high corner (2, 3) of a grid's voxel box, RAS millimetres."""
    corners = grid.corners()
    return np.stack([corners.min(axis=0), corners.max(axis=0)])


def cubic_grid(grid: Grid, *, voxels: int) -> Grid:
    """The axis-aligned grid of cubic voxels over the same box: as fine as the grid's finest axis, or as coarse as needed.

    voxels    most that it may have
    """
    finest = min(grid.spacing_mm)
    extent = np.ptp(grid.corners(), axis=0)
    fits = float(np.prod(extent / finest)) <= voxels
    return iso_grid(grid, finest if fits else float(np.cbrt(np.prod(extent) / voxels)) * 1.02)


def _read_all(paths: Mapping[str, Path], folder: Path, notes: list[str]) -> dict[str, Volume]:
    found = {}
    for name, path in paths.items():
        try:
            found[name] = read_nifti(path)
        except DataError as error:
            notes.append(str(error).replace(str(path), path.relative_to(folder).as_posix()))
    return found
