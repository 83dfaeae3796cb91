"""K-space in NumPy files: the mask and the calibration width are found, other files are refused, pickles never read."""

import numpy as np
import pytest

from medidiff.errors import DataError
from medidiff.io.kspace.array_file import read_array


def thinned(rows=20, columns=17, centre=6):
    numbers = np.random.default_rng(1)
    mask = numbers.random((rows, columns)) < 0.2
    top, left = rows // 2 - centre // 2, columns // 2 - centre // 2
    mask[top : top + centre, left : left + centre] = True
    mask[top - 1, left] = mask[top, left + centre] = False
    samples = numbers.normal(size=(3, rows, columns)) + 1j * numbers.normal(size=(3, rows, columns))
    return (samples * mask).astype(np.complex64), mask


def test_what_was_measured_is_what_is_not_zero_in_some_coil(tmp_path):
    samples, mask = thinned()
    samples[0, *np.argwhere(mask)[0]] = 0
    np.save(tmp_path / "k.npy", samples)
    found = read_array(tmp_path / "k.npy")
    np.testing.assert_array_equal(found.samples[0], samples)
    np.testing.assert_array_equal(found.mask, mask)
    assert found.calibration_lines == 6 and found.noise_std is None and "unknown" in found.provenance["spacing"]


def test_a_stack_of_slices_keeps_its_slices(tmp_path):
    samples, _ = thinned()
    np.save(tmp_path / "k.npy", np.stack([samples, 2 * samples]))
    assert read_array(tmp_path / "k.npy").grid.shape == (17, 20, 2)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (np.ones((4, 5), np.complex64), r"found complex64 of shape \(4, 5\), expected complex \(coil, row, column\)"),
        (np.ones((2, 4, 5)), r"found float64 of shape \(2, 4, 5\)"),
        (np.array([{"a": 1}], dtype=object), r"not readable as a NumPy array of numbers"),
    ],
)
def test_another_file_is_refused(content, message, tmp_path):
    np.save(tmp_path / "k.npy", content)
    with pytest.raises(DataError, match=rf"^k.npy: {message}"):
        read_array(tmp_path / "k.npy")


@pytest.mark.realdata
def test_the_real_brain_of_eight_channels_is_thinned_eightfold_around_a_full_centre(mirror, tmp_path):
    import tarfile

    name = "sigpy_brain8ch/cartesian_ksp.npy"
    with tarfile.open(mirror / "archives" / "kspace_sigpy_larson.tar.xz") as archive:
        archive.extract(name, tmp_path, filter="data")
    found = read_array(tmp_path / name)
    assert found.samples.shape == (1, 8, 230, 180) and found.calibration_lines == 24
    assert found.mask.mean() == pytest.approx(1 / 8, rel=0.01)
