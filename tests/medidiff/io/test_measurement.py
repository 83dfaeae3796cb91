"""Measurements come back as they were written, and what cannot be reconstructed is refused in one line."""

import dataclasses
import math

import h5py
import numpy as np
import pytest

from medidiff.errors import DataError
from medidiff.io.measurement import KSpace, Projections, read_measurement, write_measurement

OBLIQUE = np.array([[1.44, -0.48, 0.3, -20.0], [0.42, 1.92, 0.0, 11.0], [0.0, 0.3, 3.0, 5.0], [0.0, 0.0, 0.0, 1.0]])


def oblique(pixel_mm):
    """An affine with square pixels that is neither aligned nor isotropic."""
    turn = math.radians(20)
    affine = np.eye(4)
    affine[:3, 0] = np.array([math.cos(turn), math.sin(turn), 0]) * pixel_mm
    affine[:3, 1] = np.array([-math.sin(turn), math.cos(turn), 0]) * pixel_mm
    affine[:3, 2] = (0.2, 0.1, 3.0)
    affine[:3, 3] = (-20.0, 11.0, 5.0)
    return affine


def projections(**changes):
    numbers = np.random.default_rng(1)
    geometry = {"beam": "parallel", "rows": 5, "columns": 6, "pixel_mm": 1.5, "bins": 9, "bin_mm": 1.2}
    geometry["angles_rad"] = [0.1 + math.pi * view / 4 for view in range(4)]
    geometry |= changes.pop("geometry", {})
    whole = Projections(
        numbers.uniform(0, 3, (3, 4, 9)).astype(np.float32),
        {key: value for key, value in geometry.items() if value is not None},
        oblique(1.5),
        numbers.uniform(0, 100, (3, 4, 9)).astype(np.float32),
        0.02,
        {"source": "a test"},
    )
    return dataclasses.replace(whole, **changes)


def kspace(**changes):
    numbers = np.random.default_rng(2)
    mask = np.zeros((6, 8), dtype=bool)
    mask[:, [0, 3, 4, 5, 7]] = True
    samples = numbers.normal(size=(2, 3, 6, 8)) + 1j * numbers.normal(size=(2, 3, 6, 8))
    whole = KSpace((samples * mask).astype(np.complex64), mask, OBLIQUE, 0.01, 3, {"source": "a test"})
    return dataclasses.replace(whole, **changes)


@pytest.mark.parametrize("measurement", [projections(), projections(weights=None), kspace(), kspace(noise_std=None)])
def test_a_measurement_comes_back_as_it_was_written(measurement, tmp_path):
    write_measurement(measurement, tmp_path / "m.h5")
    found = read_measurement(tmp_path / "m.h5")
    assert type(found) is type(measurement)
    for field in dataclasses.fields(measurement):
        before, after = getattr(measurement, field.name), getattr(found, field.name)
        if isinstance(before, np.ndarray):
            np.testing.assert_array_equal(before, after)
            assert before.dtype == after.dtype
        else:
            assert before == after


def test_the_volume_to_reconstruct_has_columns_first_and_slices_last():
    assert projections().grid.shape == (6, 5, 3)
    assert kspace().grid.shape == (8, 6, 2)


def test_equal_content_gives_equal_bytes(tmp_path):
    for name in ("a.h5", "b.h5"):
        write_measurement(projections(), tmp_path / name)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


DEGREES = {"angles_rad": [0, 45, 90, 135]}
TWICE = {"angles_rad": [0.0, 1.0, 2.0, 2 * math.pi]}


@pytest.mark.parametrize(
    ("measurement", "line"),
    [
        (projections(geometry=DEGREES), r"m.h5: geometry.angles_rad: found 135, expected at most 4 pi. Convert degrees"),
        (projections(geometry=TWICE), r"geometry.angles_rad: found .* rad twice, expected every direction once"),
        (projections(geometry={"angles_rad": [0.3]}), r"geometry.angles_rad: found 1 views, expected at least 2"),
        (projections(geometry={"beam": "helix"}), r"geometry.beam: found 'helix', expected parallel or fan"),
        (projections(geometry={"bin_mm": None}), r"geometry: found missing bin_mm, unknown none"),
        (projections(geometry={"offset_mm": 3}), r"geometry: found missing none, unknown offset_mm"),
        (projections(geometry={"bins": 8}), r"line_integrals: found shape \(3, 4, 9\), expected \(slice, 4 views, 8 bins\)"),
        (projections(geometry={"pixel_mm": 2.0}), r"affine: found 1.5 and 1.5 mm between columns and rows, expected pixel_mm, 2"),
        (
            projections(geometry={"beam": "fan", "source_mm": 4.0, "detector_mm": 9.0}),
            r"geometry: found source_mm 4 and detector_mm 9, expected 5.85",
        ),
        (projections(line_integrals=np.full((3, 4, 9), np.nan)), r"line_integrals: found 108 of 108 values not finite"),
        (projections(line_integrals=np.full((3, 4, 9), 65535)), r"largest value of 65535, expected at most 50. .*16-bit counts"),
        (projections(line_integrals=np.full((3, 4, 9), 51)), r"found a largest value of 51, .* counts before the logarithm"),
        (projections(weights=np.zeros((3, 4, 9))), r"weights: found values from 0 to 0, expected none below 0 and some above"),
        (projections(weights=np.full((3, 4, 9), -1)), r"weights: found values from -1 to -1"),
        (projections(weights=np.ones((3, 4, 8))), r"weights: found shape \(3, 4, 8\), expected that of line_integrals"),
        (projections(affine=np.zeros((4, 4))), r"affine: found .*, expected an invertible map"),
        (projections(water_per_mm=0.192), r"water_per_mm: found 0.192, expected 1/mm .* Divide 1/cm by 10"),
        (kspace(samples=np.full((2, 3, 6, 8), np.inf * 1j)), r"samples: found 288 of 288 values not finite"),
        (kspace(samples=np.ones((2, 3, 6, 8))), r"samples: found values other than 0 at 18 places outside the mask"),
        (kspace(samples=np.zeros((3, 6, 8))), r"samples: found complex64 of shape \(3, 6, 8\), expected complex"),
        (kspace(mask=np.full((6, 8), 0.5)), r"mask: found values from 0.5 to 0.5, expected 0 and 1 alone"),
        (kspace(mask=np.ones((8, 6), dtype=bool)), r"mask: found shape \(8, 6\), 48 samples measured, expected shape \(6, 8\)"),
        (kspace(calibration_lines=4), r"calibration_lines: found 4, of whose centre 4 samples are not measured"),
        (kspace(noise_std=-1.0), r"noise_std: found -1.0, expected at least 0"),
    ],
)
def test_what_cannot_be_reconstructed_is_refused_in_one_line_and_never_written(measurement, line, tmp_path):
    with pytest.raises(DataError, match=line) as caught:
        write_measurement(measurement, tmp_path / "m.h5")
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_file_that_was_changed_is_refused_on_reading(tmp_path):
    write_measurement(kspace(), tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5", "a") as file:
        file["samples"][0, 0, 0, 0] = complex("nan")
    with pytest.raises(DataError, match=r"m.h5: samples: found 1 of 288 values not finite"):
        read_measurement(tmp_path / "m.h5")


def test_a_file_without_a_part_is_refused(tmp_path):
    write_measurement(projections(), tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5", "a") as file:
        del file["affine"]
    with pytest.raises(DataError, match=r"m.h5: affine: found nothing"):
        read_measurement(tmp_path / "m.h5")


def test_a_foreign_or_damaged_file_is_refused(tmp_path):
    (tmp_path / "m.h5").write_bytes(b"no HDF5")
    with pytest.raises(DataError, match=r"m.h5: not readable as a measurement"):
        read_measurement(tmp_path / "m.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["data"] = [1.0]
    with pytest.raises(DataError, match=r"other.h5: format: found None, expected 'medidiff measurement 1'"):
        read_measurement(tmp_path / "other.h5")
