"""Stacks acquired with a tilted gantry: accepted only when asked for, and resampled to a right-angled grid."""

from dataclasses import replace

import numpy as np

from medidiff.io.dicom.geometry import is_sheared
from medidiff.io.dicom.imageseries import Series
from medidiff.io.resample import resample_to
from medidiff.io.volume import Grid, Volume


def accept_tilt(series: Series) -> Series:
    """A series whose only fault is its tilt, made usable with a note; every other series unchanged.

    `read_series` then gives the voxels as stored with their sheared affine, which is exact; `upright` resamples them.
    """
    if not series.is_tilted:
        return series
    note = f"the gantry was tilted; accepted as asked ({series.reason.split(',')[0]})"
    return replace(series, usable=True, reason="", notes=(*series.notes, note))


def upright_grid(grid: Grid) -> Grid:
    """The right-angled grid with the same planes and pixels, wide enough to hold every voxel of a sheared one.

    The slice axis becomes the normal of the planes; the distance between planes stays.
    """
    axes = grid.affine[:3, :3] / np.linalg.norm(grid.affine[:3, :3], axis=0)
    normal = np.cross(axes[:, 0], axes[:, 1])
    normal *= np.sign(normal @ axes[:, 2]) / np.linalg.norm(normal)
    spacing = np.array([*grid.spacing_mm[:2], grid.affine[:3, 2] @ normal])
    directions = np.column_stack([axes[:, 0], axes[:, 1], normal])
    lean = np.linalg.solve(directions, grid.affine[:3, 2])[:2] * (grid.shape[2] - 1) / spacing[:2]  # pixels, first to last slice
    before, after = np.floor(np.minimum(lean, 0)), np.ceil(np.maximum(lean, 0))
    affine = np.eye(4)
    affine[:3, :3] = directions * spacing
    affine[:3, 3] = grid.affine[:3, 3] + affine[:3, :2] @ before
    columns, rows = (int(n) for n in np.array(grid.shape[:2]) + after - before)
    return Grid((columns, rows, grid.shape[2]), affine)


def upright(volume: Volume, *, fill: float) -> Volume:
    """The volume on `upright_grid`, interpolated linearly inside its planes; unchanged when it is right-angled already.

    fill    value where the tilted stack has no voxel: -1024 for CT, 0 for PET
    """
    if not is_sheared(volume.affine):
        return volume
    return resample_to(volume, upright_grid(volume.grid), order=1, fill=fill, antialias=False)
