"""LoDoPaB-CT (Leuschner et al. 2021): one sample as a measurement, and its ground truth in HU."""

import math
import re
from pathlib import Path

import numpy as np

from medidiff.errors import DataError
from medidiff.io.hdf5_array import find_array, open_hdf5, read_finite
from medidiff.io.hdf5_file import new_hdf5
from medidiff.io.measurement import Projections
from medidiff.io.volume import Volume

SAMPLES_PER_FILE = 128
PARTS = {"train": 35820, "validation": 3522, "test": 3553}
PIXELS, BINS, VIEWS = 362, 513, 1000
FIELD_MM = 260.0
SLICE_MM = 1.0  # a sample is one slice of a patient; how thick it was is not published
WATER_PER_MM, AIR_PER_MM = 0.02, 0.00002
LARGEST_PER_MM = 3071 * (WATER_PER_MM - AIR_PER_MM) / 1000 + WATER_PER_MM  # of 3071 HU, by which the set is divided
PHOTONS, FEWEST = 4096, 0.1  # per bin; what replaces a count of zero before the logarithm
LARGEST_VALUE = 100.0  # of either kind, far above what the set holds
_MM_PER_M = 1000
_NO_COUNT = -math.log(math.sqrt(FEWEST) / PHOTONS)  # between the logarithms of 0.1 and of 1 count


def read_lodopab(folder: Path, sample: int, *, part: str = "test") -> Projections:
    """The observation of one sample: parallel beams, one slice.

    folder    with `observation_{part}_000.hdf5` and so on, 128 samples in each, fewer in the last
    sample    from 0, counted through all files of the part
    part      train, validation or test

        line integral = observation · mu(3071 HU) · 1 m,   weight = photons = 4096 exp(-line integral), 0 without a count

    Views are the middles of 1000 equal parts of the half turn, bins those of 513 parts of the diagonal, as the operator of
    its authors has them. Raises DataError for a file that is missing, damaged or of another shape.
    """
    found = _read(Path(folder), "observation", sample, part=part, shape=(VIEWS, BINS))
    line_integrals = (found * np.float32(LARGEST_PER_MM * _MM_PER_M))[None]
    weights = np.where(line_integrals < _NO_COUNT, PHOTONS * np.exp(-line_integrals), 0).astype(np.float32)
    geometry = {
        "beam": "parallel",
        "rows": PIXELS,
        "columns": PIXELS,
        "pixel_mm": FIELD_MM / PIXELS,
        "angles_rad": [math.pi * (view + 0.5) / VIEWS for view in range(VIEWS)],
        "bins": BINS,
        "bin_mm": FIELD_MM * math.sqrt(2) / BINS,
    }
    provenance = {"format": "LoDoPaB-CT", "part": part, "sample": sample, "position": "unknown", "slice_mm": "unknown"}
    return Projections(line_integrals, geometry, _affine(), weights, WATER_PER_MM, provenance)


def read_lodopab_truth(folder: Path, sample: int, *, part: str = "test") -> Volume:
    """The ground truth of one sample in HU, on the grid of `read_lodopab`; arguments and errors as there.

        HU = 1000 (ground truth · mu(3071 HU) - mu_water) / mu_water

    with the water of the measurement, so that a perfect reconstruction has no error; the set's own scale, whose 0 is -1000 HU
    of air and not of nothing, differs from it by 0.1 %.
    """
    found = _read(Path(folder), "ground_truth", sample, part=part, shape=(PIXELS, PIXELS))
    hu = 1000 * (found.astype(np.float64) * LARGEST_PER_MM - WATER_PER_MM) / WATER_PER_MM
    return Volume(hu[:, ::-1, None].astype(np.float32), _affine())  # axis 0 runs along +x, axis 1 along +y: from the last row up


def write_lodopab(folder: Path, observations: np.ndarray, truths: np.ndarray, *, part: str = "test", first: int = 0) -> None:
    """Files in the layout of the set, to test with.

    observations   (sample, view, bin)   line integrals over mu(3071 HU) in 1/m
    truths         (sample, x, y)        0 to 1
    first          number of the first file
    """
    for kind, values in (("observation", observations), ("ground_truth", truths)):
        for start in range(0, len(values), SAMPLES_PER_FILE):
            name = _file_name(kind, part, first + start // SAMPLES_PER_FILE)
            with new_hdf5(Path(folder) / name) as file:
                file["data"] = np.asarray(values[start : start + SAMPLES_PER_FILE], dtype=np.float32)


def lodopab_samples(folder: Path, *, part: str = "test") -> int:
    """How many samples of a part lie in the folder, from the first file on without a gap. Raises DataError without any."""
    folder, numbers = Path(folder), []
    for path in folder.glob(f"observation_{part}_*.hdf5"):
        if match := re.fullmatch(rf"observation_{part}_(\d{{3}})\.hdf5", path.name):
            numbers.append(int(match[1]))
    files = next((number for number in range(len(numbers) + 1) if number not in numbers), 0)
    if not files:
        raise DataError(f"{folder.name}: found no {_file_name('observation', part, 0)}, expected it. Unpack the part here.")
    last = _file_name("observation", part, files - 1)
    with open_hdf5(folder / last) as file:
        return (files - 1) * SAMPLES_PER_FILE + len(find_array(file, "data", file=last, dims=(3,), kinds="f"))


def _read(folder: Path, kind: str, sample: int, *, part: str, shape: tuple[int, int]) -> np.ndarray:
    if part not in PARTS or not 0 <= sample < PARTS[part]:
        limits = ", ".join(f"{name} 0 to {count - 1}" for name, count in PARTS.items())
        raise DataError(f"{folder.name}: sample: found {part} {sample}, expected {limits}. Correct the study's path.")
    number, inside = divmod(sample, SAMPLES_PER_FILE)
    name = _file_name(kind, part, number)
    with open_hdf5(folder / name) as file:
        data = find_array(file, "data", file=name, dims=(3,), kinds="f")
        if data.shape[1:] != shape or data.shape[0] > SAMPLES_PER_FILE:
            expected = f"(up to {SAMPLES_PER_FILE}, {shape[0]}, {shape[1]})"
            raise DataError(f"{name}: data: found the shape {data.shape}, expected {expected}. Is it a file of LoDoPaB-CT?")
        if inside >= len(data):
            raise DataError(f"{name}: data: found {len(data)} samples, expected one with number {inside}. Download it again.")
        values = read_finite(data, "data", file=name, part=inside)
        if np.abs(values).max() > LARGEST_VALUE:
            raise DataError(
                f"{name}: data: found values up to {np.abs(values).max():g}, expected about 0 to 1. Download it again."
            )
        return values.astype(np.float32)


def _file_name(kind: str, part: str, number: int) -> str:
    return f"{kind}_{part}_{number:03d}.hdf5"


def _affine() -> np.ndarray:
    """Columns to the left, rows to the back, as axial CT lies; the middle at 0, since the position is not published."""
    pixel_mm = FIELD_MM / PIXELS
    middle = (PIXELS - 1) / 2 * pixel_mm
    return np.array([[-pixel_mm, 0, 0, middle], [0, -pixel_mm, 0, middle], [0, 0, SLICE_MM, 0], [0, 0, 0, 1.0]])
