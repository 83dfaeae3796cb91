import highdicom
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from scipy.spatial.transform import Rotation

from medidiff.errors import DataError
from medidiff.io.volume import Grid
from medidiff.phantoms.identity import make_uid
from medidiff.phantoms.planes import planes_of
from medidiff.phantoms.storage import store_activity, store_hounsfield

SPACING = np.array([1.234567890123, 2.345678901234, 3.456789012345])
TURN = Rotation.from_euler("xyz", [17, -23, 31], degrees=True).as_matrix()


LEANING = TURN * SPACING @ np.array([[1, 0, 0.1], [0, 1, 0.4], [0, 0, 1]])


@pytest.mark.parametrize("columns", [TURN * SPACING, LEANING], ids=["oblique", "oblique and leaning"])
@pytest.mark.parametrize("modality", ["CT", "PT"])
def test_affine_and_values_come_back_through_pydicom_alone(tmp_path, ramp_series, read_plainly, columns, modality):
    volume, series = ramp_series(tmp_path, columns, modality=modality)
    plain = read_plainly(tmp_path)
    assert np.abs(Grid(volume.array.shape, plain.affine).corners() - volume.grid.corners()).max() <= 1e-8
    assert (np.abs(plain.values - volume.array) <= np.array(series.half_units) * (1 + 1e-9)).all()
    for header in plain.headers:
        for name in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RescaleSlope"):
            values = header.get(name)
            assert all(len(str(v.original_string)) <= 16 for v in (values if np.ndim(values) else [values])), name


def test_simpleitk_reads_the_same_place_and_values(tmp_path, ramp_series):
    volume, _ = ramp_series(tmp_path, TURN * SPACING)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(tmp_path)))
    image = reader.Execute()
    assert (np.abs(sitk.GetArrayFromImage(image).T - volume.array) <= 0.5).all()
    for index in [(0, 0, 0), (13, 0, 8), (5, 10, 3)]:
        expected = np.diag([-1, -1, 1, 1]) @ volume.affine @ [*index, 1]
        np.testing.assert_allclose(image.TransformIndexToPhysicalPoint(index), expected[:3], atol=1e-4)


@pytest.mark.parametrize("modality", ["CT", "PT"])
def test_highdicom_reads_the_same_place_and_values(tmp_path, ramp_series, modality):
    volume, series = ramp_series(tmp_path, TURN * SPACING, modality=modality)
    read = highdicom.get_volume_from_series([pydicom.dcmread(path) for path in tmp_path.iterdir()])
    # highdicom's axes are slice, row, column, and its affine leads to LPS
    ours = np.array(volume.array.shape)[::-1] - 1
    corners = np.stack(np.meshgrid(*[[0, 1]] * 3, indexing="ij"), -1).reshape(-1, 3) * ours
    places = corners @ read.affine[:3, :3].T + read.affine[:3, 3]
    index = (places * [-1, -1, 1] - volume.affine[:3, 3]) @ np.linalg.inv(volume.affine[:3, :3]).T
    np.testing.assert_allclose(index, np.round(index), atol=1e-6)
    values = volume.array[tuple(np.round(index).astype(int).T)]
    assert np.abs(read.array[tuple(corners.T)] - values).max() <= max(series.half_units) * (1 + 1e-9)


def test_neither_file_names_nor_instance_numbers_follow_the_position(tmp_path, ramp_series, read_plainly):
    _, series = ramp_series(tmp_path, TURN * SPACING)
    numbers = [int(header.InstanceNumber) for header in read_plainly(tmp_path).headers]
    names = [path.name for path in series.files]
    assert sorted(numbers) == list(range(1, 10)) and numbers not in (sorted(numbers), sorted(numbers)[::-1])
    assert names != sorted(names) and names != sorted(names)[::-1]


def test_a_pixel_that_is_no_rectangle_is_refused():
    affine = np.eye(4)
    affine[:3, :3] = TURN * SPACING @ np.array([[1, 0.2, 0], [0, 1, 0], [0, 0, 1]])
    with pytest.raises(DataError, match=r"meet at .* degrees, expected 90. Resample"):
        planes_of(Grid((4, 4, 4), affine))


def test_activity_uses_all_integers_of_each_slice_and_loses_half_a_slope():
    array = np.random.default_rng(1).uniform(0, 1, (7, 6, 5)) * 10.0 ** np.arange(-2, 3)
    array[:, :, 3] = 0
    stored = store_activity(array)
    slopes = np.array([float(s) for s in stored.slopes])
    assert len(set(stored.slopes)) == 5 and (stored.integers[..., [0, 1, 2, 4]].max(axis=(0, 1)) >= 32766).all()
    assert (np.abs(stored.integers * slopes - array) <= slopes / 2 * (1 + 1e-12)).all()


@pytest.mark.parametrize(
    ("store", "value", "message"),
    [
        (store_hounsfield, -1025.0, "values run from -1025"),
        (store_hounsfield, 40000.0, "to 40000 HU"),
        (store_hounsfield, np.nan, "1 HU values are not finite"),
        (store_activity, -0.1, "smallest value is -0.1"),
        (store_activity, np.inf, "not finite"),
    ],
)
def test_values_that_cannot_be_stored_are_refused(store, value, message):
    array = np.zeros((2, 3, 4))
    array[1, 2, 3] = value
    with pytest.raises(DataError, match=message):
        store(array)


def test_uids_depend_on_their_parts_alone():
    assert make_uid("a", 1) == make_uid("a", 1) != make_uid("a", 2)
    assert make_uid("a", 1).is_valid and len(make_uid("a", 1)) <= 64
