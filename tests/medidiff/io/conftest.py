"""Synthetic DICOM series whose every voxel is known: a linear ramp in patient millimetres, oblique and anisotropic."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

ROOT = "1.2.826.0.1.3680043.8.498"
CLASSES = {"CT": "1.2.840.10008.5.1.4.1.1.2", "PT": "1.2.840.10008.5.1.4.1.1.128", "MR": "1.2.840.10008.5.1.4.1.1.4"}


def rotation(x: float, y: float, z: float) -> np.ndarray:
    """Rotation matrix about x, then y, then z; degrees."""
    a, b, c = np.radians([x, y, z])
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    about_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


@dataclass(frozen=True)
class Stack:
    """A volume of known geometry whose values are gradient · x + offset at each voxel centre x (LPS mm)."""

    modality: str = "CT"
    shape: tuple[int, int, int] = (9, 7, 12)  # columns, rows, slices
    spacing: tuple[float, float, float] = (1.3, 0.8, 2.5)  # mm along columns, rows, slices
    axes: np.ndarray = field(default_factory=lambda: rotation(11, -17, 23))  # LPS directions of i, j, k as columns
    origin: tuple[float, float, float] = (-31.25, 17.5, -204.75)
    lean: tuple[float, float] = (0.0, 0.0)  # mm that each slice steps along i and j: a gantry tilt
    gradient: tuple[float, float, float] = (0.31, -0.23, 0.17)
    offset: float = 40.0
    slope: float = 0.002
    series: str = "1"
    study: str = "1"
    frame: str = "1"

    def centre(self, index) -> np.ndarray:
        """LPS millimetres of voxel indices (..., 3)."""
        i, j, k = np.moveaxis(np.asarray(index, dtype=float), -1, 0)
        steps = [i * self.spacing[0] + k * self.lean[0], j * self.spacing[1] + k * self.lean[1], k * self.spacing[2]]
        return np.stack(steps, -1) @ self.axes.T + self.origin

    def ras(self) -> np.ndarray:
        """The RAS affine, made column by column from the images of the unit indices."""
        corner = self.centre([0, 0, 0])
        affine = np.eye(4)
        for axis in range(3):
            affine[:3, axis] = self.centre(np.eye(3)[axis]) - corner
        affine[:3, 3] = corner
        return np.diag([-1.0, -1, 1, 1]) @ affine

    def values(self) -> np.ndarray:
        """The ramp at every voxel, array[i, j, k] float64."""
        return self.centre(np.stack(np.indices(self.shape), -1)) @ self.gradient + self.offset

    def slopes(self) -> np.ndarray:
        """A different rescale slope for each slice of a PET, one for all slices else."""
        return self.slope * (1 + 0.1 * np.arange(self.shape[2]) * (self.modality == "PT"))

    def headers(self) -> list[Dataset]:
        """One data set for each slice, sorted along the normal, with pixels."""
        return [self._slice(k) for k in range(self.shape[2])]

    def _slice(self, k: int) -> Dataset:
        ds = Dataset()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = CLASSES[self.modality]
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"{ROOT}.{self.study}.{self.series}.{k + 1}"
        ds.StudyInstanceUID, ds.SeriesInstanceUID = f"{ROOT}.{self.study}", f"{ROOT}.{self.study}.{self.series}"
        ds.FrameOfReferenceUID = f"{ROOT}.{self.study}.99.{self.frame}"
        ds.Modality, ds.ImageType = self.modality, ["ORIGINAL", "PRIMARY", "AXIAL"]
        ds.PatientName, ds.PatientID = "Secret^Canary", "CANARY-1"
        ds.SeriesNumber, ds.InstanceNumber, ds.AcquisitionNumber = self.series, (k * 5) % self.shape[2] + 1, 1
        ds.SeriesDate, ds.SeriesTime, ds.AcquisitionTime = "20250101", "110000", "110000"
        ds.SliceThickness = 99.0  # wrong on purpose: never to be used
        ds.PixelSpacing = [self.spacing[1], self.spacing[0]]
        ds.ImageOrientationPatient = [f"{cosine:.12f}"[:16] for cosine in (*self.axes[:, 0], *self.axes[:, 1])]
        ds.ImagePositionPatient = [f"{x:.9f}"[:16] for x in self.centre([0, 0, k])]
        ds.Rows, ds.Columns = self.shape[1], self.shape[0]
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
        intercept = 0.0 if self.modality == "PT" else 10.0
        if self.modality == "MR":
            ds.RescaleType = "normalized"
        if self.modality == "PT":
            ds.Units, ds.CorrectedImage = "BQML", ["DECY", "ATTN"]
        ds.RescaleSlope, ds.RescaleIntercept = f"{self.slopes()[k]:.10g}", intercept
        stored = np.round((self.values()[:, :, k].T - intercept) / float(ds.RescaleSlope))
        assert np.abs(stored).max() < 32768
        ds.PixelData = stored.astype("<i2").tobytes()
        return ds


@pytest.fixture(scope="session")
def stack() -> Callable[..., Stack]:
    """A maker of volumes of known geometry; keywords change the default one."""
    return Stack


@pytest.fixture(scope="session")
def turned() -> Callable[[float, float, float], np.ndarray]:
    """A maker of rotation matrices from three angles in degrees."""
    return rotation


@pytest.fixture(scope="session")
def save() -> Callable[..., Path]:
    """A function that writes data sets into a folder under names whose order means nothing."""

    def write(folder: Path, headers: list[Dataset], *, stem: str = "IM", seed: int = 7) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        names = np.random.default_rng(seed).permutation(len(headers))
        for name, ds in zip(names, headers):
            syntax = UID(ds.file_meta.TransferSyntaxUID)
            implicit, little = (syntax.is_implicit_VR, syntax.is_little_endian)
            ds.save_as(folder / f"{stem}{name:03d}", enforce_file_format=True, implicit_vr=implicit, little_endian=little)
        return folder

    return write


@pytest.fixture(scope="session")
def series_in() -> Callable[[Path], list]:
    """All series of a folder, through the index."""
    from medidiff.io.dicom.grouping import group_series
    from medidiff.io.dicom.index import index_folder

    return lambda folder: group_series(*index_folder(folder))
