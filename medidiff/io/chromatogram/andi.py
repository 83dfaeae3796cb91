"""ANDI/AIA files (ASTM E1947, E2077): netCDF with one trace, or with the scans of a mass spectrometer."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import netcdf_file

from medidiff.errors import DataError
from medidiff.io.atomic import atomic_path
from medidiff.io.chromatogram.trace import Chromatogram, TablePeak, checked, seconds_per
from medidiff.io.hdf5_array import find_array, open_hdf5

LONGEST = 1 << 27  # values of one variable
# what scipy and h5py raise on damaged files
BROKEN = (OSError, ValueError, TypeError, IndexError, KeyError, MemoryError, OverflowError, AttributeError, RuntimeError)
TECHNICAL = (
    "detector_name",
    "detector_unit",
    "retention_unit",
    "aia_template_revision",
    "netcdf_revision",
    "dataset_completeness",
)


STAMP = "injection_date_time_stamp"
VARIABLES = ("ordinate_values", "raw_data_retention", "actual_delay_time", "actual_sampling_interval", "total_intensity")
VARIABLES += ("scan_acquisition_time", "peak_retention_time", "peak_area")


def read_andi(path: Path) -> Chromatogram:
    """The trace of an ANDI chromatography file, or the total ion current of an ANDI mass spectrometry file.

        time = actual_delay_time + j · actual_sampling_interval, or raw_data_retention where sampling was not uniform

    in seconds, unless the file's `retention_unit` says minutes. Raises DataError where one of them is missing.
    """
    path = Path(path)
    variables, attributes = _content(path)
    if "ordinate_values" in variables:
        return _trace(path.name, variables, attributes=attributes)
    if "total_intensity" in variables and "scan_acquisition_time" in variables:
        facts = _facts(attributes)
        times, total = variables["scan_acquisition_time"], variables["total_intensity"]
        return checked(path.name, Chromatogram(times, total, "counts", "total ion current", metadata=facts))
    raise DataError(
        f"{path.name}: netCDF without `ordinate_values` or `total_intensity`, found {', '.join(sorted(variables)[:8])}. "
        "Export as AIA/ANDI chromatography or mass spectrometry."
    )


def write_andi(path: Path, chromatogram: Chromatogram) -> None:
    """The trace as a netCDF-3 file of the ANDI chromatography template; times must be uniform, values become float32."""
    if chromatogram.unevenness > 1e-6:
        raise DataError(f"{Path(path).name}: the times are not uniform, which this ANDI template needs. Write CSV instead.")
    with atomic_path(path) as temporary, netcdf_file(temporary, "w", version=1) as file:
        file.aia_template_revision = b"1.0.1"
        file.netcdf_revision = b"2.3.2"
        file.dataset_completeness = b"C1"
        file.retention_unit = b"seconds"
        file.detector_unit = chromatogram.unit.encode() or b"arbitrary"
        file.detector_name = chromatogram.detector.encode() or b"unknown"
        file.createDimension("point_number", len(chromatogram.signal))
        values = file.createVariable("ordinate_values", "f4", ("point_number",))
        values[:] = chromatogram.signal.astype("f4")
        values.uniform_sampling_flag = b"Y"
        scalars = {
            "actual_delay_time": chromatogram.times[0],
            "actual_sampling_interval": chromatogram.step,
            "actual_run_time_length": chromatogram.times[-1],
        }
        for name, value in scalars.items():
            file.createVariable(name, "f8", ())[...] = value


def _trace(file: str, variables: Mapping[str, np.ndarray], *, attributes: Mapping[str, str]) -> Chromatogram:
    facts = _facts(attributes)
    unit = seconds_per(file, facts.get("retention_unit") or "seconds")
    signal = np.ravel(variables["ordinate_values"])
    if "raw_data_retention" in variables and len(np.ravel(variables["raw_data_retention"])) == len(signal):
        times = np.ravel(variables["raw_data_retention"]) * unit
    else:
        delay, interval = (_scalar(file, variables, name=name) for name in ("actual_delay_time", "actual_sampling_interval"))
        times = (delay + interval * np.arange(len(signal))) * unit
    detector = facts.get("detector_name", "")
    stamp = attributes.get(STAMP, "")
    table = _table(variables, unit)
    return checked(file, Chromatogram(times, signal, facts.get("detector_unit", ""), detector, stamp, facts, table))


def _table(variables: Mapping[str, np.ndarray], unit: float) -> tuple[TablePeak, ...]:
    """The vendor's own peak table, where there is one."""
    times = np.ravel(variables.get("peak_retention_time", ()))
    areas = np.ravel(variables.get("peak_area", ()))
    areas = areas if len(areas) == len(times) else np.full(len(times), np.nan)
    return tuple(TablePeak(float(time) * unit, float(area)) for time, area in zip(times, areas) if np.isfinite(time))


def _scalar(file: str, variables: Mapping[str, np.ndarray], *, name: str) -> float:
    values = np.ravel(variables.get(name, ()))
    if len(values) != 1 or not np.isfinite(values[0]) or (name == "actual_sampling_interval" and values[0] <= 0):
        found = f"{name} is {values.tolist()}" if len(values) else f"no {name}"
        raise DataError(f"{file}: {found}, expected one positive number of seconds. Export the file again.")
    return float(values[0])


def _facts(attributes: Mapping[str, str]) -> dict[str, str]:
    return {name: attributes[name] for name in TECHNICAL if attributes.get(name)}


def _content(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Every numeric variable and every attribute of a netCDF-3 or netCDF-4 file."""
    try:
        with open(path, "rb") as file:
            magic = file.read(8)
        if magic[:3] == b"CDF":
            with netcdf_file(path, "r", mmap=False) as file:
                found = {name: np.array(variable[...]) for name, variable in file.variables.items() if _is_number(variable.data)}
                return found, {name: _text(value) for name, value in file._attributes.items()}
        if magic == b"\x89HDF\r\n\x1a\n":
            with open_hdf5(path, kind="netCDF", advice="Export it again.") as file:
                data = {name: find_array(file, name, file=path.name) for name in file if name in VARIABLES}
                largest = max((item.size for item in data.values()), default=0)
                if largest > LONGEST:
                    raise DataError(
                        f"{path.name}: a variable claims {largest} values, expected at most {LONGEST}. Export it again."
                    )
                attributes = {name: _text(file.attrs[name]) for name in (*TECHNICAL, STAMP) if name in file.attrs}
                return {name: item[...] for name, item in data.items() if _is_number(item)}, attributes
    except BROKEN as error:
        raise DataError(f"{path.name}: damaged or cut netCDF file ({type(error).__name__}). Copy or export it again.") from error
    raise DataError(f"{path.name}: begins with {magic[:4]!r}, expected a netCDF file. Give the file its format's ending.")


def _is_number(data: Any) -> bool:
    return data.dtype.kind in "fiu"


def _text(value: Any) -> str:
    return value.decode("latin-1").strip("\0 ") if isinstance(value, bytes) else str(value).strip("\0 ")
