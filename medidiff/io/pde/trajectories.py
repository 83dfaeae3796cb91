"""Trajectories of a partial differential equation on one grid, checked, in one HDF5 file per system and split."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from medidiff.errors import DataError
from medidiff.io.hdf5_array import find_array, open_hdf5
from medidiff.io.hdf5_file import new_hdf5
from medidiff.io.pde.checks import check_trajectories

FORMAT = 1  # raise the number when older readers would misread the file
LARGEST_CHUNK = 1 << 20  # bytes
AXES = {"u": (2, "t"), "u0": (2, ""), "f": (2, "t"), "solid": (1, "")}  # where time or space begins, and which of both it is
KINDS = {"u": "f", "u0": "f", "f": "f", "theta": "f", "solid": "fiub"}


@dataclass(frozen=True, eq=False)
class TrajectorySet:
    """Trajectories of one system on one grid, float32.

    u            (b, field, t, x[, y])   frames t_1 .. t_nt, without the initial state
    u0           (b, field, x[, y])      at t = 0
    times        (t,)                    of the frames, uniform, s
    space        x[, y], each (n,)       places of the cells
    fields                               names, in the order of the field axis
    f            (b, force, t, x[, y])   force on each interval between frames; None: there is none
    theta        (b, p)                  parameters of each trajectory, named by `parameters`; None: there are none
    solid        (b, 1, x[, y])          1 in obstacles; None: there are none
    units                                of every field, of force, time, space and parameters, by name; "1" for a pure number
    facts                                system, equation, boundary, solver, ... as JSON can hold them
    """

    u: np.ndarray
    u0: np.ndarray
    times: np.ndarray
    space: tuple[np.ndarray, ...]
    fields: tuple[str, ...]
    f: np.ndarray | None = None
    theta: np.ndarray | None = None
    parameters: tuple[str, ...] = ()
    solid: np.ndarray | None = None
    units: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.u)

    @property
    def dt_s(self) -> float:
        """Time between frames."""
        return float(self.times[-1] / len(self.times))

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays with one row per trajectory that are there."""
        found = {name: getattr(self, name) for name in ("u", "u0", "f", "theta", "solid")}
        return {name: values for name, values in found.items() if values is not None}

    def rows(self, part: slice | Sequence[int]) -> "TrajectorySet":
        """Some of the trajectories."""
        return replace(self, **{name: values[part] for name, values in self.arrays().items()})


def joined(parts: Sequence[TrajectorySet]) -> TrajectorySet:
    """The trajectories of several sets of one system and grid, one set behind the other."""
    first = parts[0]
    return replace(first, **{name: np.concatenate([part.arrays()[name] for part in parts]) for name in first.arrays()})


def write_trajectories(trajectories: TrajectorySet, path: str | Path) -> None:
    """The trajectories as HDF5 under its final name; equal content gives equal bytes.

    Axes are dimension scales, chunks one trajectory each. Raises DataError, before anything is written, for what
    `read_trajectories` would refuse.
    """
    path = Path(path)
    check_trajectories(trajectories, path.name)
    with new_hdf5(path) as file:
        scales = {"t": trajectories.times, **dict(zip("xy", trajectories.space))}
        for name, values in scales.items():
            file.create_dataset(name, data=np.asarray(values, dtype=np.float64)).make_scale(name)
        for name, values in trajectories.arrays().items():
            values = np.asarray(values, dtype=np.float32)
            data = file.create_dataset(
                name, data=values, chunks=_chunk(values), compression="gzip", compression_opts=1, shuffle=True
            )
            start, time = AXES.get(name, (0, ""))
            for axis, label in enumerate(time + "xy"[: len(trajectories.space)] if start else "", start=start):
                data.dims[axis].attach_scale(file[label])
        file.create_dataset("done", data=np.ones(len(trajectories), dtype=np.uint8))
        file.attrs["medidiff_format"] = FORMAT
        for name in ("fields", "parameters", "units", "facts"):
            file.attrs[name] = json.dumps(getattr(trajectories, name), sort_keys=True)


def read_trajectories(path: str | Path, *, rows: slice = slice(None)) -> TrajectorySet:
    """The trajectories of a file that `write_trajectories` wrote, or some of them; only those are read.

    Raises DataError for a damaged or foreign file, arrays that do not fit each other, times that are not uniform, trajectories
    that are not done, and values that are not finite, with their place.
    """
    path = Path(path)
    with open_hdf5(path) as file:
        if file.attrs.get("medidiff_format") != FORMAT:
            found = file.attrs.get("medidiff_format")
            raise DataError(f"{path.name}: medidiff_format: found {found!r}, expected {FORMAT}. Import it, or generate it.")
        described = {name: json.loads(file.attrs[name]) for name in ("fields", "parameters", "units", "facts")}
        arrays = {
            name: find_array(file, name, file=path.name, kinds=kinds)[rows] for name, kinds in KINDS.items() if name in file
        }
        times = find_array(file, "t", file=path.name, dims=(1,), kinds="f")[...]
        space = tuple(find_array(file, name, file=path.name, dims=(1,), kinds="f")[...] for name in "xy" if name in file)
        done = find_array(file, "done", file=path.name, dims=(1,), kinds="u")[rows]
    if missing := {"u", "u0"} - set(arrays):
        raise DataError(f"{path.name}: found no {', '.join(sorted(missing))}, expected it in trajectories. Make the file again.")
    if not done.all():
        raise DataError(f"{path.name}: {int((done == 0).sum())} trajectories are not done. Generate again; those done are kept.")
    names = {name: tuple(described[name]) for name in ("fields", "parameters")}
    found = TrajectorySet(times=times, space=space, units=described["units"], facts=described["facts"], **names, **arrays)
    check_trajectories(found, path.name)
    return found


def _chunk(values: np.ndarray) -> tuple[int, ...]:
    """One trajectory, or as much of it along the last axes as `LARGEST_CHUNK` holds."""
    chunk = [1, *values.shape[1:]]
    for axis in (*range(3, values.ndim), *range(1, min(3, values.ndim))):
        bytes_now = 4 * int(np.prod(chunk))
        if bytes_now <= LARGEST_CHUNK:
            break
        chunk[axis] = max(1, int(chunk[axis] * LARGEST_CHUNK / bytes_now))
    return tuple(chunk)
