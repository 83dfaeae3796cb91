"""K-space in plain arrays: what is measured follows from the numbers, and real files give the anatomy that they should."""

import tarfile

import numpy as np
import pytest
import scipy.io

from medidiff.errors import DataError
from medidiff.io.kspace.arrays import read_kspace_array
from medidiff.io.kspace.sampling import calibration_lines
from medidiff.io.measurement import read_measurement, write_measurement


def image_of(measurement):
    inverse = np.fft.ifft2(np.fft.ifftshift(measurement.samples, axes=(-2, -1)), norm="ortho")
    return np.fft.fftshift(inverse, axes=(-2, -1))


def test_zero_in_every_coil_means_not_measured(tmp_path, transform, coil_images):
    mask = np.random.default_rng(1).random((64, 40)) < 0.3
    mask[28:36, 16:24] = True
    mask[40, 21] = mask[27, 20] = False
    kspace = transform(coil_images[0]) * mask
    np.save(tmp_path / "k.npy", kspace.astype(np.complex128))
    found = read_kspace_array(tmp_path / "k.npy", voxel_mm=(0.9, 1.1, 3.0))
    assert found.samples.shape == (1, 4, 64, 40) and np.array_equal(found.mask, mask)
    assert found.calibration_lines == 8 and found.grid.spacing_mm == pytest.approx((0.9, 1.1, 3.0))
    write_measurement(found, tmp_path / "m.h5")
    assert np.array_equal(read_measurement(tmp_path / "m.h5").samples, found.samples)


@pytest.mark.parametrize(
    "rows, columns, inside, width",
    [
        (8, 8, np.s_[2:6, 2:6], 4),
        (9, 7, np.s_[3:6, 2:5], 3),
        (8, 6, np.s_[:, :], 6),
        (5, 9, np.s_[:, 3:7], 3),
        (4, 9, np.s_[:], 9),
    ],
)
def test_calibration_is_the_largest_measured_middle(rows, columns, inside, width):
    mask = np.zeros((rows, columns), bool)
    mask[inside] = True
    mask[rows // 2, columns // 2] = True
    assert calibration_lines(mask) == width
    mask[rows // 2, columns // 2] = False
    assert calibration_lines(mask) == 0


def test_a_variable_of_a_matlab_file_is_found_or_named(tmp_path, transform, coil_images):
    kspace = transform(coil_images)
    scipy.io.savemat(tmp_path / "one.mat", {"kdata": kspace[0, 0], "x" * 3: "text"})
    assert np.allclose(read_kspace_array(tmp_path / "one.mat", variable="kdata").samples[0, 0], kspace[0, 0], atol=1e-6)
    scipy.io.savemat(tmp_path / "two.mat", {"a": kspace[0], "b": kspace})
    assert read_kspace_array(tmp_path / "two.mat", variable="b").samples.shape == (3, 4, 64, 40)
    with pytest.raises(DataError, match=r"two\.mat: variable: found a, b, expected one array"):
        read_kspace_array(tmp_path / "two.mat")
    with pytest.raises(DataError, match=r"variable: found a, b, expected c"):
        read_kspace_array(tmp_path / "two.mat", variable="c")


def test_other_arrays_are_refused(tmp_path):
    cases = {
        r"found float64 of shape \(4, 5\), expected complex \(row, column\)": np.ones((4, 5)),
        r"found complex128 of shape \(5,\)": np.ones(5, complex),
        r"found 1 of 20 values not finite": np.where(np.arange(20).reshape(4, 5) == 7, np.nan, 1j),
        r"found the largest sample in row 0, column 0 of 64 x 64": np.pad([[9 + 1j]], ((0, 63), (0, 63)), constant_values=1),
    }
    for number, (message, values) in enumerate(cases.items()):
        np.save(tmp_path / f"{number}.npy", values)
        with pytest.raises(DataError, match=message):
            read_kspace_array(tmp_path / f"{number}.npy")


def test_nothing_is_unpickled_and_false_sizes_are_refused(tmp_path):
    np.save(tmp_path / "object.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match=r"object\.npy: not readable as one NumPy array"):
        read_kspace_array(tmp_path / "object.npy")
    np.save(tmp_path / "a.npy", np.ones((10, 10), complex))
    claimed = (tmp_path / "a.npy").read_bytes().replace(b"(10, 10), }" + b" " * 10, b"(90000, 90000), }    ")
    (tmp_path / "b.npy").write_bytes(claimed)
    assert b"90000" in claimed
    with pytest.raises(DataError, match=r"b\.npy: not readable as one NumPy array"):
        read_kspace_array(tmp_path / "b.npy")
    scipy.io.savemat(tmp_path / "c.mat", {"k": np.zeros((300, 300), complex)}, do_compression=True)
    (tmp_path / "d.mat").write_bytes((tmp_path / "c.mat").read_bytes()[:200])
    with pytest.raises(DataError, match=r"d\.mat: k: found the shape \(300, 300\), 1 MB, expected at most 4 GB and 1100 times"):
        read_kspace_array(tmp_path / "d.mat")
    (tmp_path / "f.mat").write_bytes((tmp_path / "c.mat").read_bytes()[:120])
    with pytest.raises(DataError, match=r"f\.mat: not readable as a MATLAB file"):
        read_kspace_array(tmp_path / "f.mat")
    np.savez(tmp_path / "e.npy.npz", a=np.ones((2, 2), complex))
    (tmp_path / "e.npy.npz").rename(tmp_path / "e.npy")
    with pytest.raises(DataError, match=r"e\.npy: found an archive of arrays"):
        read_kspace_array(tmp_path / "e.npy")


@pytest.fixture(scope="module")
def real(mirror, tmp_path_factory):
    folder = tmp_path_factory.mktemp("kspace")
    with tarfile.open(mirror / "archives/kspace_sigpy_larson.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.mark.realdata
def test_a_real_knee_and_a_real_head_are_whole_and_show_tissue_in_the_middle(real):
    for name, shape in (("coronal_fatsat_2D_knee", (332, 640)), ("se_t1_sag_data", (256, 256))):
        found = read_kspace_array(real / "larson_singlecoil" / f"{name}.mat")
        assert found.samples.shape == (1, 1, *shape) and found.mask.mean() > 0.9999
        image = np.abs(image_of(found)[0, 0])
        middle = image[shape[0] // 4 : -shape[0] // 4, shape[1] // 4 : -shape[1] // 4].mean()
        corners = np.mean([image[rows, columns].mean() for rows in (np.s_[:20], np.s_[-20:]) for columns in (np.s_[:20],)])
        assert middle > 1.5 * corners


@pytest.mark.realdata
def test_a_real_brain_of_eight_coils_is_thinned_eightfold_around_a_measured_middle(real, tmp_path):
    found = read_kspace_array(real / "sigpy_brain8ch" / "cartesian_ksp.npy")
    assert found.samples.shape == (1, 8, 230, 180)
    assert 1 / found.mask.mean() == pytest.approx(8.04, abs=0.01)
    assert found.calibration_lines >= 20
    write_measurement(found, tmp_path / "m.h5")
    assert read_measurement(tmp_path / "m.h5").calibration_lines == found.calibration_lines
