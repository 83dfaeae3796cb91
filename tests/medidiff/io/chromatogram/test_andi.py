"""ANDI files written here by scipy and h5py alone, as instruments write them."""

import h5py
import numpy as np
import pytest
from scipy.io import netcdf_file

from medidiff.errors import DataError
from medidiff.io.chromatogram.andi import read_andi, write_andi
from medidiff.io.chromatogram.trace import Chromatogram

SIGNAL = np.array([3.0, 3.5, 9.0, 20.0, 11.0, 4.0, 3.0, 3.25, 3.0, 3.0, 8.0, 3.0, 3.0, 3.0, 3.5, 3.0, 3.0], dtype="f4")


def write_netcdf(path, *, interval=0.3686, delay=-0.5, signal=SIGNAL, unit=b"seconds", without=(), peaks=()):
    """A chromatography file of the template, with the scalars in a dimension of 1 as some vendors do."""
    with netcdf_file(path, "w") as file:
        file.retention_unit = unit
        file.detector_unit = b"microvolts"
        file.detector_name = b"FID1"
        file.operator_name = b"Doe, Jane"
        file.injection_date_time_stamp = b"20200102030405+0000"
        file.createDimension("point_number", len(signal))
        file.createDimension("one", 1)
        file.createVariable("ordinate_values", "f4", ("point_number",))[:] = signal
        for name, value in (("actual_delay_time", delay), ("actual_sampling_interval", interval)):
            if name not in without:
                file.createVariable(name, "f4", ("one",))[:] = value
        if peaks:
            file.createDimension("peak_number", len(peaks))
            for column, name in enumerate(("peak_retention_time", "peak_area")):
                file.createVariable(name, "f4", ("peak_number",))[:] = [peak[column] for peak in peaks]


def test_times_are_delay_plus_multiples_of_the_interval_in_seconds(tmp_path):
    write_netcdf(tmp_path / "a.cdf", peaks=((1.1, 40.0), (3.7, 8.0)))
    found = read_andi(tmp_path / "a.cdf")
    np.testing.assert_allclose(found.times, -0.5 + 0.3686 * np.arange(17), rtol=1e-6)
    np.testing.assert_array_equal(found.signal, SIGNAL)
    assert (found.unit, found.detector) == ("microvolts", "FID1")
    assert [peak.area for peak in found.table] == [40.0, 8.0]
    assert found.table[0].time == pytest.approx(1.1, rel=1e-6)


def test_names_of_people_are_not_kept(tmp_path):
    write_netcdf(tmp_path / "a.cdf")
    assert "Doe" not in repr(read_andi(tmp_path / "a.cdf"))


def test_a_file_in_minutes_is_converted_and_an_unknown_unit_refused(tmp_path):
    write_netcdf(tmp_path / "minutes.cdf", unit=b"minutes")
    np.testing.assert_allclose(read_andi(tmp_path / "minutes.cdf").times[1], 60 * (-0.5 + 0.3686), rtol=1e-5)
    write_netcdf(tmp_path / "fortnights.cdf", unit=b"fortnights")
    with pytest.raises(DataError, match=r"fortnights\.cdf: time unit 'fortnights', expected s or min"):
        read_andi(tmp_path / "fortnights.cdf")


def test_scans_of_a_mass_spectrometer_give_the_total_ion_current(tmp_path):
    with netcdf_file(tmp_path / "ms.cdf", "w") as file:
        file.createDimension("scan_number", 17)
        file.createVariable("scan_acquisition_time", "f8", ("scan_number",))[:] = 300 + 0.4 * np.arange(17)
        file.createVariable("total_intensity", "f8", ("scan_number",))[:] = SIGNAL
    found = read_andi(tmp_path / "ms.cdf")
    assert found.detector == "total ion current"
    np.testing.assert_allclose(found.times, 300 + 0.4 * np.arange(17))


def test_netcdf4_reads_like_netcdf3(tmp_path):
    with h5py.File(tmp_path / "four.cdf", "w") as file:
        file["ordinate_values"], file["actual_delay_time"], file["actual_sampling_interval"] = SIGNAL, 1.5, 0.25
        file.attrs["detector_unit"] = np.bytes_("mAU")
    found = read_andi(tmp_path / "four.cdf")
    np.testing.assert_allclose(found.times, 1.5 + 0.25 * np.arange(17))
    assert found.unit == "mAU"


def test_a_variable_of_absurd_size_is_refused_before_it_is_read(tmp_path):
    with h5py.File(tmp_path / "bomb.cdf", "w") as file:
        file.create_dataset("ordinate_values", shape=(1 << 40,), chunks=(1 << 20,), dtype="f8", compression="gzip")
    with pytest.raises(DataError, match=r"bomb\.cdf: ordinate_values: found the shape \(1099511627776,\)"):
        read_andi(tmp_path / "bomb.cdf")


def test_what_is_written_reads_back_and_other_software_reads_it(tmp_path):
    made = Chromatogram(-0.79 + 0.01 * np.arange(500), np.sin(0.02 * np.arange(500)), "pA", "FID")
    write_andi(tmp_path / "w.cdf", made)
    found = read_andi(tmp_path / "w.cdf")
    np.testing.assert_allclose(found.times, made.times, atol=1e-12)
    np.testing.assert_allclose(found.signal, made.signal, atol=1e-7)
    with netcdf_file(tmp_path / "w.cdf", mmap=False) as file:
        assert file.variables["ordinate_values"].uniform_sampling_flag == b"Y"
        assert file.retention_unit == b"seconds"
        assert float(file.variables["actual_run_time_length"][...]) == pytest.approx(4.2)
    write_andi(tmp_path / "again.cdf", made)
    assert (tmp_path / "w.cdf").read_bytes() == (tmp_path / "again.cdf").read_bytes()
    with pytest.raises(DataError, match="not uniform"):
        write_andi(tmp_path / "x.cdf", Chromatogram(np.arange(500.0) ** 1.01, made.signal))


@pytest.mark.parametrize("without", ["actual_delay_time", "actual_sampling_interval"])
def test_a_missing_clock_is_named(tmp_path, without):
    write_netcdf(tmp_path / "b.cdf", without=(without,))
    with pytest.raises(DataError, match=rf"b\.cdf: no {without}, expected one positive number of seconds"):
        read_andi(tmp_path / "b.cdf")


def test_an_interval_of_zero_is_refused(tmp_path):
    write_netcdf(tmp_path / "z.cdf", interval=0.0)
    with pytest.raises(DataError, match=r"z\.cdf: actual_sampling_interval is \[0\.0\]"):
        read_andi(tmp_path / "z.cdf")


def test_cut_files_and_foreign_netcdf_are_named_and_never_crash(tmp_path):
    write_netcdf(tmp_path / "whole.cdf")
    whole = (tmp_path / "whole.cdf").read_bytes()
    for length in range(4, len(whole) - 40, 37):
        (tmp_path / "cut.cdf").write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"cut\.cdf: "):
            read_andi(tmp_path / "cut.cdf")
    with netcdf_file(tmp_path / "map.cdf", "w") as file:
        file.createDimension("x", 3)
        file.createVariable("elevation", "f4", ("x",))[:] = 1.0
    with pytest.raises(DataError, match=r"map\.cdf: netCDF without `ordinate_values`.*found elevation"):
        read_andi(tmp_path / "map.cdf")
