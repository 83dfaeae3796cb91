"""Trajectories of our own solvers, chunk by chunk: the same whatever the order, the workers and the grid they are kept on."""

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch

from medidiff.errors import ConfigError, NumericsError
from medidiff.io.pde.trajectories import TrajectorySet, joined, read_trajectories, write_trajectories
from medidiff.operators.chamber import AT_ONCE, draw_plumes, solve, walls
from medidiff.operators.distributions import draw_humps, draw_jumps, draw_waves
from medidiff.operators.imported import import_split
from medidiff.operators.systems import CHUNK, EQUATIONS, SPLITS, UNITS, SystemSettings
from physics.pde.burgers import burgers
from physics.pde.euler import Gas, compressible, conserved, primitive
from physics.pde.riemann import exact_riemann

SOLVERS = {
    "advection": "exact",
    "burgers": "ETDRK4 in sine space",
    "shock": "exact Riemann solution",
    "shock-pdebench": "MUSCL, HLLC, SSP-RK3",
    "smoke": "staggered grid, SSP-RK3, projection by sparse LU",
}


def generate(settings: SystemSettings, split: str, chunk: int) -> TrajectorySet:
    """The `CHUNK` trajectories of one chunk of a split, restricted to the grid of the settings.

    States are averaged over the solver's cells and taken at the frames that are kept; forces are averaged over cells and
    intervals. Random numbers are Philox's, of seed, system, split and chunk. Raises ConfigError for an unknown split,
    NumericsError where the solver fails.
    """
    if split not in SPLITS:
        raise ConfigError(f"split: found {split!r}, expected one of {', '.join(SPLITS)}.")
    entropy = [settings.seed, zlib.crc32(settings.system.encode()), SPLITS.index(split), chunk]
    generator = np.random.Generator(np.random.Philox(np.random.SeedSequence(entropy)))
    make = {"advection": _advection, "burgers": _burgers, "smoke": _smoke}.get(settings.system, _shock)
    try:
        u, u0, f, theta, names = make(settings, generator)
    except ValueError as error:
        raise NumericsError(f"{settings.system}, {split}, chunk {chunk}: {error}") from error
    for name, values in (("u", u), ("u0", u0)):
        if not np.isfinite(values).all():
            row = int(np.flatnonzero(~np.isfinite(values.reshape(len(values), -1)).all(1))[0])
            raise NumericsError(f"{settings.system}, {split}, chunk {chunk}: {name} of trajectory {row} is not finite. Refine x.")
    single = (None if values is None else values.astype(np.float32) for values in (u, u0, f, theta))
    return _assembled(settings, split, *single, names)


def generate_split(settings: SystemSettings, split: str, path: str | Path, *, count: int, client: Any = None) -> TrajectorySet:
    """The first `count` trajectories of a split, written to `path`; chunks that are there already are not made again.

    path     final file; chunks stand beside it in a folder of its name until it is whole
    client   of Dask, whose workers share the folder; None: chunk after chunk, here

    A system without a solver is cut out of its file instead, at once.
    """
    path = Path(path)
    if not settings.has_solver:
        found = import_split(settings, split, count=count)
        write_trajectories(found, path)
        return found
    folder = path.with_name(f"{path.stem}.chunks")
    files = [folder / f"chunk-{chunk:06d}.h5" for chunk in range(-(-count // CHUNK))]
    missing = [(chunk, file) for chunk, file in enumerate(files) if not _is_of(file, settings)]
    if client is None:
        for chunk, file in missing:
            _write_chunk(settings, split, chunk, file)
    else:
        client.gather([client.submit(_write_chunk, settings, split, chunk, file, pure=False) for chunk, file in missing])
    found = joined([read_trajectories(file) for file in files]).rows(slice(0, count))
    write_trajectories(found, path)
    for file in files:
        file.unlink()
    folder.rmdir()
    return found


def cell_average(values: np.ndarray, factor: int, *, axis: int = -1) -> np.ndarray:
    """Means of `factor` neighbours along a negative axis."""
    place = values.ndim + axis
    shape = (*values.shape[:place], values.shape[place] // factor, factor, *values.shape[place + 1 :])
    return values.reshape(shape).mean(place + 1)


def _write_chunk(settings: SystemSettings, split: str, chunk: int, file: Path) -> None:
    write_trajectories(generate(settings, split, chunk), file)


def _is_of(file: Path, settings: SystemSettings) -> bool:
    """Whether a chunk is there and was made with these settings."""
    return file.exists() and read_trajectories(file, rows=slice(0, 1)).facts["settings"] == _plain(settings)


def _plain(settings: SystemSettings) -> dict:
    return json.loads(settings.model_dump_json())


def _assembled(settings: SystemSettings, split: str, u, u0, f, theta, names: tuple[str, ...]) -> TrajectorySet:
    fields = settings.fields
    times = settings.duration_s * np.arange(1, settings.frames + 1) / settings.frames
    space = tuple(settings.start + settings.length * (np.arange(cells) + 0.5) / cells for cells in settings.grid)
    solid = None
    if settings.system == "smoke":
        solid = np.broadcast_to(walls(settings.cells).numpy(), (len(u), 1, *settings.grid)).astype(np.float32)
    facts = {
        "system": settings.system,
        "equation": EQUATIONS[settings.system],
        "boundary": settings.boundary,
        "solver": SOLVERS[settings.system],
        "restriction": "cell averages in space, every n-th frame in time",
        "split": split,
        "settings": _plain(settings),
    }
    units = {name: UNITS[name] for name in (*fields, *names, "t", *"xy"[: len(space)], *(() if f is None else ("f",)))}
    return TrajectorySet(u, u0, times, space, fields, f, theta, names, solid, units=units, facts=facts)


def _fine(settings: SystemSettings) -> np.ndarray:
    """Centres of the solver's cells."""
    return settings.start + settings.length * (np.arange(settings.solver_cells) + 0.5) / settings.solver_cells


def _kept(settings: SystemSettings, values: np.ndarray) -> np.ndarray:
    for axis in range(-len(settings.grid), 0):
        values = cell_average(values, settings.solver_cells // settings.cells, axis=axis)
    return values


def _burgers(settings: SystemSettings, generator: np.random.Generator) -> tuple:
    x, frames = _fine(settings), settings.solver_frames
    drawn, every = draw_humps(generator, CHUNK), frames // settings.frames
    u0, f = drawn.initial(x), drawn.forcing((np.arange(frames) + 0.5) / frames, x)
    times = settings.duration_s * np.arange(1, frames + 1) / frames
    with torch.inference_mode():
        states = burgers(torch.tensor(u0), torch.tensor(f), viscosity=settings.viscosity, times=times.tolist())
    u = _kept(settings, states[:, :, every - 1 :: every].numpy())
    force = cell_average(_kept(settings, f), every, axis=-2)
    return u, _kept(settings, u0), force, np.full((CHUNK, 1), settings.viscosity), ("viscosity",)


def _advection(settings: SystemSettings, generator: np.random.Generator) -> tuple:
    x, drawn = _fine(settings), draw_waves(generator, CHUNK)
    times = settings.duration_s * np.arange(settings.frames + 1) / settings.frames
    found = [_kept(settings, drawn.value(x - drawn.speeds[:, None] * time)) for time in times]
    return np.stack(found[1:], 1)[:, None], found[0][:, None], None, drawn.speeds[:, None], ("speed",)


def _smoke(settings: SystemSettings, generator: np.random.Generator) -> tuple:
    frames, drawn, every = settings.solver_frames, draw_plumes(generator, CHUNK), settings.solver_frames // settings.frames
    times = [settings.duration_s * (frame + 1) / frames for frame in range(frames)]
    u0, u, f = drawn.initial(_fine(settings)), [], []
    for first in range(0, CHUNK, AT_ONCE):  # of the fine grid, no more than these are in memory
        rows = slice(first, first + AT_ONCE)
        control = drawn.forcing(frames, settings.solver_cells, rows=rows)
        with torch.inference_mode():
            states = solve(settings, torch.tensor(u0[rows]), torch.tensor(control), times)
        u.append(_kept(settings, states[:, :, every - 1 :: every].numpy()))
        f.append(cell_average(_kept(settings, control), every, axis=-3))
    theta = np.tile([settings.viscosity, settings.buoyancy], (CHUNK, 1))
    return np.concatenate(u), _kept(settings, u0), np.concatenate(f), theta, ("viscosity", "buoyancy")


def _shock(settings: SystemSettings, generator: np.random.Generator) -> tuple:
    x, is_one = torch.tensor(_fine(settings)), settings.system == "shock"
    drawn, gamma = draw_jumps(generator, CHUNK, is_one=is_one), settings.gamma
    u0 = torch.tensor(drawn.initial(x.numpy()))
    times = [settings.duration_s * (frame + 1) / settings.frames for frame in range(settings.frames)]
    if is_one:
        sides, place = (torch.tensor(drawn.left), torch.tensor(drawn.right)), torch.tensor(drawn.places[:, :1])
        states = torch.stack([exact_riemann(*sides, gamma, (x - place) / time)[0] for time in times], 2)
    else:
        states = compressible(u0, times, gas=Gas(gamma), boundary=settings.boundary, length=settings.length)
    averages = [_kept(settings, conserved(state, gamma).numpy()) for state in (states, u0)]
    u, start = (primitive(torch.tensor(values), gamma).numpy() for values in averages)
    return u, start, None, np.full((CHUNK, 1), gamma), ("gamma",)
