"""The object of a simulated scan on the grid on which it is measured: twice as fine as the one to reconstruct."""

from importlib import resources
from pathlib import Path

import numpy as np

from medidiff.acquisition.settings import ScanSettings
from medidiff.errors import DataError
from medidiff.io.dicom.grouping import group_series
from medidiff.io.dicom.index import index_folder
from medidiff.io.dicom.selection import describe
from medidiff.io.dicom.series import read_series
from medidiff.io.nifti import read_nifti
from medidiff.io.resample import resample_to
from medidiff.io.volume import Grid, Volume
from medidiff.phantoms.chest import make_chest

FINE = 2  # fine pixels along the edge of one to reconstruct
MNI152 = "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"  # of the package nilearn, 1 mm
AIR_HU = -1024.0
TISSUE_HU = -500.0
TISSUE_SHARE = 0.15  # of the 99th percentile of an MR image


def fine_object(scan: ScanSettings, path: Path | None = None) -> Volume:
    """The object, (2 columns, 2 rows, slices) in HU or as MR magnitude, around the middle of its tissue.

    scan      names the source and the grid
    path      NIfTI file or DICOM folder, for a source that is not generated

    A volume keeps the directions of its own axes: columns along i, rows along j, slices along k. Raises DataError for a file
    that cannot be read, or a folder that does not hold the one series.
    """
    if scan.source == "chest":
        return _chest(scan)
    with resources.as_file(resources.files("nilearn.datasets") / "data" / MNI152) as known:
        volume = _read(known if scan.source == "mni152" else path, scan)
    outside = AIR_HU if scan.ct else 0.0
    return resample_to(volume, _around_tissue(volume, scan), fill=outside)


def coarse(fine: Volume) -> Volume:
    """The same object with the mean of each 2 x 2 pixels of a slice: the reference on the grid to reconstruct."""
    columns, rows, slices = fine.array.shape
    array = fine.array.reshape(columns // FINE, FINE, rows // FINE, FINE, slices).mean(axis=(1, 3), dtype=np.float64)
    return Volume(array.astype(np.float32), coarse_affine(fine.affine))


def coarse_affine(affine: np.ndarray) -> np.ndarray:
    """From indices of the grid to reconstruct to RAS mm, where `affine` is that of the fine one."""
    return affine @ _to_coarse()


def _to_coarse() -> np.ndarray:
    # a coarse index is the middle of its 2 x 2 fine pixels
    scale = np.diag([FINE, FINE, 1.0, 1.0])
    scale[:2, 3] = (FINE - 1) / 2
    return scale


def _chest(scan: ScanSettings) -> Volume:
    chest = make_chest(scan.chest)
    thin = chest.hounsfield(FINE)
    array = thin.reshape(scan.slices, FINE, *thin.shape[1:]).mean(axis=1)
    return Volume(np.ascontiguousarray(array.transpose(2, 1, 0)), chest.affine() @ np.linalg.inv(_to_coarse()))


def _read(path: Path | None, scan: ScanSettings) -> Volume:
    if path is None:
        raise DataError(f"source {scan.source!r}: no file given, expected a NIfTI file or DICOM folder. Name it with --volume.")
    if path.is_file():
        return read_nifti(path)
    wanted = "CT" if scan.ct else "MR"
    found = [one for one in group_series(*index_folder(path)) if one.modality == wanted and one.usable]
    found = [one for one in found if scan.series in ("", one.uid)]
    if len(found) != 1:
        listed = "; ".join(map(describe, found)) or "none"
        raise DataError(f"{path.name}: found {listed}, expected one usable {wanted} series. Name it in `series`.")
    return read_series(found[0], root=path)


def _around_tissue(volume: Volume, scan: ScanSettings) -> Grid:
    """The fine grid, along the axes of the volume, its middle in the middle of the tissue's box."""
    tissue = volume.array > (TISSUE_HU if scan.ct else TISSUE_SHARE * np.percentile(volume.array, 99))
    if not tissue.any():
        raise DataError(f"source {scan.source!r}: no voxel of tissue, expected CT in HU or an MR magnitude. Check the file.")
    sides = [np.flatnonzero(tissue.any(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3)]
    middle = volume.grid.positions(np.array([[(side[0] + side[-1]) / 2 for side in sides]]))[0]
    spacing_mm = np.array([scan.pixel_mm / FINE, scan.pixel_mm / FINE, scan.slice_mm])
    shape = np.array([FINE * scan.matrix, FINE * scan.matrix, scan.slices])
    affine = np.eye(4)
    affine[:3, :3] = volume.affine[:3, :3] / volume.grid.spacing_mm * spacing_mm
    affine[:3, 3] = middle - affine[:3, :3] @ ((shape - 1) / 2)
    return Grid(tuple(shape), affine)
