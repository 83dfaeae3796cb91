"""ISMRMRD files, written with the package of the format, become measurements at the right place with the right noise."""

import h5py
import ismrmrd
import numpy as np
import pytest

from medidiff.errors import DataError
from medidiff.io.kspace.ismrmrd_file import read_ismrmrd
from medidiff.io.measurement import read_measurement, write_measurement

TURN = np.array([[0.36, 0.48, -0.8], [-0.8, 0.6, 0.0], [0.48, 0.64, 0.6]])  # columns: read, phase, slice, LPS
FIRST = np.array([12.0, -30.0, 55.0])  # middle of the lowest slice, LPS mm
GAP = 6.0


def line(data, *, step=0, k=0, flags=(), centre=None, us=5.0, middle=None, turn=TURN, **more):
    one = ismrmrd.Acquisition()
    one.resize(data.shape[1], data.shape[0])
    one.data[:] = data
    one.center_sample = data.shape[1] // 2 if centre is None else centre
    one.sample_time_us = us
    one.read_dir[:], one.phase_dir[:], one.slice_dir[:] = turn.T
    one.position[:] = FIRST + k * GAP * turn[:, 2] if middle is None else middle
    one.idx.kspace_encode_step_1, one.idx.slice = step, (k + 1) % 3  # numbers of slices that are not their order
    for flag in flags:
        one.setFlag(flag)
    for name, value in more.items():
        setattr(one.idx if hasattr(one.idx, name) else one, name, value)
    return one


def write(path, header, lines):
    with ismrmrd.Dataset(path, mode="w") as file:
        file.write_xml_header(header.encode())
        for one in lines:
            file.append_acquisition(one)
    return path


def every_line(kspace, *, steps=range(40), **more):
    order = np.random.default_rng(3).permutation(len(kspace) * len(steps))
    every = [(k, step) for k in range(len(kspace)) for step in steps]
    return [line(kspace[k, :, :, step], step=step, k=k, **more) for k, step in (every[n] for n in order)]


def image_of(measurement):
    inverse = np.fft.ifft2(np.fft.ifftshift(measurement.samples, axes=(-2, -1)), norm="ortho")
    return np.fft.fftshift(inverse, axes=(-2, -1))


def test_lines_in_any_order_become_the_image_without_oversampling(tmp_path, header, transform, coil_images):
    (found,) = read_ismrmrd(write(tmp_path / "a.h5", header(), every_line(transform(coil_images))))
    assert found.samples.shape == (3, 4, 32, 40) and found.mask.all() and found.noise_std is None
    assert np.abs(image_of(found) - coil_images[:, :, 16:48]).max() < 1e-5
    write_measurement(found, tmp_path / "m.h5")
    assert np.array_equal(read_measurement(tmp_path / "m.h5").samples, found.samples)


def test_voxels_lie_where_the_scanner_measured_them(tmp_path, header, transform, coil_images):
    (found,) = read_ismrmrd(write(tmp_path / "a.h5", header(), every_line(transform(coil_images))))
    column, row, k = 7, 11, 2
    along = (row - 16) * 2.5 * TURN[:, 0] + (column - 20) * 3.0 * TURN[:, 1]
    expected = (FIRST + k * GAP * TURN[:, 2] + along) * (-1, -1, 1)
    assert found.grid.positions(np.array([[column, row, k]]))[0] == pytest.approx(expected, abs=1e-4)


def test_thinned_lines_go_to_their_columns_and_the_rest_is_not_measured(tmp_path, header, transform, coil_images):
    kspace, steps = transform(coil_images), [0, 3, 12, 13, 14, 15, 16, 20]
    shifted = header(centre=14, last=29)
    lines = [line(kspace[k, :, :, step + 6], step=step, k=k) for k in range(3) for step in steps]
    (found,) = read_ismrmrd(write(tmp_path / "a.h5", shifted, lines))
    assert np.flatnonzero(found.mask[0]).tolist() == [step + 6 for step in steps]
    assert found.calibration_lines == 5
    (whole,) = read_ismrmrd(write(tmp_path / "b.h5", header(), every_line(kspace)))
    assert np.allclose(found.samples, np.where(found.mask, whole.samples, 0), atol=1e-6)


def test_a_partial_echo_keeps_its_grid_and_says_what_was_not_measured(tmp_path, header, transform, coil_images):
    kspace = transform(coil_images)
    lines = [line(kspace[k, :, 20:, step], step=step, k=k, centre=12) for k in range(3) for step in range(40)]
    (found,) = read_ismrmrd(write(tmp_path / "a.h5", header(), lines))
    assert found.samples.shape == (3, 4, 64, 40) and found.provenance["partial_echo"]
    assert not found.mask[:20].any() and found.mask[20:].all()
    assert np.allclose(found.samples[:, :, 20:], kspace[:, :, 20:], atol=1e-6)


def test_samples_to_discard_are_left_out(tmp_path, header, transform, coil_images):
    kspace = transform(coil_images)
    wide = np.pad(kspace, ((0, 0), (0, 0), (3, 5), (0, 0)), constant_values=99)
    lines = [line(wide[k, :, :, s], step=s, k=k, centre=35, discard_pre=3, discard_post=5) for k in range(3) for s in range(40)]
    (found,) = read_ismrmrd(write(tmp_path / "a.h5", header(), lines))
    assert np.abs(image_of(found) - coil_images[:, :, 16:48]).max() < 1e-5


def noise(count, mix, *, scale, seed):
    random = np.random.default_rng(seed)
    return scale * mix @ (random.normal(size=(4, count)) + 1j * random.normal(size=(4, count)))


def test_coils_are_whitened_by_the_noise_scan_and_its_bandwidth(tmp_path, header):
    random = np.random.default_rng(5)
    mix = np.eye(4) + 0.4 * (random.normal(size=(4, 4)) + 1j * random.normal(size=(4, 4)))
    scans = [line(noise(512, mix, scale=1.0, seed=n), flags=[ismrmrd.ACQ_IS_NOISE_MEASUREMENT], us=2.0) for n in range(60)]
    # images are sampled four times as slowly as the noise, through 0.8 of the noise's band
    scale = np.sqrt(2.0 / 8.0 / 0.8)
    lines = [line(noise(64, mix, scale=scale, seed=100 + n), step=n % 40, k=n // 40, us=8.0) for n in range(120)]
    (found,) = read_ismrmrd(write(tmp_path / "a.h5", header(bandwidth=0.8), scans + lines))
    assert found.noise_std == 1 and found.provenance["whitened"]
    coils = found.samples.transpose(1, 0, 2, 3).reshape(4, -1)
    covariance = coils @ coils.conj().T / coils.shape[1] / 2
    assert np.abs(covariance - np.eye(4)).max() < 0.06  # 3840 samples: 0.016 times four


def test_averages_are_averaged_and_their_noise_falls(tmp_path, header, transform, coil_images):
    kspace = transform(coil_images)
    scan = [line(noise(256, np.eye(4), scale=0.1, seed=n), flags=[ismrmrd.ACQ_IS_NOISE_MEASUREMENT]) for n in range(20)]
    lines = [one for a in range(4) for one in every_line(kspace[:1] * (1 + 0.1 * (a - 1.5)), average=a)]
    (found,) = read_ismrmrd(write(tmp_path / "a.h5", header(), scan + lines))
    assert found.noise_std == pytest.approx(0.5)
    whitened = image_of(found)
    assert np.abs(whitened).max() == pytest.approx(np.abs(coil_images[0]).max() / 0.1, rel=0.05)


def test_navigators_and_separate_calibration_are_left_out_and_embedded_one_kept(tmp_path, header, transform, coil_images):
    kspace = transform(coil_images)
    wrong = np.full((4, 64), 50.0)
    others = [line(wrong, step=5, flags=[flag]) for flag in (ismrmrd.ACQ_IS_NAVIGATION_DATA, ismrmrd.ACQ_IS_PHASECORR_DATA)]
    others += [line(wrong, step=5, encoding_space_ref=1), line(np.full((2, 16), 9.0), flags=[ismrmrd.ACQ_IS_DUMMYSCAN_DATA])]
    (found,) = read_ismrmrd(write(tmp_path / "a.h5", header(), others + every_line(kspace)))
    assert np.abs(image_of(found) - coil_images[:, :, 16:48]).max() < 1e-5
    regular = every_line(kspace, steps=range(0, 40, 2))
    calibration = every_line(kspace, steps=[17, 19, 21], flags=[ismrmrd.ACQ_IS_PARALLEL_CALIBRATION])
    for mode, columns in (("embedded", 23), ("separate", 20)):
        (found,) = read_ismrmrd(write(tmp_path / f"{mode}.h5", header(calibration=mode), regular + calibration))
        assert found.mask[0].sum() == columns


def test_contrasts_and_repetitions_are_measurements_of_their_own(tmp_path, header, transform, coil_images):
    kspace = transform(coil_images)
    lines = [
        one for n in range(2) for e in range(2) for one in every_line((1 + n + 10 * e) * kspace[:1], repetition=n, contrast=e)
    ]
    found = read_ismrmrd(write(tmp_path / "a.h5", header(), lines))
    assert [(each.provenance["contrast"], each.provenance["repetition"]) for each in found] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    strongest = [np.abs(each.samples).max() for each in found]
    assert np.array(strongest) / strongest[0] == pytest.approx([1, 2, 11, 12], rel=1e-5)


def test_a_file_without_directions_says_that_its_place_is_unknown(tmp_path, header, transform, coil_images):
    lines = every_line(transform(coil_images), turn=np.zeros((3, 3)), middle=np.zeros(3))
    (found,) = read_ismrmrd(write(tmp_path / "a.h5", header(), lines))
    assert found.provenance["position"] == "unknown"
    assert found.grid.spacing_mm == pytest.approx((3.0, 2.5, 4.5))


@pytest.mark.parametrize(
    "changes, more, message",
    [
        ({"trajectory": "radial"}, {}, r"a\.h5: trajectory: found 'radial', expected cartesian"),
        ({}, {"kspace_encode_step_2": 3}, r"kspace_encode_step_2: found 3-D encoding, expected slices"),
        ({}, {"flags": [ismrmrd.ACQ_IS_REVERSE]}, r"flags: found reversed readouts"),
        ({"x": 50, "recon_fov_x": 160.0}, {}, r"center_sample: found 64 samples with the centre at 32, expected them on 50 rows"),
        ({"y": 30, "centre": 15}, {}, r"kspace_encode_step_1: found columns 0 to 39, expected 0 to 29"),
        ({"x": 16000, "y": 16000, "centre": 8000}, {}, r"matrixSize: found \(16000, 16000\) for 30720 samples"),
        ({}, {"turn": np.diag([1.0, 1, 0])}, r"read_dir, phase_dir, slice_dir: found no common right angles"),
    ],
)
def test_what_cannot_be_placed_on_slices_is_refused(tmp_path, header, transform, coil_images, changes, more, message):
    path = write(tmp_path / "a.h5", header(**changes), every_line(transform(coil_images), **more))
    with pytest.raises(DataError, match=message):
        read_ismrmrd(path)


def test_lines_that_contradict_each_other_are_refused(tmp_path, header, transform, coil_images):
    kspace, few = transform(coil_images), range(0, 40, 8)
    lines = every_line(kspace[:2], steps=few)
    cases = {
        r"found a line twice in one average": [*lines, lines[0]],
        r"found slices with different lines, expected the same": lines[1:],
        r"number_of_samples: found 60 to 64 among image lines": [*lines, line(kspace[0, :, 4:, 0], step=1, centre=28)],
        r"position: found 6 to 9 mm between slices": [
            *every_line(kspace[:2], steps=few),
            *[line(kspace[2, :, :, s], step=s, k=2, middle=FIRST + 15 * TURN[:, 2]) for s in few],
        ],
        r"found 1 values not finite": [line(np.where(np.arange(64) == 3, np.nan, kspace[0, :1, :, 0]), step=0)],
        r"found 1 lines without an image": [line(kspace[0, :, :, 0], flags=[ismrmrd.ACQ_IS_NOISE_MEASUREMENT])],
        r"noise scan: found a covariance of 4 coils from 3 samples": [
            line(kspace[0, :, 30:33, 0], flags=[ismrmrd.ACQ_IS_NOISE_MEASUREMENT]),
            *lines,
        ],
    }
    for number, (message, content) in enumerate(cases.items()):
        with pytest.raises(DataError, match=message):
            read_ismrmrd(write(tmp_path / f"{number}.h5", header(), content))


def test_damaged_files_and_false_lengths_are_refused(tmp_path, header, transform, coil_images):
    path = write(tmp_path / "a.h5", header(), every_line(transform(coil_images[:1])))
    (tmp_path / "cut.h5").write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match=r"cut\.h5: not readable as HDF5"):
        read_ismrmrd(tmp_path / "cut.h5")
    with h5py.File(path, "r+") as file:
        one = file["dataset/data"][0]
        one["head"]["number_of_samples"] = one["head"]["number_of_samples"] * 0 + 60000
        rows = file["dataset/data"][:]
        rows["head"]["number_of_samples"] = 60000
        file["dataset/data"][:] = rows
    with pytest.raises(DataError, match=r"data: found 512 to 512 numbers in a line, expected 2 x 4 coils x 60000 samples"):
        read_ismrmrd(path)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["kspace"] = np.zeros(3)
    with pytest.raises(DataError, match=r"other\.h5: found kspace, expected a group with xml and data"):
        read_ismrmrd(tmp_path / "other.h5")
    with h5py.File(tmp_path / "plain.h5", "w") as file:
        file["dataset/xml"] = [header().encode()]
        file["dataset/data"] = np.zeros(3, dtype=[("head", "i4"), ("data", "f4")])
    with pytest.raises(DataError, match=r"plain\.h5: data: found records without flags"):
        read_ismrmrd(tmp_path / "plain.h5")
