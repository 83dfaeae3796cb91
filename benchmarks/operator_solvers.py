"""What does a step of our own solvers cost per cell, beside the least traffic that memory allows?"""

from collections.abc import Callable

import torch

from benchmarks.record import Row, interleaved
from physics.pde.burgers import burgers, burgers_fv
from physics.pde.euler import Gas, compressible
from physics.pde.flow import Flow
from physics.pde.mac import Box
from physics.pde.pressure import Projection

BYTES = 16  # a float64 read and written once
FRAMES = 20
STREAM = 2**24  # float64 numbers, far beyond every cache


def solver_rows(*, is_quick: bool = False) -> list[Row]:
    """A row per solver and size: microseconds per cell-step, and the floor of reading and writing the state once a stage.

    is_quick   the smallest size of each, fewer repeats
    returns    times are processor time of one thread without GPU (`clock`); a step counts all its stages
    """
    repeats, per_byte = 3 if is_quick else 5, seconds_per_byte()
    rows = []
    for name, case, run, cell_steps, stage_bytes in _cases(is_quick):
        seconds = interleaved({name: run}, repeats)[name]
        floor = stage_bytes * per_byte * 1e6
        note = f"{seconds / cell_steps * 1e6 / floor:.0f} times the floor"
        rows.append(Row(name, case, seconds / cell_steps * 1e6, "us per cell-step", floor=floor, note=note))
    return rows


def seconds_per_byte() -> float:
    """Time to move one byte, from a copy of an array that fits no cache (reading and writing counted)."""
    source, target = torch.zeros(STREAM, dtype=torch.float64), torch.zeros(STREAM, dtype=torch.float64)
    return interleaved({"copy": lambda: target.copy_(source)}, 5)["copy"] / (BYTES * STREAM)


def _cases(is_quick: bool) -> list[tuple[str, str, Callable[[], object], int, int]]:
    """Name, case, run, cell-steps of the run, bytes of the state that all stages of a step must move per cell."""
    cases = []
    for cells, batch in ((256, 32),) if is_quick else ((64, 64), (256, 32), (1024, 16)):
        cases += [_spectral(cells, batch), _volumes("muscl", cells, batch)]
        cases += [_tube(kind, cells, batch) for kind in ("muscl", "weno")]
    for cells in (32,) if is_quick else (32, 64, 128):
        cases += [_smoke(cells, 8, has_wall=has_wall) for has_wall in (False, True)]
    return cases


def _waves(cells: int, batch: int) -> torch.Tensor:
    """Sines of several heights (b, 1, x)."""
    x = (torch.arange(cells, dtype=torch.float64) + 0.5) / cells
    return torch.linspace(0.5, 1, batch, dtype=torch.float64).reshape(-1, 1, 1) * torch.sin(2 * torch.pi * x)


def _spectral(cells: int, batch: int) -> tuple[str, str, Callable[[], object], int, int]:
    u0, steps = _waves(cells, batch), 50
    run = lambda: burgers(u0, None, viscosity=0.01, times=[0.5 * steps / cells], substeps=steps)
    return (
        "burgers_etdrk4",
        f"{cells} cells, batch {batch}, float64, walls",
        _without_tape(run),
        cells * batch * steps,
        4 * 2 * BYTES,
    )


def _volumes(kind: str, cells: int, batch: int) -> tuple[str, str, Callable[[], object], int, int]:
    u0, viscosity = _waves(cells, batch), 0.64 / cells
    times = [0.2 / cells * index for index in range(1, FRAMES + 1)]  # within the limit: one step for each frame
    run = lambda: burgers_fv(u0, None, viscosity=viscosity, times=times, boundary="periodic", reconstruction=kind)
    return f"burgers_{kind}", f"{cells} cells, batch {batch}, float64", _without_tape(run), cells * batch * FRAMES, 3 * BYTES


def _tube(kind: str, cells: int, batch: int) -> tuple[str, str, Callable[[], object], int, int]:
    waves = 2 + _waves(cells, batch)
    state = torch.cat([waves, torch.zeros_like(waves), waves], dim=1)
    times = [0.3 / cells * index for index in range(1, FRAMES + 1)]  # speed of sound 1.2: one step for each frame
    run = lambda: compressible(state, times, gas=Gas(1.4), boundary="periodic", reconstruction=kind)
    return f"compressible_{kind}", f"{cells} cells, batch {batch}, float64", _without_tape(run), cells * batch * FRAMES, 9 * BYTES


def _smoke(cells: int, batch: int, *, has_wall: bool) -> tuple[str, str, Callable[[], object], int, int]:
    solid = torch.zeros(cells, cells, dtype=torch.bool)
    if has_wall:
        solid[cells // 4 : cells // 2, cells // 2] = True
    box = Box(solid, 1 / cells, ("top",)) if has_wall else Box(solid, 1 / cells, is_periodic=True)
    flow = Flow(box, Projection(box), buoyancy=1.0)
    smoke = torch.rand(batch, cells, cells, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    calm = smoke.new_zeros((batch, 2, cells, cells))
    start = (smoke.new_zeros((batch, cells + 1, cells)), smoke.new_zeros((batch, cells, cells + 1)), smoke)
    run = lambda: flow.step(start, calm, 0.1 / cells)
    kind = "walls, sparse LU" if has_wall else "ring, FFT"
    return "smoke_step", f"{cells} x {cells}, batch {batch}, float64, {kind}", _without_tape(run), cells**2 * batch, 9 * BYTES


def _without_tape(run: Callable[[], object]) -> Callable[[], object]:
    """The run without a record for gradients."""

    def quiet() -> object:
        with torch.no_grad():
            return run()

    return quiet
