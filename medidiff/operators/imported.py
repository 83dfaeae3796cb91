"""Trajectories that we have no solver of, cut out of a gridded reanalysis and averaged to the grid of an operator."""

from pathlib import Path

import numpy as np

from medidiff.errors import DataError
from medidiff.io.pde.gridded import read_xarray
from medidiff.io.pde.trajectories import TrajectorySet
from medidiff.operators.systems import EQUATIONS, SPLITS, SystemSettings

SHARES = (
    0.7,
    0.1,
    0.1,
    0.1,
)  # of the time that the file covers, for the splits in their order: the past trains, the future tests
UNEVEN = 1e-3  # of the duration


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
