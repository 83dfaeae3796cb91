"""O9: a ramp in patient millimetres comes back at every voxel, whatever the orientation and the order of the files."""

import numpy as np
import pytest
import SimpleITK
from scipy.ndimage import map_coordinates

from medidiff.io.dicom.geometry import is_sheared, tilt_degrees
from medidiff.io.dicom.series import read_series, series_grid

ORIENTATIONS = {
    "axial": np.eye(3),
    "oblique": None,
    "coronal": np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]),
    "sagittal": np.array([[0.0, 0, -1], [1, 0, 0], [0, -1, 0]]),
    "feet_first": np.diag([-1.0, 1, -1]),
    "prone": np.diag([-1.0, -1, 1]),
}


def of_orientation(stack, turned, name, **changes):
    axes = turned(24, -31, 40) if ORIENTATIONS[name] is None else ORIENTATIONS[name]
    return stack(axes=axes, **changes)


@pytest.mark.parametrize("modality", ["CT", "PT", "MR"])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_affine_and_values_are_those_that_made_the_series(stack, turned, save, series_in, tmp_path, orientation, modality):
    truth = of_orientation(stack, turned, orientation, modality=modality)
    save(tmp_path, truth.headers())

    (series,) = series_in(tmp_path)
    volume = read_series(series)

    assert series.usable, series.reason
    assert volume.array.shape == truth.shape and volume.array.dtype == np.float32
    np.testing.assert_allclose(volume.affine, truth.ras(), atol=1e-4)
    half_a_unit = truth.slopes() / 2 + 1e-5
    assert np.all(np.abs(volume.array - truth.values()) <= half_a_unit)
    assert np.array_equal(series_grid(series).affine, volume.affine)


def test_ramp_is_right_at_any_point_inside(stack, save, series_in, tmp_path):
    truth = stack(slope=0.001, gradient=(0.11, -0.13, 0.07), offset=3.0)
    save(tmp_path, truth.headers())

    volume = read_series(series_in(tmp_path)[0])

    index = np.random.default_rng(3).uniform(0, np.array(truth.shape) - 1, size=(200, 3))
    found = map_coordinates(volume.array.astype(float), index.T, order=1)
    ras = volume.grid.positions(index)
    expected = ras * [-1, -1, 1] @ truth.gradient + truth.offset
    assert np.abs(found - expected).max() <= 1e-3


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_voxel_positions_agree_with_those_of_simpleitk(stack, turned, save, series_in, tmp_path, orientation):
    truth = of_orientation(stack, turned, orientation)
    save(tmp_path, truth.headers())
    volume = read_series(series_in(tmp_path)[0])

    image = SimpleITK.ReadImage(SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(tmp_path)))

    from_lps = np.linalg.inv(volume.affine)
    for corner in np.ndindex(2, 2, 2):
        index = [int(c * (n - 1)) for c, n in zip(corner, truth.shape)]
        x, y, z = image.TransformIndexToPhysicalPoint(index)
        ours = from_lps @ [-x, -y, z, 1]
        assert np.abs(ours[:3] - np.round(ours[:3])).max() < 1e-3
        assert image[tuple(index)] == pytest.approx(volume.array[tuple(np.round(ours[:3]).astype(int))], abs=1e-3)


def test_file_names_and_instance_numbers_do_not_matter(stack, save, series_in, tmp_path):
    truth = stack()
    first = read_series(series_in(save(tmp_path / "a", truth.headers(), seed=1))[0])
    headers = truth.headers()
    for number, header in zip(np.random.default_rng(5).permutation(len(headers)), headers):
        header.InstanceNumber = int(number)
    second = read_series(series_in(save(tmp_path / "b", headers, seed=2))[0])

    assert np.array_equal(first.array, second.array) and np.array_equal(first.affine, second.affine)


@pytest.mark.parametrize("lean_mm", [0.02, -0.3, 0.7])
def test_gantry_tilt_is_refused_with_its_angle_and_keeps_the_sheared_affine(stack, save, series_in, tmp_path, lean_mm):
    truth = stack(lean=(0.0, lean_mm))
    save(tmp_path, truth.headers())

    (series,) = series_in(tmp_path)

    angle = np.degrees(np.arctan(abs(lean_mm) / truth.spacing[2]))
    assert not series.usable and series.is_tilted
    assert f"gantry tilt of {angle:.2f} degrees" in series.reason and "convert.allow_tilt" in series.reason
    assert is_sheared(truth.ras()) and tilt_degrees(truth.ras()) == pytest.approx(angle, abs=1e-6)


def test_rounding_of_cosines_is_not_taken_for_a_tilt(stack, save, series_in, tmp_path):
    headers = stack().headers()
    for header in headers:
        header.ImageOrientationPatient = [f"{float(cosine):.6f}" for cosine in header.ImageOrientationPatient]
        header.ImagePositionPatient = [f"{float(x):.4f}" for x in header.ImagePositionPatient]
    save(tmp_path, headers)

    (series,) = series_in(tmp_path)

    assert series.usable, series.reason
    np.testing.assert_allclose(read_series(series).affine, stack().ras(), atol=2e-4)
