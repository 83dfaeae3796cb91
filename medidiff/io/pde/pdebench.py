"""Files of PDEBench (Takamoto et al. 2022): scalars, compressible and incompressible flow, and numbered groups."""

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np

from medidiff.errors import DataError
from medidiff.io.hdf5_array import find_array, open_hdf5
from medidiff.io.hdf5_file import new_hdf5
from medidiff.io.pde.checks import check_trajectories
from medidiff.io.pde.trajectories import TrajectorySet

FLOW = {"density": "density", "Vx": "velocity", "Vy": "velocity_y", "pressure": "pressure"}  # theirs: ours, in our order
PARAMETERS = ("beta", "Nu", "rho", "eta", "zeta", "M")  # attributes that are parameters of the equation
OURS = {"speed": "beta", "viscosity": "Nu"}  # parameters under their names
BEYOND = 1  # entries by which their time axis may be too long


def read_pdebench(path: str | Path, *, rows: slice = slice(None)) -> TrajectorySet:
    """The trajectories of a PDEBench file; its first frame becomes the initial state.

    rows   which trajectories; only those are read

    Their time axis, which has one entry more than the data in some files, is cut. Parameters come from attributes, the same
    for all trajectories; the YAML text of numbered groups is kept as text and never loaded. Raises DataError for a file of
    none of the layouts, with the keys that it has, and for what `check_trajectories` refuses.
    """
    path = Path(path)
    with open_hdf5(path) as file:
        if "tensor" in file:
            found = _scalar(file, path.name, rows)
        elif "density" in file:
            found = _flow(file, path.name, rows)
        elif "velocity" in file:
            found = _incompressible(file, path.name, rows)
        elif any(name.isdigit() for name in file):
            found = _groups(file, path.name, rows)
        else:
            keys = ", ".join(sorted(file)[:8]) or "none"
            raise DataError(f"{path.name}: no 'tensor', 'density', 'velocity' or numbered groups: not PDEBench. Keys: {keys}.")
    check_trajectories(found, path.name)
    return found


def write_pdebench(trajectories: TrajectorySet, path: str | Path) -> None:
    """The trajectories as PDEBench lays them out: `tensor` for one field, else `density`, `Vx`, `Vy`, `pressure`, float32.

    The initial state is frame 0; forces are not part of the layout. Raises DataError for fields that the layout has no place for.
    """
    path = Path(path)
    frames = np.concatenate([trajectories.u0[:, :, None], trajectories.u], 2)
    if len(trajectories.fields) == 1:
        arrays = {"tensor": frames[:, 0]}
    else:
        theirs = {ours: name for name, ours in FLOW.items()}
        if unknown := [name for name in trajectories.fields if name not in theirs]:
            raise DataError(f"{path.name}: PDEBench has no place for {', '.join(unknown)}; it has {', '.join(theirs)}.")
        arrays = {theirs[name]: frames[:, place] for place, name in enumerate(trajectories.fields)}
    with new_hdf5(path) as file:
        for name, values in arrays.items():
            file.create_dataset(name, data=np.asarray(values, dtype=np.float32))
        file.create_dataset("t-coordinate", data=np.concatenate([[0.0], trajectories.times]).astype(np.float32))
        for axis, values in zip("xy", trajectories.space):
            file.create_dataset(f"{axis}-coordinate", data=np.asarray(values, dtype=np.float32))
        for place, name in enumerate(trajectories.parameters):
            values = trajectories.theta[:, place]
            if np.ptp(values):
                raise DataError(f"{path.name}: {name} differs between trajectories; PDEBench has one file for each value.")
            file.attrs[OURS.get(name, name)] = float(values[0])


def _scalar(file: h5py.File, name: str, rows: slice) -> TrajectorySet:
    data = find_array(file, "tensor", file=name, dims=(3, 4), kinds="f")
    return _assembled(file, name, {"value": data[rows]}, names=("value",))


def _flow(file: h5py.File, name: str, rows: slice) -> TrajectorySet:
    present = {theirs: ours for theirs, ours in FLOW.items() if theirs in file}
    arrays = {ours: find_array(file, theirs, file=name, dims=(3, 4), kinds="f")[rows] for theirs, ours in present.items()}
    if "pressure" not in arrays or "velocity" not in arrays:
        raise DataError(f"{name}: found {', '.join(sorted(file)[:8])}, expected density, pressure and Vx. Download it again.")
    return _assembled(file, name, arrays, names=tuple(present.values()))


def _incompressible(file: h5py.File, name: str, rows: slice) -> TrajectorySet:
    """`velocity` (b, t, x, y, 2), `particles` (b, t, x, y, 1), a constant `force` (b, x, y, 2), `t` (b, t); the unit square."""
    parts = {key: find_array(file, key, file=name, dims=(5,), kinds="f")[rows] for key in ("particles", "velocity")}
    stacked = np.moveaxis(np.concatenate([*parts.values()], -1), -1, 1)
    times = find_array(file, "t", file=name, dims=(1, 2), kinds="f")
    times = times[...] if times.ndim == 1 else times[rows][0]
    space = tuple((np.arange(cells) + 0.5) / cells for cells in stacked.shape[3:])
    found = _split(stacked, times, space, ("particles", "velocity_x", "velocity_y"), {}, {}, name)
    if "force" not in file:
        return found
    force = np.moveaxis(find_array(file, "force", file=name, dims=(4,), kinds="f")[rows], -1, 1)[:, :, None]
    f = np.broadcast_to(force, (*force.shape[:2], len(found.times), *force.shape[3:])).astype(np.float32)
    return replace(found, f=f, units={**found.units, "f": "1"})


def _assembled(file: h5py.File, name: str, arrays: dict[str, np.ndarray], *, names: tuple[str, ...]) -> TrajectorySet:
    shapes = {values.shape for values in arrays.values()}
    if len(shapes) > 1:
        raise DataError(f"{name}: found fields of the shapes {sorted(shapes)}, expected one. Download the file again.")
    stacked = np.stack([arrays[field] for field in names], 1)
    dims = stacked.ndim - 3
    times = find_array(file, "t-coordinate", file=name, dims=(1,), kinds="f")[...]
    space = tuple(find_array(file, f"{axis}-coordinate", file=name, dims=(1,), kinds="f")[...] for axis in "xy"[:dims])
    theta = {key: float(np.asarray(file.attrs[key]).ravel()[0]) for key in PARAMETERS if key in file.attrs}
    return _split(stacked, times, space, names, theta, {}, name)


def _groups(file: h5py.File, name: str, rows: slice) -> TrajectorySet:
    """Reaction, shallow water and sorption: one numbered group for each trajectory, `data` (t, x[, y], c)."""
    groups = [file[key] for key in sorted(key for key in file if key.isdigit())[rows]]
    if not groups:
        raise DataError(f"{name}: the trajectories that are asked for are not there. Ask for fewer.")
    data = [find_array(group, "data", file=name, dims=(3, 4), kinds="f")[...] for group in groups]
    if len({values.shape for values in data}) > 1:
        raise DataError(f"{name}: its groups have data of different shapes, expected one. Download the file again.")
    u = np.moveaxis(np.stack(data), -1, 1)
    grid = groups[0].get("grid")
    if not isinstance(grid, h5py.Group):
        raise DataError(f"{name}: found no grid in its groups, expected grid/t and grid/x. Download the file again.")
    axes = {axis: find_array(grid, axis, file=name, dims=(1,), kinds="f")[...] for axis in "txy"[: u.ndim - 2]}
    fields = tuple(f"value_{number}" for number in range(u.shape[1])) if u.shape[1] > 1 else ("value",)
    text = str(groups[0].attrs.get("config", ""))[:10_000]
    return _split(u, axes.pop("t"), tuple(axes.values()), fields, {}, {"config_text": text} if text else {}, name)


def _split(u, times, space, fields, theta, facts, name: str) -> TrajectorySet:
    """Frame 0 and the others, with times that start there."""
    frames = u.shape[2]
    if len(times) - frames not in (0, BEYOND) or frames < 2:
        raise DataError(f"{name}: found {len(times)} times for {frames} frames, expected as many or one more, at least 2 frames.")
    if u.shape[3:] != tuple(len(axis) for axis in space):
        raise DataError(f"{name}: found the grid {u.shape[3:]}, its coordinates have {[len(axis) for axis in space]}.")
    times = np.asarray(times[:frames], dtype=np.float64)
    units = dict.fromkeys((*fields, *theta, "t", *"xy"[: len(space)]), "1")
    values = np.tile(np.array([*theta.values()], dtype=np.float32), (len(u), 1)) if theta else None
    return TrajectorySet(
        np.ascontiguousarray(u[:, :, 1:], dtype=np.float32),
        np.ascontiguousarray(u[:, :, 0], dtype=np.float32),
        times[1:] - times[0],
        tuple(np.asarray(axis, dtype=np.float64) for axis in space),
        fields,
        theta=values,
        parameters=tuple(theta),
        units=units,
        facts={"source": "PDEBench", "start_s": float(times[0]), **facts},
    )
