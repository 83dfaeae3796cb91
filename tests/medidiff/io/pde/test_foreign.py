import h5py
import numpy as np
import pytest

from medidiff.errors import ConfigError, DataError
from medidiff.io.pde.gridded import read_xarray
from medidiff.io.pde.pdebench import read_pdebench, write_pdebench
from medidiff.io.pde.trajectories import TrajectorySet
from medidiff.io.pde.well import read_well


def _draw(*shape):
    return np.random.default_rng(7).normal(size=shape).astype(np.float32)


def test_a_scalar_of_pdebench_is_read_with_its_time_axis_cut_and_its_parameter(tmp_path):
    values = _draw(4, 6, 10)
    with h5py.File(tmp_path / "1D_Advection.hdf5", "w") as file:
        file["tensor"] = values
        file["x-coordinate"] = np.linspace(0.05, 0.95, 10, dtype=np.float32)
        file["t-coordinate"] = 0.1 * np.arange(7, dtype=np.float32)  # one more than the data
        file.attrs["beta"] = 0.4
    found = read_pdebench(tmp_path / "1D_Advection.hdf5", rows=slice(1, 3))
    assert np.array_equal(found.u[:, 0], values[1:3, 1:])
    assert np.array_equal(found.u0[:, 0], values[1:3, 0])
    assert np.allclose(found.times, 0.1 * np.arange(1, 6))
    assert found.parameters == ("beta",)
    assert np.allclose(found.theta, 0.4)


@pytest.mark.parametrize("dims", [1, 2])
def test_a_flow_of_pdebench_has_its_fields_in_our_order_and_goes_back(tmp_path, dims):
    fields = ("density", "velocity", "pressure") if dims == 1 else ("density", "velocity", "velocity_y", "pressure")
    grid = (10, 8)[:dims]
    u = _draw(3, len(fields), 4, *grid)
    space = tuple((np.arange(n) + 0.5) / n for n in grid)
    units = dict.fromkeys((*fields, "t", *"xy"[:dims], "eta"), "1")
    theta = np.full((3, 1), 0.125, np.float32)
    ours = TrajectorySet(u, u[:, :, 0] + 1, 0.5 * np.arange(1, 5), space, fields, None, theta, ("eta",), units=units)
    write_pdebench(ours, tmp_path / "flow.hdf5")
    with h5py.File(tmp_path / "flow.hdf5") as file:
        assert np.array_equal(file["pressure"][:, 1:], u[:, -1])
        assert file["Vx"].shape == (3, 5, *grid)
    found = read_pdebench(tmp_path / "flow.hdf5")
    assert found.fields == fields
    assert np.array_equal(found.u, ours.u)
    assert np.array_equal(found.u0, ours.u0)
    assert found.theta.tolist() == theta.tolist()


def test_numbered_groups_of_pdebench_are_trajectories_and_their_text_is_kept_as_text(tmp_path):
    values = _draw(3, 5, 8, 6, 2)
    with h5py.File(tmp_path / "2D_rdb.h5", "w") as file:
        for number in range(3):
            group = file.create_group(f"{number:04d}")
            group["data"] = values[number]
            group["grid/t"], group["grid/x"] = np.arange(5.0), np.arange(8.0)
            group["grid/y"] = np.arange(6.0)
            group.attrs["config"] = "!!python/object/apply:os.system ['false']"
    found = read_pdebench(tmp_path / "2D_rdb.h5")
    assert found.fields == ("value_0", "value_1")
    assert np.array_equal(found.u[:, 1], values[:, 1:, ..., 1])
    assert found.facts["config_text"].startswith("!!python")


def test_an_incompressible_flow_of_pdebench_has_its_force_in_every_interval(tmp_path):
    velocity, particles, force = _draw(3, 4, 6, 5, 2), _draw(3, 4, 6, 5, 1), _draw(3, 6, 5, 2)
    with h5py.File(tmp_path / "ns_incom.h5", "w") as file:
        file["velocity"], file["particles"], file["force"] = velocity, particles, force
        file["t"] = np.tile(0.5 * np.arange(4.0), (3, 1))
    found = read_pdebench(tmp_path / "ns_incom.h5", rows=slice(1, 3))
    assert found.fields == ("particles", "velocity_x", "velocity_y") and len(found.times) == 3
    assert np.array_equal(found.u[:, 2], velocity[1:, 1:, ..., 1]) and np.array_equal(found.u0[:, 0], particles[1:, 0, ..., 0])
    assert np.array_equal(found.f[:, 0, 2], force[1:, ..., 0])


def test_other_files_are_not_pdebench_and_their_keys_are_told(tmp_path):
    with h5py.File(tmp_path / "file.hdf5", "w") as file:
        file["speed"] = np.zeros(3)
    with pytest.raises(DataError, match=r"no 'tensor', 'density', 'velocity' or numbered groups: not PDEBench. Keys: speed"):
        read_pdebench(tmp_path / "file.hdf5")


def _well(path, **more):
    with h5py.File(path, "w") as file:
        file.attrs.update({"dataset_name": "waves", "grid_type": "cartesian", "n_spatial_dims": 2, "n_trajectories": 3} | more)
        dims = file.create_group("dimensions")
        dims.attrs["spatial_dims"] = ["x", "y"]
        dims["time"], dims["x"], dims["y"] = np.arange(4.0), np.arange(6.0), np.arange(5.0)
        scalars, vectors = file.create_group("t0_fields"), file.create_group("t1_fields")
        scalars.attrs["field_names"], vectors.attrs["field_names"] = ["pressure", "depth"], ["velocity"]
        scalars["pressure"], scalars["depth"], vectors["velocity"] = _draw(3, 4, 6, 5), _draw(6), _draw(3, 4, 6, 5, 2)
        flags = {"sample_varying": False, "time_varying": False, "dim_varying": [True, False]}
        scalars["depth"].attrs.update(flags)
        file.create_group("scalars").attrs["field_names"] = ["viscosity"]
        file["scalars/viscosity"] = 0.5


def test_fields_of_the_well_are_repeated_where_they_do_not_vary_and_vectors_are_split(tmp_path):
    _well(tmp_path / "waves.hdf5")
    found = read_well(tmp_path / "waves.hdf5", rows=slice(1, 3))
    assert found.fields == ("pressure", "depth", "velocity_x", "velocity_y")
    assert np.array_equal(found.u[:, 0], _draw(3, 4, 6, 5)[1:, 1:])
    assert np.array_equal(found.u[1, 1, 2, :, 3], _draw(6))
    assert np.array_equal(found.u0[:, 3], _draw(3, 4, 6, 5, 2)[1:, 0, ..., 1])
    assert found.parameters == ("viscosity",)


def test_three_dimensions_of_the_well_are_refused(tmp_path):
    _well(tmp_path / "waves.hdf5", n_spatial_dims=3)
    with pytest.raises(DataError, match=r"found 3 dimensions .* expected a cartesian grid of 1 or 2"):
        read_well(tmp_path / "waves.hdf5")


def test_gridded_data_without_xarray_say_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr("medidiff.io.pde.gridded.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="xarray is not installed, which this format needs"):
        read_xarray(tmp_path / "era5.nc", variables=("t2m",), frames=4)
