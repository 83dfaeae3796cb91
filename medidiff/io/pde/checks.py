"""What every set of trajectories must hold before it is written and after it was read."""

from typing import TYPE_CHECKING

import numpy as np

from medidiff.errors import DataError

if TYPE_CHECKING:
    from medidiff.io.pde.trajectories import TrajectorySet

UNEVEN = 1e-3  # of a step, by which frames may miss their time


def check_trajectories(found: "TrajectorySet", file: str) -> None:
    """DataError unless shapes fit each other, frames are uniform, names are complete, and all values are finite."""
    _check_shapes(found, file)
    check_times(found.times, file)
    wanted = {*found.fields, *found.parameters, "t", *"xy"[: len(found.space)], *(("f",) if found.f is not None else ())}
    if missing := sorted(wanted - set(found.units)):
        raise DataError(f'{file}: no unit of {", ".join(missing)}; give one each, "1" for a pure number.')
    for name, values in found.arrays().items():
        check_values(name, values, found, file=file)


def check_times(times: np.ndarray, file: str) -> None:
    """DataError unless the frames are t_1 .. t_nt, one uniform step apart from 0 on."""
    times = np.asarray(times, dtype=float)
    step = times[-1] / len(times) if len(times) else 0.0
    if not np.isfinite(times).all() or step <= 0:
        raise DataError(f"{file}: times from {times[:1]} to {times[-1:]} do not increase from 0. Correct them.")
    wrong = np.flatnonzero(np.abs(np.diff(times, prepend=0.0) - step) > UNEVEN * step)
    if len(wrong):
        first = int(wrong[0])
        before = times[first - 1] if first else 0.0
        raise DataError(f"{file}: t jumps from {before:g} to {times[first]:g} after frame {first}; uniform frames are needed.")


def check_values(name: str, values: np.ndarray, found: "TrajectorySet", *, file: str) -> None:
    """DataError with the trajectory, time and place of the first value that is not finite."""
    bad = ~np.isfinite(values)
    if not bad.any():
        return
    row = int(np.flatnonzero(bad.reshape(len(values), -1).any(1))[0])
    place = np.argwhere(bad[row])[0]
    where = f", first at place {tuple(int(number) for number in place)}"
    if name in ("u", "f"):
        where = f", first at t = {found.times[place[1]]:g}, x = {int(place[2])}"
    raise DataError(f"{file}: {name}: trajectory {row}: {int(bad[row].sum())} values are not finite{where}. Compute it again.")


def _check_shapes(found: "TrajectorySet", file: str) -> None:
    grid, frames, count = tuple(len(axis) for axis in found.space), len(found.times), len(found.u)
    expected = {"u": (count, len(found.fields), frames, *grid), "u0": (count, len(found.fields), *grid)}
    if found.f is not None:
        if found.f.ndim > 2 and found.f.shape[2] == frames + 1:
            raise DataError(f"{file}: force has {frames + 1} intervals, {frames} frames are asked. Drop the padding row.")
        expected["f"] = (count, found.f.shape[1], frames, *grid)
    if found.theta is not None:
        expected["theta"] = (count, len(found.parameters))
    if found.solid is not None:
        expected["solid"] = (count, 1, *grid)
    for name, values in found.arrays().items():
        if values.shape != expected[name]:
            raise DataError(f"{file}: {name}: found the shape {values.shape}, expected {expected[name]} of the other arrays.")
    if not found.space or not count or not found.fields:
        raise DataError(f"{file}: found no trajectories, fields or axes of space, expected at least one of each.")
