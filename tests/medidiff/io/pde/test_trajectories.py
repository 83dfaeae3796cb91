from dataclasses import replace

import h5py
import numpy as np
import pytest

from medidiff.errors import DataError
from medidiff.io.pde.trajectories import LARGEST_CHUNK, TrajectorySet, _chunk, joined, read_trajectories, write_trajectories


@pytest.fixture
def trajectories():
    generator = np.random.default_rng(6)
    draw = lambda *shape: generator.normal(size=shape).astype(np.float32)
    units = {"velocity": "m/s", "f": "m/s^2", "viscosity": "m^2/s", "t": "s", "x": "m"}
    x = (np.arange(12) + 0.5) / 12
    return TrajectorySet(
        draw(5, 1, 4, 12),
        draw(5, 1, 12),
        0.25 * np.arange(1, 5),
        (x,),
        ("velocity",),
        draw(5, 1, 4, 12),
        draw(5, 1),
        ("viscosity",),
        units=units,
        facts={"system": "burgers", "settings": {"seed": 3}},
    )


def _equal(one, other):
    arrays = one.arrays()
    assert arrays.keys() == other.arrays().keys()
    assert all(np.array_equal(values, other.arrays()[name]) for name, values in arrays.items())


def test_everything_comes_back_from_a_file_and_equal_content_gives_equal_bytes(trajectories, tmp_path):
    first, second = tmp_path / "a.h5", tmp_path / "b.h5"
    write_trajectories(trajectories, first)
    write_trajectories(trajectories, second)
    found = read_trajectories(first)
    _equal(found, trajectories)
    assert first.read_bytes() == second.read_bytes()
    assert (found.fields, found.parameters, found.units, found.facts) == (
        trajectories.fields,
        trajectories.parameters,
        trajectories.units,
        trajectories.facts,
    )
    assert found.dt_s == 0.25


def test_some_rows_are_read_alone(trajectories, tmp_path):
    write_trajectories(trajectories, tmp_path / "a.h5")
    _equal(read_trajectories(tmp_path / "a.h5", rows=slice(1, 4, 2)), trajectories.rows([1, 3]))


def test_axes_of_the_file_are_scales_and_each_trajectory_is_a_chunk(trajectories, tmp_path):
    write_trajectories(trajectories, tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5") as file:
        assert [file["u"].dims[axis].keys() for axis in (2, 3)] == [["t"], ["x"]]
        assert file["u0"].dims[2].keys() == ["x"]
        assert file["u"].chunks == (1, 1, 4, 12)
        assert file["done"][...].tolist() == [1] * 5


def test_a_large_trajectory_is_cut_along_space():
    assert _chunk(np.empty((2, 3, 8, 1 << 16), np.float32)) == (1, 3, 8, LARGEST_CHUNK // (4 * 24))


def test_sets_are_joined_in_order(trajectories):
    _equal(joined([trajectories.rows(slice(0, 2)), trajectories.rows(slice(2, 5))]), trajectories)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"u": np.zeros((5, 1, 4, 11), np.float32)}, r"u: found the shape \(5, 1, 4, 11\), expected \(5, 1, 4, 12\)"),
        ({"f": np.zeros((5, 1, 5, 12), np.float32)}, "force has 5 intervals, 4 frames are asked. Drop the padding row"),
        ({"times": np.array([0.25, 0.5, 0.8, 1.0])}, "t jumps from 0.5 to 0.8 after frame 2; uniform frames are needed"),
        ({"times": np.array([0.0, 0.25, 0.5, 0.75])}, "t jumps from 0 to 0 after frame 0"),
        ({"units": {"velocity": "m/s"}}, "no unit of f, t, viscosity, x"),
    ],
)
def test_what_does_not_fit_is_refused_before_it_is_written(trajectories, tmp_path, change, message):
    with pytest.raises(DataError, match=message):
        write_trajectories(replace(trajectories, **change), tmp_path / "a.h5")
    assert not (tmp_path / "a.h5").exists()


def test_a_value_that_is_not_finite_is_named_by_trajectory_time_and_place(trajectories, tmp_path):
    trajectories.u[3, 0, 1, 7:10] = np.nan
    with pytest.raises(DataError, match=r"trajectory 3: 3 values are not finite, first at t = 0.5, x = 7"):
        write_trajectories(trajectories, tmp_path / "a.h5")


def test_foreign_damaged_and_unfinished_files_are_refused(trajectories, tmp_path):
    path = tmp_path / "a.h5"
    write_trajectories(trajectories, path)
    with h5py.File(path, "a") as file:
        file["done"][2] = 0
    with pytest.raises(DataError, match="1 trajectories are not done"):
        read_trajectories(path)
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(DataError, match="not readable as HDF5"):
        read_trajectories(path)
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["u"] = np.zeros(3)
    with pytest.raises(DataError, match="medidiff_format: found None"):
        read_trajectories(tmp_path / "b.h5")
