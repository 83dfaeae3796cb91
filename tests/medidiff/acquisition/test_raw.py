"""Raw data are read by their format; what is not of it is refused."""

import numpy as np
import pytest

from medidiff.acquisition.raw import READERS, read_raw
from medidiff.acquisition.scan import simulate
from medidiff.acquisition.settings import Format, ScanSettings
from medidiff.errors import ConfigError, DataError
from medidiff.io.measurement import write_measurement


def test_a_measurement_of_ours_and_an_array_are_known_without_being_named(tmp_path):
    scan = ScanSettings.model_validate({"matrix": 16, "pixel_mm": 12.0, "slices": 2, "ct": {"views": 4}})
    measurement, _ = simulate(scan)
    write_measurement(measurement, tmp_path / "m.h5")
    np.testing.assert_array_equal(read_raw(tmp_path / "m.h5").line_integrals, measurement.line_integrals)
    samples = np.zeros((2, 8, 6), np.complex64)
    samples[:, 3:6, 2:5] = 1 + 1j
    np.save(tmp_path / "k.npy", samples)
    assert read_raw(tmp_path / "k.npy").samples.shape == (1, 2, 8, 6)


def test_every_format_that_a_configuration_may_name_has_a_reader():
    assert set(Format.__args__) == {"auto", *READERS}


def test_an_unknown_format_and_an_absent_file_are_refused(tmp_path):
    (tmp_path / "a.dat").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"format 'twix': expected one of auto, measurement"):
        read_raw(tmp_path / "a.dat", file_format="twix")
    with pytest.raises(DataError, match=r"b\.dat: does not exist"):
        read_raw(tmp_path / "b.dat")
    with pytest.raises(DataError, match=r"a\.dat: not readable as a measurement"):
        read_raw(tmp_path / "a.dat")
