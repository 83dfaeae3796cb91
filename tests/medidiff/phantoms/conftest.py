"""Written patients that several tests read, and a reader that knows only pydicom and the standard."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from medidiff.io.volume import Grid, Volume
from medidiff.phantoms.dicom import write_patient
from medidiff.phantoms.identity import Study
from medidiff.phantoms.petct import make_patient
from medidiff.phantoms.series import no_details, write_series
from medidiff.phantoms.settings import PetCtPhantom


@dataclass
class PlainSeries:
    headers: list  # pydicom data sets along the slice normal
    stored: np.ndarray  # (column, row, slice)
    affine: np.ndarray  # indices to RAS mm

    @property
    def values(self) -> np.ndarray:
        slopes = np.array([float(h.RescaleSlope) for h in self.headers])
        return self.stored * slopes + np.array([float(h.RescaleIntercept) for h in self.headers])


def plain_series(folder: Path) -> PlainSeries:
    headers = [pydicom.dcmread(path) for path in folder.glob("*.dcm")]
    across, down = np.array(headers[0].ImageOrientationPatient, dtype=float).reshape(2, 3)
    place = lambda h: np.array(h.ImagePositionPatient, dtype=float)
    headers.sort(key=lambda h: np.cross(across, down) @ place(h))
    row_gap, column_gap = (float(gap) for gap in headers[0].PixelSpacing)
    step = (place(headers[-1]) - place(headers[0])) / (len(headers) - 1)
    lps = np.eye(4)
    lps[:3] = np.column_stack([across * column_gap, down * row_gap, step, place(headers[0])])
    stored = np.stack([h.pixel_array.T.astype(float) for h in headers], axis=-1)
    return PlainSeries(headers, stored, np.diag([-1.0, -1, 1, 1]) @ lps)


@pytest.fixture(scope="session")
def read_plainly():
    return plain_series


def small_settings(**changes) -> PetCtPhantom:
    grids = dict(
        ct_matrix=64, ct_slices=16, ct_spacing_mm=(2.5, 2.6, 7.0), pet_matrix=30, pet_slices=20, pet_spacing_mm=(5.4, 5.2, 5.0)
    )
    return PetCtPhantom(**{**grids, "seed": 5, "primaries": (1, 1), "nodes": (2, 3), **changes})


@pytest.fixture(scope="session")
def small():
    return small_settings


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    """Settings -> patient, manifest, folder; each is made once."""
    made = {}

    def write(**changes):
        settings = small_settings(**changes)
        if settings not in made:
            folder, patient = tmp_path_factory.mktemp("patient") / "study", make_patient(settings)
            made[settings] = patient, write_patient(patient, folder), folder
        return made[settings]

    return write


RAMP = np.array([3.1, -2.3, 1.7])  # per RAS mm


@pytest.fixture(scope="session")
def ramp_series():
    """Columns of an affine -> volume and series whose values are linear in patient mm: no flip or wrong spacing stays unseen."""

    def write(folder, columns, *, modality="CT"):
        affine = np.eye(4)
        affine[:3, :3], affine[:3, 3] = columns, [-123.456789, 98.7654321, -701.23456789]
        grid = Grid((14, 11, 9), affine)
        values = grid.positions(np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), -1).reshape(-1, 3)) @ RAMP
        volume = Volume((values - values.min()).reshape(grid.shape), affine)
        study = Study("series-test", datetime(2003, 2, 1, 8, 30))
        return volume, write_series(volume, folder, modality=modality, study=study, header=Dataset(), per_slice=no_details)

    return write
