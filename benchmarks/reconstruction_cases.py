"""Of what and how the reconstruction benchmark measures: volumes that no prior has seen, few views, noise, a short arc."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medidiff.acquisition.ct import measure_ct
from medidiff.acquisition.scan import simulate
from medidiff.acquisition.settings import CtAcquisition, ScanSettings
from medidiff.acquisition.source import FINE
from medidiff.io.measurement import Projections
from medidiff.io.nifti import read_nifti
from medidiff.io.volume import Volume
from medidiff.phantoms.chest import ChestPhantom, make_chest
from medidiff.reconstruction.lesion_test import Pair

MATRIX = 64
SLICES = {"phantom": 32, "real": 16}
NODULES = tuple(range(700_001, 700_017))  # seeds of the chests that test whether lesions survive
WINDOW_HU = (-1000.0, 1000.0)
TISSUE_HU = -300.0
CASES = {
    "8 views": CtAcquisition(views=8),
    "20 views": CtAcquisition(views=20),
    "20 views, 1e4 photons": CtAcquisition(views=20, photons=1e4),
    "45 views over 90 degrees": CtAcquisition(views=45, arc_deg=90),
    "60 views": CtAcquisition(views=60),
}


@dataclass(frozen=True)
class Source:
    """Volumes of one kind and the prior for them."""

    prior: str  # folder below models/
    cases: tuple[str, ...]
    peers: tuple[str, ...]  # with as many network calls as one sample of NA-DDS, so in the same time; tv: with held-out views
    samples: int  # of the point estimate that is a mean
    fresh: tuple[int, ...]  # that are scored
    calibration: tuple[int, ...]  # that only calibrate intervals


SOURCES = {
    "phantom": Source(
        "ct-chest",
        tuple(CASES)[:4],
        ("dds", "reddiff"),
        2,
        tuple(range(900_001, 900_011)),
        tuple(range(800_001, 800_011)),
    ),
    "real": Source(
        "ct-head-neck",
        tuple(CASES),
        ("dds", "reddiff", "mbir", "tv"),
        4,
        (165, 167, 160, 163, 164, 166, 168, 169),
        (151, 152, 154, 155, 156, 157, 158, 159, 170, 171, 172, 173),
    ),
}


@dataclass(frozen=True)
class Study:
    """One volume: the seed of a digital chest, or the number of an OpenKBP patient."""

    source: str
    number: int

    def measure(self, case: str) -> tuple[Projections, np.ndarray]:
        """The measurement, and the truth (slice, row, column) in HU on the grid to reconstruct."""
        if self.source == "phantom":
            measurement, truth = simulate(
                ScanSettings(source="chest", seed=self.number, slices=SLICES["phantom"], ct=CASES[case])
            )
        else:
            measurement, truth = self._measure_patient(CASES[case])
        return measurement, truth.array.transpose(2, 1, 0)

    def _measure_patient(self, ct: CtAcquisition) -> tuple[Projections, Volume]:
        """Of a patient's own voxels, cut out around the middle of the tissue. Each is a square of FINE x FINE equal ones."""
        crop, pixel_mm, slice_mm = read_patient(self.number)
        fine = crop.repeat(FINE, axis=1).repeat(FINE, axis=2).transpose(2, 1, 0)
        affine = np.diag([-pixel_mm / FINE, -pixel_mm / FINE, slice_mm, 1.0])  # rows from front to back
        grid = {"matrix": MATRIX, "pixel_mm": pixel_mm, "slices": SLICES["real"], "slice_mm": slice_mm}
        scan = ScanSettings(source=f"pt_{self.number}", dataset="ct-openkbp", seed=self.number, ct=ct, **grid)
        return measure_ct(Volume(np.ascontiguousarray(fine), affine), scan)


@dataclass(frozen=True)
class LesionStudy:
    """A digital chest with and without its one nodule."""

    number: int

    def pair(self) -> Pair:
        """Both on the fine grid on which they are measured, (slice, fine row, fine column)."""
        chest = make_chest(ChestPhantom(seed=self.number, lesions=1, slices=SLICES["phantom"], rows=MATRIX, columns=MATRIX))
        mask = chest.lesion_mask(0)
        change = (chest.hounsfield() - chest.without_lesions().hounsfield())[mask].mean()
        present, absent = (one.hounsfield(FINE) for one in (chest, chest.without_lesions()))
        thick = [values.reshape(SLICES["phantom"], FINE, *values.shape[1:]).mean(axis=1) for values in (present, absent)]
        return Pair(*thick, mask, float(change), self.number)

    def measure(self, fine: np.ndarray, case: str, seed: int) -> Projections:
        """One of the two, with the noise of a seed."""
        affine = np.diag([6.0 / FINE, 6.0 / FINE, 6.0, 1.0])
        scan = ScanSettings(source="chest", seed=seed, matrix=MATRIX, slices=SLICES["phantom"], ct=CASES[case])
        return measure_ct(Volume(np.ascontiguousarray(fine.transpose(2, 1, 0)), affine), scan)[0]


def read_patient(number: int) -> tuple[np.ndarray, float, float]:
    """Neighbouring slices with most tissue, (slice, row, column) HU, rows from front to back; pixel edge, slice distance, mm.

    Values are clipped to the window, here and so in the truth too: metal and dense bone above it are no part of the question.
    """
    path = Path(os.environ["MEDIDIFF_MIRROR"]) / f"ct_openkbp/train-pats/pt_{number}/ct.nii.gz"
    volume = read_nifti(path)
    hu = volume.array.transpose(2, 0, 1).astype(np.float32)  # this data set stores rows first
    tissue = hu > TISSUE_HU
    count = SLICES["real"]
    areas = np.convolve(tissue.sum(axis=(1, 2)), np.ones(count), mode="valid")
    lowest = int(areas.argmax())  # elsewhere this data set blanks whole slices but for the spine
    inside = [np.flatnonzero(tissue[lowest : lowest + count].any(axis=axis)) for axis in ((0, 2), (0, 1))]
    top, left = (round((box[0] + box[-1] + 1 - MATRIX) / 2) + MATRIX for box in inside)
    padded = np.pad(hu[lowest : lowest + count], ((0, 0), (MATRIX, MATRIX), (MATRIX, MATRIX)), constant_values=WINDOW_HU[0])
    crop = padded[:, top : top + MATRIX, left : left + MATRIX]
    rows_mm, _, slices_mm = volume.grid.spacing_mm
    return crop.clip(*WINDOW_HU), float(rows_mm), float(slices_mm)
