"""A tilted stack, once allowed, lands on a right-angled grid at the right places."""

import numpy as np
import pytest

from medidiff.errors import DataError
from medidiff.io.dicom.geometry import is_sheared
from medidiff.io.dicom.selection import find_petct
from medidiff.io.dicom.series import read_series
from medidiff.io.dicom.tilt import accept_tilt, upright, upright_grid
from medidiff.io.volume import Grid


@pytest.fixture
def tilted(stack, save, series_in, tmp_path):
    """A function that writes a leaning stack and gives what made it, with the series as it is found."""

    def make(lean):
        truth = stack(lean=lean, slope=0.001, gradient=(0.11, -0.13, 0.07), offset=3.0)
        save(tmp_path, truth.headers())
        return truth, series_in(tmp_path)[0]

    return make


@pytest.mark.parametrize("lean", [(0.0, 0.9), (0.0, -0.7), (0.4, 0.3), (-0.5, 0.2)])
def test_sheared_affine_is_exact_and_the_upright_volume_holds_the_ramp(tilted, lean):
    truth, series = tilted(lean)

    sheared = read_series(accept_tilt(series))
    straight = upright(sheared, fill=-1024)

    np.testing.assert_allclose(sheared.affine, truth.ras(), atol=1e-4)
    assert not is_sheared(straight.affine)
    points = straight.grid.positions(np.stack(np.indices(straight.array.shape), -1).reshape(-1, 3))
    source = np.c_[points, np.ones(len(points))] @ np.linalg.inv(truth.ras())[:3].T
    last = np.array(truth.shape) - 1
    inside = np.all((source > -1e-6) & (source < last + 1e-6), axis=1)
    outside = np.any((source < -0.51) | (source > last + 0.51), axis=1)
    expected = points * [-1, -1, 1] @ truth.gradient + truth.offset
    assert inside.sum() > 0.7 * np.prod(truth.shape) and outside.any()
    assert np.abs(straight.array.ravel() - expected)[inside].max() <= 1e-3
    assert np.all(straight.array.ravel()[outside] == -1024)


def test_upright_grid_holds_every_voxel_of_the_tilted_one(stack):
    sheared = stack(lean=(0.4, -0.9))
    grid = Grid(sheared.shape, sheared.ras())
    straight = upright_grid(grid)

    index = np.stack(np.indices(sheared.shape), -1).reshape(-1, 3)
    there = np.c_[grid.positions(index), np.ones(len(index))] @ np.linalg.inv(straight.affine)[:3].T
    assert there.min() > -1e-9 and np.all(there.max(axis=0) < np.array(straight.shape) - 1 + 1e-9)
    np.testing.assert_allclose(there[:, 2], index[:, 2], atol=1e-9)
    cosines = straight.affine[:3, :3] / straight.spacing_mm
    np.testing.assert_allclose(cosines.T @ cosines, np.eye(3), atol=1e-12)


def test_right_angled_volume_is_left_alone(stack, save, series_in, tmp_path):
    save(tmp_path, stack().headers())
    (series,) = series_in(tmp_path)
    volume = read_series(accept_tilt(series))
    assert accept_tilt(series) is series and upright(volume, fill=0) is volume


def test_tilted_ct_of_a_pet_is_found_only_when_allowed(stack, save, tmp_path):
    pet = stack(modality="PT", series="2", gradient=(0.02, 0.03, 0.01), spacing=(4.1, 3.9, 3.3))
    ct = stack(series="1", spacing=(2.0, 1.9, 3.1), shape=(16, 14, 14), lean=(0.0, 0.5))
    save(tmp_path / "PET", pet.headers())
    save(tmp_path / "CT", ct.headers())

    with pytest.raises(DataError, match=r"gantry tilt of 9\.16 degrees.*convert\.allow_tilt"):
        find_petct(tmp_path)
    found = find_petct(tmp_path, allow_tilt=True)
    assert found.ct.usable and any("tilt" in note for note in found.notes)
