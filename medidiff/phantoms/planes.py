"""The slice planes of a volume in DICOM's words: orientation, position and spacing as decimal strings of 16 characters."""

from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset
from pydicom.valuerep import format_number_as_ds

from medidiff.errors import DataError
from medidiff.io.volume import Grid

LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True, eq=False)
class Planes:
    """Where slice k of a grid lies: its columns run along i, its rows along j."""

    affine_lps: np.ndarray  # (4, 4) indices (i, j, k) to LPS mm
    shape: tuple[int, int, int]

    def positions(self, indices: np.ndarray) -> np.ndarray:
        """LPS millimetres (n, 3) of the indices (n, 3)."""
        return indices @ self.affine_lps[:3, :3].T + self.affine_lps[:3, 3]

    def header(self, k: int) -> Dataset:
        """Image plane module of slice k; the affine it implies differs from the grid's by less than 1e-9 mm per voxel."""
        column_step, row_step, slice_step, origin = self.affine_lps[:3].T
        width, height = np.linalg.norm(column_step), np.linalg.norm(row_step)
        normal = np.cross(column_step, row_step) / (width * height)
        position = origin + k * slice_step
        header = Dataset()
        header.Rows, header.Columns = self.shape[1], self.shape[0]
        header.PixelSpacing = decimal_strings([height, width])
        header.ImageOrientationPatient = decimal_strings([*column_step / width, *row_step / height])
        header.ImagePositionPatient = decimal_strings(position)
        header.SliceThickness = decimal_strings([abs(slice_step @ normal)])[0]
        header.SliceLocation = decimal_strings([position @ normal])[0]
        return header


def planes_of(grid: Grid) -> Planes:
    """The slice planes of a grid; slices may lean (gantry tilt), but each must be a rectangle.

    Raises DataError when i and j are not at right angles: DICOM has no words for such a pixel.
    """
    affine = LPS_FROM_RAS @ grid.affine
    across, down = (affine[:3, axis] / np.linalg.norm(affine[:3, axis]) for axis in (0, 1))
    if abs(across @ down) > 1e-6:
        angle = np.degrees(np.arccos(across @ down))
        raise DataError(
            f"DICOM series: rows and columns of the volume meet at {angle:.3f} degrees, expected 90. "
            "Resample onto an orthogonal grid before writing."
        )
    return Planes(affine, grid.shape)


def decimal_strings(values) -> list[str]:
    """The numbers as DICOM decimal strings: at most 16 characters, as exact as that allows."""
    return [format_number_as_ds(float(value) + 0.0) for value in values]
