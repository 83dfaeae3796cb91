"""Samples of LoDoPaB-CT become measurements whose rays go where its authors' operator sends them."""

import math

import h5py
import numpy as np
import pytest
import torch

from medidiff.errors import DataError
from medidiff.io.measurement import read_measurement, write_measurement
from medidiff.io.projections import lodopab
from medidiff.io.projections.lodopab import lodopab_samples, read_lodopab, read_lodopab_truth, write_lodopab
from physics.ct.grid import Grid
from physics.ct.parallel import ParallelBeam

MU = 81.35858  # 1/m, of 3071 HU
DISC = (0.031, -0.052, 0.02)  # x, y, radius, m
VALUE = 0.25


def disc_projection():
    """Line integrals of the disc by the geometry of the set: theta in the middle of each part, s = x cos + y sin, in metres."""
    x, y, radius = DISC
    angles = math.pi * (np.arange(1000) + 0.5) / 1000
    edge = 0.13 * math.sqrt(2)
    bins = -edge + (np.arange(513) + 0.5) * 2 * edge / 513
    away = bins - (x * np.cos(angles) + y * np.sin(angles))[:, None]
    return VALUE * 2 * np.sqrt(np.maximum(radius**2 - away**2, 0))


def disc_image():
    """The disc on 362 x 362 pixels as the set stores them: axis 0 along x, axis 1 along y, from -0.13 m up."""
    x, y, radius = DISC
    fine = (np.arange(362 * 4) + 0.5) * 0.26 / (362 * 4) - 0.13
    inside = (fine[:, None] - x) ** 2 + (fine - y) ** 2 < radius**2
    return VALUE * inside.reshape(362, 4, 362, 4).mean(axis=(1, 3))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    where = tmp_path_factory.mktemp("lodopab")
    write_lodopab(where, disc_projection()[None], disc_image()[None])
    return where


def test_views_of_a_disc_are_those_of_our_operator_on_its_ground_truth(folder):
    measured, truth = read_lodopab(folder, 0), read_lodopab_truth(folder, 0)
    geometry = dict(measured.geometry)
    grid = Grid(geometry["rows"], geometry["columns"], geometry["pixel_mm"])
    angles = tuple(geometry["angles_rad"][::50])
    operator = ParallelBeam(grid, angles, geometry["bins"], geometry["bin_mm"])
    mu = 0.02 * (1 + truth.array[:, :, 0].T / 1000)  # row j, column i
    ours = operator.forward(torch.from_numpy(mu.copy())[None, None].float())[0, 0].numpy()
    theirs = measured.line_integrals[0, ::50]
    assert np.linalg.norm(ours - theirs) < 0.02 * np.linalg.norm(theirs)


def test_line_integrals_have_no_unit_and_truth_is_in_hounsfield_units(folder):
    measured, truth = read_lodopab(folder, 0), read_lodopab_truth(folder, 0)
    assert measured.line_integrals.max() == pytest.approx(VALUE * 2 * DISC[2] * MU, rel=1e-3)
    assert truth.array.max() == pytest.approx(1000 * (VALUE * MU - 20) / 20, abs=0.1)
    assert truth.array.min() == pytest.approx(-1000)
    assert truth.grid.agrees_with(measured.grid)


def test_the_disc_lies_left_and_behind_where_axial_slices_show_it(folder):
    truth = read_lodopab_truth(folder, 0)
    weights = np.maximum(truth.array, -1000) + 1000
    middle = np.array(
        [np.average(np.arange(n), weights=weights.sum(tuple({0, 1, 2} - {a}))) for a, n in enumerate((362, 362, 1))]
    )
    assert truth.grid.positions(middle[None])[0] == pytest.approx((-31, -52, 0), abs=0.3)


def test_a_ray_without_a_count_weighs_nothing_and_another_its_photons(tmp_path):
    observation = np.full((1, 1000, 513), 2.0 / MU)
    observation[0, 3, 7] = -math.log(0.1 / 4096) / MU
    observation[0, 3, 8] = -math.log(1 / 4096) / MU
    write_lodopab(tmp_path, observation, np.zeros((1, 362, 362)))
    weights = read_lodopab(tmp_path, 0).weights[0]
    assert weights[3, 7] == 0
    assert weights[3, 8] == pytest.approx(1, rel=1e-4)
    assert weights[0, 0] == pytest.approx(4096 * math.exp(-2), rel=1e-4)


def test_a_sample_is_found_in_its_file_and_survives_as_a_measurement(tmp_path, monkeypatch):
    monkeypatch.setattr(lodopab, "SAMPLES_PER_FILE", 2)
    observations = np.arange(3)[:, None, None] * np.full((1, 1000, 513), 1e-3)
    write_lodopab(tmp_path, observations, np.zeros((3, 362, 362)), part="validation")
    assert lodopab_samples(tmp_path, part="validation") == 3
    found = read_lodopab(tmp_path, 2, part="validation")
    assert np.allclose(found.line_integrals, 2e-3 * MU, rtol=1e-5)
    write_measurement(found, tmp_path / "m.h5")
    assert np.array_equal(read_measurement(tmp_path / "m.h5").line_integrals, found.line_integrals)


def spoil(folder, **content):
    with h5py.File(folder / "observation_test_000.hdf5", "w") as file:
        for name, values in content.items():
            file[name] = values


NAN = np.zeros((1, 1000, 513), np.float32)
NAN[0, 5, 5] = np.nan


@pytest.mark.parametrize(
    "content, message",
    [
        ({"other": np.zeros(3)}, r"observation_test_000\.hdf5: data: found other, expected an array of this name"),
        (
            {"data": np.zeros((1, 362, 362), np.float32)},
            r"data: found the shape \(1, 362, 362\), expected \(up to 128, 1000, 513\)",
        ),
        ({"data": np.zeros((1, 1000, 513), np.int32)}, r"data: found int32, expected floating-point values"),
        ({"data": NAN}, r"data: found 1 of 513000 values not finite"),
        ({"data": np.zeros((0, 1000, 513), np.float32)}, r"found the shape \(0, 1000, 513\), expected 3 axes, none empty"),
    ],
)
def test_a_foreign_file_is_refused_with_field_found_and_expected(tmp_path, content, message):
    spoil(tmp_path, **content)
    with pytest.raises(DataError, match=message):
        read_lodopab(tmp_path, 0)


def test_a_shape_that_the_file_cannot_hold_is_refused_before_memory_is_taken(tmp_path):
    with h5py.File(tmp_path / "observation_test_000.hdf5", "w") as file:
        file.create_dataset("data", (128, 1000, 513), "f4", chunks=(1, 1000, 513))
    with pytest.raises(DataError, match=r"data: found the shape \(128, 1000, 513\), 263 MB, of which the file holds 0\.0 MB"):
        read_lodopab(tmp_path, 0)


def test_arrays_in_other_files_are_never_followed(tmp_path):
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["data"] = np.zeros((1, 1000, 513), np.float32)
    with h5py.File(tmp_path / "observation_test_000.hdf5", "w") as file:
        file["data"] = h5py.ExternalLink("secret.h5", "/data")
    with pytest.raises(DataError, match="expected an array of this name"):
        read_lodopab(tmp_path, 0)
    with h5py.File(tmp_path / "observation_test_000.hdf5", "w") as file:
        file.create_dataset("data", (1, 1000, 513), "f4", external=[(str(tmp_path / "raw.bin"), 0, 1000 * 513 * 4)])
    with pytest.raises(DataError, match="kept in other files"):
        read_lodopab(tmp_path, 0)


def test_a_cut_file_or_an_unknown_sample_is_refused(folder, tmp_path):
    whole = (folder / "observation_test_000.hdf5").read_bytes()
    (tmp_path / "observation_test_000.hdf5").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="not readable as HDF5"):
        read_lodopab(tmp_path, 0)
    with pytest.raises(DataError, match=r"found 1 samples, expected one with number 1"):
        read_lodopab(folder, 1)
    with pytest.raises(DataError, match=r"sample: found test 3553, expected .*test 0 to 3552"):
        read_lodopab(folder, 3553)
    with pytest.raises(DataError, match=r"found no observation_train_000\.hdf5"):
        lodopab_samples(folder, part="train")
