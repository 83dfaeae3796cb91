"""Maps of a reconstruction come back as they were written; a foreign file is refused."""

import h5py
import numpy as np
import pytest

from medidiff.errors import DataError
from medidiff.io.maps import Maps, read_maps, write_maps
from medidiff.io.volume import Volume

AFFINE = np.array([[1.4, -0.5, 0.2, -9.0], [0.4, 1.9, 0.0, 3.0], [0.0, 0.3, 3.0, 5.0], [0.0, 0.0, 0.0, 1.0]])


def test_maps_come_back_with_their_names_and_their_place(tmp_path):
    spread = np.random.default_rng(0).random((3, 4, 5), dtype=np.float32)
    write_maps(Maps({"spread": Volume(spread, AFFINE)}, AFFINE, {"samples": 4}), tmp_path / "m.h5")
    found = read_maps(tmp_path / "m.h5")
    assert list(found.volumes) == ["spread"] and found.facts == {"samples": 4}
    np.testing.assert_array_equal(found.volumes["spread"].array, spread)
    np.testing.assert_array_equal(found.volumes["spread"].affine, AFFINE)


def test_a_file_without_maps_has_none(tmp_path):
    write_maps(Maps({}, AFFINE), tmp_path / "m.h5")
    assert read_maps(tmp_path / "m.h5").volumes == {}


def test_equal_maps_give_equal_bytes(tmp_path):
    for name in ("a.h5", "b.h5"):
        write_maps(Maps({"spread": Volume(np.ones((3, 4, 5)), AFFINE)}, AFFINE, {"samples": 4}), tmp_path / name)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_a_foreign_or_damaged_file_is_refused(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["maps/spread"] = [1.0]
    (tmp_path / "torn.h5").write_bytes(b"\x89HDF\r\n")
    for name in ("other.h5", "torn.h5"):
        with pytest.raises(DataError, match=rf"^{name}: not readable as maps .* Run `medidiff reconstruct` again"):
            read_maps(tmp_path / name)
