"""Recordings through HDF5 in zea's two layouts, and what is refused."""

import h5py
import numpy as np
import pytest

from medidiff.errors import DataError
from medidiff.io.ultrasound.coordinates import positions_m, scan_of
from medidiff.io.ultrasound.recording import Parallel, Pixels, Recording, Sector, checked
from medidiff.io.ultrasound.zea import read_extras, read_zea, write_zea

SECTOR = Sector(0.0153, 3.08e-4, -0.61, 0.0097)
FACTS = {"sampling_hz": 2.5e6, "centre_hz": 2.4e6, "demodulation_hz": 2.5e6, "sound_speed": 1540.0}


def iq(shape=(3, 12, 7), seed=0):
    generator = np.random.default_rng(seed)
    return (generator.standard_normal(shape) + 1j * generator.standard_normal(shape)).astype(np.complex64)


@pytest.mark.parametrize("geometry", [SECTOR, Parallel(0.004, 5.1e-5, 3e-4), Parallel(0.0, 5.1e-5)])
def test_iq_comes_back_with_its_geometry_frequencies_and_haze(tmp_path, geometry):
    written = Recording(iq(), "iq", geometry, **FACTS, frame_rate_hz=40.0, facts={"seed": 3})
    write_zea(written, tmp_path / "a.hdf5", extras={"haze": iq(seed=1), "spread": np.ones((3, 12, 7), np.float32)})
    found = read_zea(tmp_path / "a.hdf5")
    np.testing.assert_array_equal(found.values, written.values)
    assert found.geometry == geometry and found.kind == "iq" and found.frame_rate_hz == 40.0
    assert {key: getattr(found, key) for key in FACTS} == FACTS and found.facts["seed"] == 3
    extras = read_extras(tmp_path / "a.hdf5", ["haze", "spread", "absent"])
    np.testing.assert_array_equal(extras["haze"], iq(seed=1))
    assert set(extras) == {"haze", "spread"} and extras["spread"].dtype == np.float32


def test_equal_recordings_give_equal_bytes(tmp_path):
    for name in ("a", "b"):
        write_zea(Recording(iq(), "iq", SECTOR, **FACTS), tmp_path / f"{name}.hdf5")
    assert (tmp_path / "a.hdf5").read_bytes() == (tmp_path / "b.hdf5").read_bytes()


def test_a_frame_is_one_chunk(tmp_path):
    write_zea(Recording(iq(), "iq", SECTOR, **FACTS), tmp_path / "a.hdf5")
    with h5py.File(tmp_path / "a.hdf5") as file:
        assert file["tracks/track_0/data/beamformed_data/values"].chunks == (1, 12, 7, 2)


def zea_file(path, *, old, coordinates=True, values=None, channels=2):
    """A file as zea writes it, without our group."""
    values = np.arange(2 * 5 * 4 * channels, dtype=np.float32).reshape(2, 5, 4, channels) if values is None else values
    with h5py.File(path, "w") as file:
        top = file if old else file.create_group("tracks/track_0")
        if old and not coordinates:
            top["data/beamformed_data"] = values
        else:
            top["data/beamformed_data/values"] = values
        if coordinates:
            top["data/beamformed_data/coordinates"] = positions_m(SECTOR, values.shape[1:3])
        for field, value in (("sampling_frequency", 2.5e6), ("center_frequency", 2.4e6), ("sound_speed", 1540.0)):
            top[f"scan/{field}"] = np.float32(value)
        if channels == 2:
            top["scan/demodulation_frequency"] = np.float32(2.5e6)
    return path


@pytest.mark.parametrize("old", [False, True])
def test_the_sector_is_found_from_the_positions_alone(tmp_path, old):
    found = read_zea(zea_file(tmp_path / "z.hdf5", old=old))
    for key in ("first_range_m", "range_step_m", "first_angle_rad", "angle_step_rad"):
        assert getattr(found.geometry, key) == pytest.approx(getattr(SECTOR, key), rel=1e-3)
    assert found.kind == "iq" and found.values[0, 0, 1] == 2 + 3j


def test_one_channel_is_rf(tmp_path):
    found = read_zea(zea_file(tmp_path / "z.hdf5", old=False, channels=1))
    assert found.kind == "rf" and found.values.dtype == np.float32 and found.demodulation_hz == pytest.approx(2.4e6)


def test_the_oldest_layout_without_positions_asks_for_a_description(tmp_path):
    with pytest.raises(DataError, match=r"z.hdf5: found no coordinates, expected positions.*Describe the array"):
        read_zea(zea_file(tmp_path / "z.hdf5", old=True, coordinates=False))


def test_channel_data_alone_are_refused(tmp_path):
    with h5py.File(tmp_path / "raw.hdf5", "w") as file:
        file["data/raw_data"] = np.zeros((1, 2, 8, 4, 1), np.float32)
    with pytest.raises(DataError, match=r"found raw_data, expected beamformed_data or image. Beamform"):
        read_zea(tmp_path / "raw.hdf5")


def test_decibels_of_a_picture_become_grey_levels(tmp_path):
    with h5py.File(tmp_path / "i.hdf5", "w") as file:
        file["tracks/track_0/data/image/values"] = np.array([[[0.0, -30.0], [-60.0, -90.0]]], np.float32)
    found = read_zea(tmp_path / "i.hdf5")
    np.testing.assert_array_equal(found.values[0], [[255, 128], [0, 0]])
    assert found.kind == "image" and found.geometry == Pixels()


def test_a_missing_filter_is_named_with_the_package_that_brings_it(tmp_path):
    with h5py.File(tmp_path / "f.hdf5", "w") as file:
        group = file.create_group("tracks/track_0/data/beamformed_data")
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_chunk((1, 2, 2, 2))
        properties.set_filter(32765, h5py.h5z.FLAG_OPTIONAL, (0,))
        space = h5py.h5s.create_simple((1, 2, 2, 2))
        h5py.h5d.create(group.id, b"values", h5py.h5t.IEEE_F32LE, space, properties)
    with pytest.raises(DataError, match=r"compression 32765.*pip install hdf5plugin"):
        read_zea(tmp_path / "f.hdf5")


def test_a_sample_that_is_no_number_names_its_frame(tmp_path):
    values = np.zeros((2, 5, 4, 2), np.float32)
    values[1, 2, 3, 0] = np.nan
    with pytest.raises(DataError, match=r"z.hdf5: frame 1: found 1 of 20 samples not finite"):
        read_zea(zea_file(tmp_path / "z.hdf5", old=False, values=values))


@pytest.mark.parametrize("key", ["sampling_hz", "demodulation_hz", "sound_speed"])
def test_nothing_is_assumed_where_a_frequency_is_missing(key):
    with pytest.raises(DataError, match=f"a: {key}: found nothing"):
        checked(Recording(iq(), "iq", SECTOR, **{**FACTS, key: None}), name="a")


def test_no_cut_or_changed_file_makes_anything_but_a_data_error(tmp_path):
    write_zea(Recording(iq(), "iq", SECTOR, **FACTS), tmp_path / "a.hdf5")
    content = (tmp_path / "a.hdf5").read_bytes()
    generator = np.random.default_rng(5)
    for cut in generator.integers(0, len(content), 20):
        damaged = bytearray(content)
        damaged[cut : cut + 4] = generator.bytes(4)
        for part in (content[:cut], bytes(damaged)):
            (tmp_path / "b.hdf5").write_bytes(part)
            try:
                read_zea(tmp_path / "b.hdf5")
            except DataError:
                continue


def test_positions_off_any_regular_grid_are_refused():
    x, _, z = np.moveaxis(positions_m(SECTOR, (9, 6)).astype(float), -1, 0)
    with pytest.raises(DataError, match="found samples that are on no regular sector"):
        scan_of(x + 1e-3 * np.sin(4000 * z), z, name="f")
