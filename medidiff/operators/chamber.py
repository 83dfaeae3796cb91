"""Smoke in a chamber of thin walls with seven exits: the geometry, its draws, and the solver on any grid."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from medidiff.operators.systems import SystemSettings
from physics.pde.flow import Flow
from physics.pde.mac import Box
from physics.pde.pressure import Projection
from physics.pde.smoke import frozen_smoke, smoke

PARTS = 32  # into which the walls divide each side; a grid has a multiple of it
WALLS = (  # 16, each from x0 to x1 and from y0 to y1, in parts of the side; the exits are the gaps in the rim
    *((0, 5, 31, 32), (9, 14, 31, 32), (18, 23, 31, 32), (27, 32, 31, 32)),
    *((0, 1, 1, 8), (0, 1, 12, 20), (0, 1, 24, 31)),
    *((31, 32, 1, 8), (31, 32, 12, 20), (31, 32, 24, 31)),
    (0, 32, 0, 1),
    *((6, 13, 15, 16), (19, 26, 15, 16), (11, 12, 20, 27), (20, 21, 20, 27), (13, 19, 8, 9)),
)
OPEN_SIDES = ("left", "right", "top")
RIM = 8  # parts of 64 from every side that are under control
BLOCK = 11 / 64  # side of the block of smoke, m
SPEED = 0.25  # largest mean of the control along each axis: m/s of frozen flow, else m/s^2
JITTER = 0.1  # standard deviation of the control around its mean, over SPEED
TURNS = 4  # mean controls of a trajectory, between which it changes linearly
AT_ONCE = 8  # trajectories in memory on the solver's grid


def walls(cells: int) -> Tensor:
    """Solid cells (x, y) of the chamber; `cells` is a multiple of 32."""
    solid, scale = torch.zeros(cells, cells, dtype=torch.bool), cells // PARTS
    for left, right, low, high in WALLS:
        solid[left * scale : right * scale, low * scale : high * scale] = True
    return solid


def rim(cells: int) -> Tensor:
    """Cells (x, y) under control: an eighth of the side from every side."""
    width, inside = cells * RIM // 64, torch.ones(cells, cells, dtype=torch.bool)
    inside[width:-width, width:-width] = False
    return inside


@dataclass(frozen=True)
class Plumes:
    """Where the blocks of smoke are, and the controls; every array (b, ...)."""

    corners: np.ndarray  # (b, 2)   lower left, m
    means: np.ndarray  # (b, 2, turn)
    seeds: np.ndarray  # (b,)       of the jitter

    def initial(self, x: np.ndarray) -> np.ndarray:
        """Smoke and no velocity (b, 3, x, y): 1 in the block, 0 in walls."""
        inside = [(x >= self.corners[:, axis, None]) & (x < self.corners[:, axis, None] + BLOCK) for axis in (0, 1)]
        block = inside[0][:, :, None] & inside[1][:, None, :] & ~walls(len(x)).numpy()
        return np.stack([block.astype(float), *np.zeros((2, *block.shape))], 1)

    def forcing(self, frames: int, cells: int, *, rows: slice) -> np.ndarray:
        """The control (b, 2, t, x, y) of some rows, on the rim: a mean that turns slowly, and white noise around it."""
        turns = np.linspace(0, TURNS - 1, frames)
        low = np.minimum(turns.astype(int), TURNS - 2)
        means = self.means[rows]
        mean = means[..., low] * (1 - (turns - low)) + means[..., low + 1] * (turns - low)
        noise = [
            np.random.Generator(np.random.Philox(int(seed))).normal(size=(2, frames, cells, cells)) for seed in self.seeds[rows]
        ]
        return (mean[..., None, None] + SPEED * JITTER * np.stack(noise)) * rim(cells).numpy()


def draw_plumes(generator: np.random.Generator, count: int) -> Plumes:
    """A block of smoke at a place below the lowest wall, and four mean controls ("Wavelet Diffusion Neural Operator" 2025)."""
    part = 1 / PARTS
    corners = np.stack([generator.uniform(part, 1 - part - BLOCK, count), generator.uniform(part, 8 * part - BLOCK, count)], 1)
    return Plumes(corners, SPEED * generator.uniform(-1, 1, (count, 2, TURNS)), generator.integers(0, 2**62, count))


@cache
def _flow(cells: int, viscosity: float, buoyancy: float) -> Flow:
    box = Box(walls(cells), 1 / cells, OPEN_SIDES)
    return Flow(box, Projection(box), viscosity, buoyancy)


def solve(system: SystemSettings, initial: Tensor, forcing: Tensor, times: list[float]) -> Tensor:
    """Frames (b, 3, t, x, y) of smoke and velocity, float64, of initial states (b, 3, x, y) and controls (b, 2, t, x, y).

    The grid is that of the arguments. Raises ValueError for grids on which the walls cannot stand, and as the solver does.
    """
    cells = initial.shape[-1]
    if cells % PARTS:
        raise ValueError(f"the chamber's walls need a multiple of {PARTS} cells, found {cells}. Resample.")
    flow, found = _flow(cells, system.viscosity, system.buoyancy), []
    for first in range(0, len(initial), AT_ONCE):
        start, control = initial[first : first + AT_ONCE], forcing[first : first + AT_ONCE]
        given = {"flow": flow, "times": times}
        if system.dynamics == "frozen":
            run = frozen_smoke(start[:, :1], start[:, 1:], control, rim=rim(cells), **given)
        else:
            run = smoke(start[:, :1], start[:, 1:], control, **given)
        found.append(run.frames)
    return torch.cat(found)
