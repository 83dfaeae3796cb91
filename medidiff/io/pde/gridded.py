"""Gridded reanalysis, as ERA5: NetCDF or zarr with time, latitude and longitude, through xarray where it is installed."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from medidiff.errors import ConfigError, DataError
from medidiff.io.pde.checks import check_trajectories
from medidiff.io.pde.trajectories import TrajectorySet

NAMES = {"time": ("time", "valid_time"), "latitude": ("latitude", "lat"), "longitude": ("longitude", "lon")}
TEMPERATURE = {"t2m", "t", "2m_temperature", "temperature"}
KELVIN = ("K", "kelvin")


def read_xarray(path: str | Path, *, variables: Sequence[str], frames: int, level: float | None = None) -> TrajectorySet:
    """Trajectories of `frames` + 1 consecutive times each, cut without overlap from gridded data; the first is the initial state.

    path        NetCDF file, or zarr folder
    variables   fields, in the order of the field axis
    frames      of each trajectory, after the initial state
    level       where the variables have levels: which, in the file's unit

    Space is x = longitude, y = latitude from south to north, degrees. Raises ConfigError where xarray or the reader of the format
    is not installed, DataError for missing variables or dimensions, temperatures that are not in kelvin, fill values, and
    times that are not uniform.
    """
    path = Path(path)
    for module in ("xarray", "zarr" if path.is_dir() else "netCDF4"):
        if find_spec(module) is None:
            raise ConfigError(f"{path.name}: {module} is not installed, which this format needs. `pip install {module}`.")
    import xarray

    try:
        data = xarray.open_zarr(path) if path.is_dir() else xarray.open_dataset(path)
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{path.name}: not readable ({' '.join(str(error).split())[:120]}). Download it again.") from error
    with data:
        return _cut(data, path.name, variables, frames, level)


def _cut(data: Any, file: str, variables: Sequence[str], frames: int, level: float | None) -> TrajectorySet:
    missing = [name for name in variables if name not in data]
    if missing or not variables:
        raise DataError(
            f"{file}: found no {', '.join(missing)}; it has {', '.join(map(str, data.data_vars))}. Correct `variables`."
        )
    dims = {ours: _dimension(data, file, names) for ours, names in NAMES.items()}
    fields, units = [], {"t": "s", "x": "degree", "y": "degree"}
    for name in variables:
        field = data[name]
        units[name] = str(field.attrs.get("units", ""))
        if name in TEMPERATURE and units[name] not in KELVIN:
            raise DataError(f"{file}: {name}: found the unit {units[name]!r}, expected K. Convert it.")
        if "level" in field.dims:
            if level is None or level not in field["level"].values:
                raise DataError(f"{file}: {name}: name one `level` of {field['level'].values.tolist()[:8]}.")
            field = field.sel(level=level)
        values = field.transpose(dims["time"], dims["longitude"], dims["latitude"]).sortby(dims["latitude"])
        fields.append(values.to_numpy().astype(np.float32))
    stamps = data[dims["time"]].to_numpy()
    seconds = (stamps - stamps[0]) / np.timedelta64(1, "s") if stamps.dtype.kind == "M" else stamps.astype(float)
    count = len(seconds) // (frames + 1)
    if not count:
        raise DataError(f"{file}: found {len(seconds)} times, expected {frames + 1} or more. Ask for fewer frames.")
    u = np.stack(fields, 1)[: count * (frames + 1)].reshape(count, frames + 1, len(fields), *fields[0].shape[1:])
    steps = np.diff(seconds)
    if np.ptp(steps) > 1e-3 * steps.mean():
        raise DataError(f"{file}: steps from {steps.min():g} to {steps.max():g} s; uniform frames are needed.")
    space = (data[dims["longitude"]].to_numpy().astype(float), np.sort(data[dims["latitude"]].to_numpy().astype(float)))
    found = TrajectorySet(
        np.ascontiguousarray(np.moveaxis(u[:, 1:], 2, 1)),
        np.ascontiguousarray(u[:, 0]),
        steps.mean() * np.arange(1, frames + 1),
        space,
        tuple(variables),
        units=units,
        facts={"source": "xarray", "first_time": str(stamps[0])},
    )
    check_trajectories(found, file)
    return found


def _dimension(data: Any, file: str, names: tuple[str, ...]) -> str:
    for name in names:
        if name in data.dims:
            return name
    raise DataError(f"{file}: found the dimensions {', '.join(map(str, data.dims))}, expected {names[0]} among them.")
