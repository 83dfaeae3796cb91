"""Files of The Well (Ohana et al. 2024): scalar and vector fields on uniform grids of one or two dimensions."""

from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from medidiff.errors import DataError
from medidiff.io.hdf5_array import find_array, open_hdf5
from medidiff.io.pde.checks import check_trajectories
from medidiff.io.pde.trajectories import TrajectorySet

GROUPS = {"t0_fields": 0, "t1_fields": 1}  # rank of the fields in them


def read_well(path: str | Path, *, rows: slice = slice(None)) -> TrajectorySet:
    """The trajectories of a file of The Well; its first frame becomes the initial state.

    rows   which trajectories

    Fields without time, space or sample axis are repeated along it. Vector fields become one field for each component, named
    `{field}_{axis}`. Raises DataError for other layouts, grids that are not uniform or of three dimensions, and tensor fields.
    """
    path = Path(path)
    with open_hdf5(path) as file:
        missing = [name for name in ("dimensions", "t0_fields", "t1_fields") if name not in file]
        if missing or "n_spatial_dims" not in file.attrs:
            keys = ", ".join(sorted(file)[:8]) or "none"
            raise DataError(f"{path.name}: found no {', '.join(missing) or 'n_spatial_dims'}: not The Well. Keys: {keys}.")
        axes = _axes(file, path.name)
        count = int(file.attrs["n_trajectories"])
        chosen = range(count)[rows]
        if len(names := list(file.get("t2_fields", {}))):
            raise DataError(f"{path.name}: tensor fields ({', '.join(names)}) cannot be read. Leave them out of the file.")
        fields = {name: values for name, values in _fields(file, path.name, axes, chosen)}
        times = find_array(file["dimensions"], "time", file=path.name, dims=(1,), kinds="f")[...].astype(np.float64)
        title = str(file.attrs.get("dataset_name", ""))[:200]
        scalars = _scalars(file, path.name)
    u = np.stack([*fields.values()], 1).astype(np.float32)
    if len(times) != u.shape[2] or len(times) < 2:
        raise DataError(f"{path.name}: found {len(times)} times for {u.shape[2]} frames, expected as many, 2 or more.")
    units = dict.fromkeys((*fields, *scalars, "t", *"xy"[: len(axes)]), "1")
    theta = np.tile(np.array([*scalars.values()], dtype=np.float32), (len(u), 1)) if scalars else None
    found = TrajectorySet(
        np.ascontiguousarray(u[:, :, 1:]),
        np.ascontiguousarray(u[:, :, 0]),
        times[1:] - times[0],
        axes,
        tuple(fields),
        theta=theta,
        parameters=tuple(scalars),
        units=units,
        facts={"source": "The Well", "dataset": title, "start_s": float(times[0])},
    )
    check_trajectories(found, path.name)
    return found


def _axes(file: h5py.File, name: str) -> tuple[np.ndarray, ...]:
    dims = int(file.attrs["n_spatial_dims"])
    labels = [_text(label) for label in np.ravel(file["dimensions"].attrs.get("spatial_dims", ["x", "y"][:dims]))]
    if dims not in (1, 2) or len(labels) != dims or str(file.attrs.get("grid_type", "cartesian")) != "cartesian":
        raise DataError(f"{name}: found {dims} dimensions ({', '.join(labels)}), expected a cartesian grid of 1 or 2.")
    axes = tuple(find_array(file["dimensions"], label, file=name, dims=(1,), kinds="f")[...].astype(float) for label in labels)
    for label, axis in zip(labels, axes):
        steps = np.diff(axis)
        if np.ptp(steps) > 1e-3 * abs(steps.mean()):
            raise DataError(f"{name}: {label}: steps from {steps.min():g} to {steps.max():g}, expected a uniform grid. Resample.")
    return axes


def _fields(file: h5py.File, name: str, axes: tuple, chosen: range) -> Iterator[tuple[str, np.ndarray]]:
    """Every field (b, t, x[, y]), components of vectors one by one."""
    times = len(file["dimensions/time"])
    shape = (len(chosen), times, *(len(axis) for axis in axes))
    for group, rank in GROUPS.items():
        for field in [_text(label) for label in np.ravel(file[group].attrs.get("field_names", []))]:
            data = find_array(file[group], field, file=name, kinds="f")
            varies = [bool(data.attrs.get("sample_varying", True)), bool(data.attrs.get("time_varying", True))]
            varies += [bool(flag) for flag in np.ravel(data.attrs.get("dim_varying", [True] * len(axes)))]
            if data.ndim != sum(varies) + rank or len(varies) != len(shape):
                raise DataError(f"{name}: {field}: found {data.ndim} axes, expected {sum(varies) + rank} of its attributes.")
            values = data[chosen.start : chosen.stop : chosen.step] if varies[0] else data[...]
            for axis, is_varying in enumerate(varies):
                values = values if is_varying else np.expand_dims(values, axis)
            try:
                values = np.broadcast_to(values, (*shape, *values.shape[len(shape) :]))
            except ValueError:
                raise DataError(f"{name}: {field}: found the shape {data.shape}, expected it to fit {shape}.") from None
            if not rank:
                yield field, values
            else:
                yield from ((f"{field}_{'xy'[part]}", values[..., part]) for part in range(len(axes)))


def _scalars(file: h5py.File, name: str) -> dict[str, float]:
    """Parameters that are one number for the whole file."""
    group = file.get("scalars")
    if not isinstance(group, h5py.Group):
        return {}
    names = [_text(label) for label in np.ravel(group.attrs.get("field_names", []))]
    found = {label: find_array(group, label, file=name, kinds="fiu") for label in names if label in group}
    return {label: float(data[()]) for label, data in found.items() if data.shape == ()}


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
