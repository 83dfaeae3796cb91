"""Trajectories that we have no solver of, cut out of a gridded reanalysis and averaged to the grid of an operator."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from medidiff.errors import DataError
from medidiff.io.pde.gridded import read_xarray
from medidiff.io.pde.trajectories import TrajectorySet
from medidiff.operators.systems import EQUATIONS, SPLITS, UNITS, SystemSettings

SHARES = (
    0.7,
    0.1,
    0.1,
    0.1,
)  # of the time that the file covers, for the splits in their order: the past trains, the future tests
UNEVEN = 1e-3  # of the duration
THEIRS = {"beta": "speed", "Nu": "viscosity"}  # parameters of PDEBench: ours
PARAMETERS = {
    "advection": ("speed",),
    "burgers": ("viscosity",),
    "shock": ("gamma",),
    "shock-pdebench": ("gamma",),
    "smoke": ("viscosity", "buoyancy"),
    "era5": (),
}


def import_split(settings: SystemSettings, split: str, *, count: int) -> TrajectorySet:
    """The first `count` trajectories of a split of the settings' file, on the settings' grid.

    Splits are parts of the time that the file covers, one after the other, so that none sees another's future. Cells are
    averages over equal numbers of longitudes and latitudes; latitudes that are left over in the north are cut off. Raises
    DataError for a file with too few times or cells, or frames that are not those of the settings.
    """
    found = read_xarray(settings.source, variables=settings.variables, frames=settings.frames, level=settings.level)
    name, duration = Path(settings.source).name, float(found.times[-1])
    if abs(duration - settings.duration_s) > UNEVEN * duration:
        raise DataError(
            f"{name}: {settings.frames} frames take {duration:g} s, found duration_s {settings.duration_s:g}. Correct it."
        )
    place = SPLITS.index(split)
    first, last = (round(len(found) * sum(SHARES[:end])) for end in (place, place + 1))
    if last - first < count:
        raise DataError(f"{name}: {split} has {last - first} of its {len(found)} trajectories, expected {count}. Ask for fewer.")
    part = found.rows(slice(first, first + count))
    factor, grid = _factor(tuple(len(axis) for axis in part.space), settings.grid, name), settings.grid
    u, u0 = (_averaged(values, factor, grid) for values in (part.u, part.u0))
    space = tuple(_averaged(axis, factor, (cells,)).astype(float) for axis, cells in zip(part.space, grid, strict=True))
    facts = {
        **part.facts,
        "system": settings.system,
        "equation": EQUATIONS[settings.system],
        "boundary": settings.boundary,
        "solver": "none: a reanalysis",
        "restriction": "cell averages in space",
        "split": split,
        "settings": settings.model_dump(mode="json"),
    }
    return TrajectorySet(u, u0, part.times, space, part.fields, units=part.units, facts=facts)


def known_as(found: TrajectorySet, settings: SystemSettings, *, file: str) -> TrajectorySet:
    """Trajectories of others as those of one of our systems, with its names, units and settings, so that operators take them.

    Parameters of one value come from the settings where the file has none of them. Raises DataError for other grids, frames,
    numbers of fields or forces than the settings'.
    """
    sizes, wanted = found.u.shape[1:], (len(settings.fields), settings.frames, *settings.grid)
    duration = float(found.times[-1])
    if sizes != wanted or abs(duration - settings.duration_s) > UNEVEN * duration:
        raise DataError(
            f"{file}: found {sizes} fields, frames and cells in {duration:g} s, expected {wanted} in {settings.duration_s:g} s "
            f"of {settings.system}. Correct the settings."
        )
    forced = settings.system in ("burgers", "smoke")
    if forced != (found.f is not None):
        raise DataError(f"{file}: found {'no ' * forced}forces, {settings.system} has {'them' if forced else 'none'}.")
    names = PARAMETERS[settings.system]
    theta = {name: np.full(len(found), getattr(settings, name, np.nan)) for name in names}
    theirs = {THEIRS.get(name, name): found.theta[:, place] for place, name in enumerate(found.parameters)}
    theta |= {name: values for name, values in theirs.items() if name in theta}
    if missing := [name for name, values in theta.items() if not np.isfinite(values).all()]:
        raise DataError(
            f"{file}: found no {', '.join(missing)}, which {settings.system} has. It cannot be told from the settings."
        )
    units = {name: UNITS[name] for name in (*settings.fields, *names, "t", *"xy"[: len(found.space)], *["f"] * forced)}
    facts = {
        **found.facts,
        "system": settings.system,
        "equation": EQUATIONS[settings.system],
        "boundary": settings.boundary,
        "settings": settings.model_dump(mode="json"),
    }
    values = np.stack([*theta.values()], 1).astype(np.float32)
    return replace(found, fields=settings.fields, theta=values, parameters=names, units=units, facts=facts)


def _factor(sizes: tuple[int, ...], grid: tuple[int, ...], name: str) -> int:
    """How many places along every axis make one cell."""
    factor = sizes[0] // grid[0]
    if sizes[0] % grid[0] or any(size < factor * cells for size, cells in zip(sizes, grid, strict=True)):
        raise DataError(f"{name}: found {sizes} places, expected a multiple of {grid[0]} along x and enough along y. Resample.")
    return factor


def _averaged(values: np.ndarray, factor: int, grid: tuple[int, ...]) -> np.ndarray:
    """Means over blocks of `factor` places along each of the last axes, as many as the grid has cells."""
    for place, cells in enumerate(grid, start=values.ndim - len(grid)):
        values = values.take(range(factor * cells), axis=place)
        values = values.reshape(*values.shape[:place], cells, factor, *values.shape[place + 1 :]).mean(place + 1)
    return np.ascontiguousarray(values, dtype=np.float32)
