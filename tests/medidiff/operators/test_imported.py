import numpy as np
import pytest

from medidiff.errors import DataError
from medidiff.io.pde.trajectories import TrajectorySet, read_trajectories
from medidiff.operators import imported
from medidiff.operators.generate import generate_split
from medidiff.operators.systems import SystemSettings

AIR = SystemSettings(
    system="era5",
    source="air.nc",
    variables=("t2m",),
    cells=8,
    cells_y=4,
    frames=2,
    solver_cells=8,
    solver_frames=2,
    duration_s=43200.0,
)


@pytest.fixture
def air(monkeypatch):
    """Twenty trajectories of 16 longitudes and 9 latitudes, as a reader of gridded files gives them."""
    values = np.random.default_rng(0).normal(280, 10, (20, 1, 3, 16, 9)).astype(np.float32)
    space = (np.arange(16) * 22.5, np.linspace(-90, 90, 9))
    units = {"t2m": "K", "t": "s", "x": "degree", "y": "degree"}
    times = 21600.0 * np.arange(1, 3)
    found = TrajectorySet(values[:, :, 1:], values[:, :, 0], times, space, ("t2m",), units=units, facts={"source": "xarray"})
    asked = []
    monkeypatch.setattr(imported, "read_xarray", lambda path, **named: asked.append((path, named)) or found)
    return found, asked


def test_a_file_is_cut_by_time_into_splits_and_averaged_over_blocks_of_equal_shape(air, tmp_path):
    found, asked = air
    made = generate_split(AIR, "test", tmp_path / "test.h5", count=2)
    assert asked == [("air.nc", {"variables": ("t2m",), "frames": 2, "level": None})]
    blocks = found.u[18:, :, :, :, :8].reshape(2, 1, 2, 8, 2, 4, 2).mean((4, 6))
    assert made.u.shape == (2, 1, 2, 8, 4) and np.allclose(made.u, blocks, rtol=1e-6)
    assert np.allclose(made.space[0], 22.5 * (2 * np.arange(8) + 0.5)) and len(made.space[1]) == 4
    train = generate_split(AIR, "train", tmp_path / "train.h5", count=14)
    assert np.allclose(train.u0[0, 0, 0, 0], found.u0[0, 0, :2, :2].mean(), rtol=1e-6)
    assert read_trajectories(tmp_path / "test.h5").facts["settings"] == AIR.model_dump(mode="json")


def test_files_that_do_not_fit_the_settings_are_refused(air, tmp_path):
    change = lambda **changes: AIR.model_copy(update=changes)
    path = tmp_path / "x.h5"
    with pytest.raises(DataError, match="2 frames take 43200 s, found duration_s 100"):
        generate_split(change(duration_s=100.0), "test", path, count=1)
    with pytest.raises(DataError, match="validation has 2 of its 20 trajectories, expected 5"):
        generate_split(AIR, "validation", path, count=5)
    with pytest.raises(DataError, match=r"found \(16, 9\) places, expected a multiple of 6"):
        generate_split(change(cells=6), "test", path, count=1)
    assert not path.exists()


def test_only_a_reanalysis_has_a_file_and_it_needs_one():
    with pytest.raises(ValueError, match="era5 needs both"):
        SystemSettings(system="era5")
    with pytest.raises(ValueError, match="the others have none"):
        SystemSettings(system="burgers", source="air.nc", variables=("t2m",))
