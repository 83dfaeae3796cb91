"""fastMRI files become measurements whose images are those of the challenge."""

import h5py
import numpy as np
import pytest

from medidiff.errors import DataError
from medidiff.io.kspace.fastmri import middle_of, read_fastmri, read_fastmri_reference
from medidiff.io.kspace.sampling import with_columns
from medidiff.io.measurement import read_measurement, write_measurement


def write(path, header, kspace, **more):
    with h5py.File(path, "w") as file:
        file["kspace"] = kspace.astype(np.complex64)
        file.create_dataset("ismrmrd_header", data=header, dtype=h5py.string_dtype())
        for name, values in more.items():
            file[name] = values
        file.attrs["acquisition"], file.attrs["patient_id"] = "CORPDFS_FBK", "CANARY"
    return path


def combined(images):
    return np.sqrt((np.abs(images) ** 2).sum(axis=1))


def image_of(measurement):
    inverse = np.fft.ifft2(np.fft.ifftshift(measurement.samples, axes=(-2, -1)), norm="ortho")
    return np.fft.fftshift(inverse, axes=(-2, -1))


@pytest.fixture
def knee(tmp_path, header, transform, coil_images):
    reference = combined(coil_images)[:, 16:48, 5:35].astype(np.float32)
    return write(tmp_path / "file1000001.h5", header(), transform(coil_images), reconstruction_rss=reference)


def test_the_image_is_that_of_the_file_without_the_oversampled_readout(knee, coil_images):
    found = read_fastmri(knee)
    assert found.samples.shape == (3, 4, 32, 40) and found.mask.all()
    assert np.abs(image_of(found) - coil_images[:, :, 16:48]).max() < 1e-5
    assert found.calibration_lines == 40 and found.noise_std is None
    assert "CANARY" not in repr(found.provenance)


def test_the_reference_is_the_middle_of_the_image_on_its_own_grid(knee):
    found, reference = read_fastmri(knee), read_fastmri_reference(knee)
    ours = found.grid
    image = combined(image_of(found)).transpose(2, 1, 0)
    from medidiff.io.volume import Volume

    cropped = middle_of(Volume(image, ours.affine), 30, 32)
    assert np.abs(cropped.array - reference.array).max() < 1e-5
    assert cropped.grid.agrees_with(reference.grid)
    assert reference.grid.spacing_mm == pytest.approx((3.0, 2.5, 4.5))


def test_the_crop_of_odd_and_smaller_images_keeps_every_voxel_in_its_place():
    from medidiff.io.volume import Volume

    affine = np.array([[1.2, 0.3, 0, 5], [-0.4, 0.9, 0, 6], [0, 0, 3, 7], [0, 0, 0, 1.0]])
    values = np.random.default_rng(0).random((9, 6, 2))
    cropped = middle_of(Volume(values, affine), 4, 320)
    assert cropped.array.shape == (4, 6, 2) and np.array_equal(cropped.array, values[2:6])
    assert np.allclose(
        cropped.grid.positions(np.array([[0, 0, 0]])), Volume(values, affine).grid.positions(np.array([[2, 0, 0]]))
    )


def test_one_coil_and_a_file_of_the_test_part_have_mask_and_no_reference(tmp_path, header, transform, coil_images):
    mask = np.zeros(40, dtype=np.uint8)
    mask[[2, 6, 18, 19, 20, 21, 22, 30]] = 1
    path = write(tmp_path / "t.h5", header(), transform(coil_images[:, 0]) * mask, mask=mask)
    found = read_fastmri(path)
    assert found.samples.shape == (3, 1, 32, 40)
    assert np.array_equal(found.mask, np.tile(mask.astype(bool), (32, 1)))
    assert found.calibration_lines == 5
    assert read_fastmri_reference(path) is None
    write_measurement(found, tmp_path / "m.h5")
    assert np.array_equal(read_measurement(tmp_path / "m.h5").samples, found.samples)


def test_columns_of_the_padding_are_not_measured(tmp_path, header, transform, coil_images):
    kspace = transform(coil_images)
    kspace[..., :6] = kspace[..., 36:] = 0
    found = read_fastmri(write(tmp_path / "p.h5", header(centre=14, last=29), kspace, mask=np.ones(40, bool)))
    assert np.flatnonzero(found.mask[0]).tolist() == list(range(6, 36))
    assert found.calibration_lines == 29  # columns 6 to 34: a middle of 30 would begin at column 5


def test_a_brain_without_oversampling_stays_whole(tmp_path, header, transform, coil_images):
    path = write(tmp_path / "b.h5", header(recon_fov_x=160.0, recon_x=64), transform(coil_images[:, :2]))
    found = read_fastmri(path)
    assert found.samples.shape == (3, 2, 64, 40)
    assert np.abs(image_of(found) - coil_images[:, :2]).max() < 1e-5


def test_full_data_can_be_thinned_afterwards(knee):
    found = read_fastmri(knee)
    keep = np.arange(40) % 4 == 0
    keep[17:23] = True
    thinned = with_columns(found, keep)
    assert np.array_equal(thinned.mask[0], keep) and thinned.calibration_lines == 6
    assert np.array_equal(thinned.samples[..., keep], found.samples[..., keep]) and not thinned.samples[..., ~keep].any()
    with pytest.raises(DataError, match=r"columns: found 39 of 39 to keep, expected some of 40"):
        with_columns(found, np.ones(39, bool))


ENTITY = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "x"><!ENTITY c "&b;&b;&b;">]><ismrmrdHeader>&c;</ismrmrdHeader>'


@pytest.mark.parametrize(
    "text, message",
    [
        (ENTITY, r"k\.h5: header: found a document type declaration, expected none"),
        ("<a><b></a>", r"header: found XML that cannot be read .*expected ISMRMRD"),
        ("<a>" + "x" * (4 << 20) + "</a>", r"header: found 4194311 bytes of XML, expected at most 4194304"),
        ("<ismrmrdHeader/>", r"encodedSpace/matrixSize/x: found '', expected a finite number"),
    ],
)
def test_a_header_that_is_no_plain_ismrmrd_is_refused(tmp_path, transform, coil_images, text, message):
    path = write(tmp_path / "k.h5", text, transform(coil_images))
    with pytest.raises(DataError, match=message):
        read_fastmri(path)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"x": 70}, r"kspace: found 64 rows, expected 70 rows of the readout"),
        ({"y": "many"}, r"matrixSize/y: found 'many', expected a finite number"),
        ({"x": 10**9}, r"matrixSize: found \(1000000000, 40, 1\) and .* expected 1 to 16384"),
        ({"fov_x": -1.0}, r"encodedSpace/fieldOfView_mm: found \(-1\.0, 120\.0, 4\.5\), expected positive"),
        ({"trajectory": "spiral"}, r"trajectory: found 'spiral', expected cartesian"),
    ],
)
def test_a_header_that_does_not_fit_is_refused(tmp_path, header, transform, coil_images, changes, message):
    with pytest.raises(DataError, match=message):
        read_fastmri(write(tmp_path / "k.h5", header(**changes), transform(coil_images)))


def test_bad_samples_masks_and_files_are_refused(tmp_path, header, transform, coil_images):
    kspace = transform(coil_images)
    kspace[1, 2, 3, 4] = np.nan
    with pytest.raises(DataError, match=r"kspace: found 1 of 30720 values not finite"):
        read_fastmri(write(tmp_path / "a.h5", header(), kspace))
    with pytest.raises(DataError, match=r"mask: found 40 values from 0 to 2, expected 40 of 0 and 1"):
        read_fastmri(write(tmp_path / "b.h5", header(), transform(coil_images), mask=np.full(40, 2) * (np.arange(40) > 3)))
    with pytest.raises(DataError, match=r"kspace: found no column that was measured"):
        read_fastmri(write(tmp_path / "c.h5", header(), 0 * transform(coil_images)))
    with h5py.File(tmp_path / "d.h5", "w") as file:
        file["kspace"] = np.zeros((3, 4, 64, 40), np.float32)
    with pytest.raises(DataError, match=r"d\.h5: kspace: found float32, expected complex values"):
        read_fastmri(tmp_path / "d.h5")
    with h5py.File(tmp_path / "e.h5", "w") as file:
        file.create_dataset("kspace", (64, 32, 640, 368), "c8", chunks=(1, 1, 640, 368))
    with pytest.raises(
        DataError, match=r"kspace: found the shape \(64, 32, 640, 368\), 3859 MB, of which the file holds 0\.0 MB"
    ):
        read_fastmri(tmp_path / "e.h5")
    (tmp_path / "f.h5").write_bytes((tmp_path / "a.h5").read_bytes()[:9000])
    with pytest.raises(DataError, match=r"f\.h5: not readable as HDF5"):
        read_fastmri(tmp_path / "f.h5")


def test_a_reference_larger_than_its_measurement_is_refused(tmp_path, header, transform, coil_images):
    path = write(tmp_path / "r.h5", header(), transform(coil_images), reconstruction_rss=np.ones((3, 32, 50), np.float32))
    with pytest.raises(DataError, match=r"reconstruction_rss: found 32 x 50 pixels, expected at most 64 x 40"):
        read_fastmri_reference(path)
