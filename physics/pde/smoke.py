"""Smoke in two dimensions, driven by buoyancy and a control, among obstacles and out of open sides."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor

from physics.pde.flow import Flow, State
from physics.pde.frames import check_finite, frame_edges, replayed
from physics.pde.mac import SIDES, to_centres, to_faces


@dataclass(frozen=True)
class SmokeRun:
    """Frames of a run and the smoke that left."""

    frames: Tensor  # (b, 3, t, x, y)   smoke, and velocity in the cells, m/s
    outflow: Tensor  # (b, 4, t)        smoke · m^2 that left within each frame by the sides left, right, bottom, top

    def missed_share(self, side: str, density: Tensor, width: float) -> Tensor:
        """Share (b,) of the initial smoke (b, 1, x, y) that has not left by a side: what the control of smoke minimises."""
        return 1 - self.outflow[:, SIDES.index(side)].sum(dim=-1) / (density.flatten(1).sum(dim=1) * width**2)


def smoke(density: Tensor, velocity: Tensor, control: Tensor, *, flow: Flow, times: Sequence[float] | Tensor) -> SmokeRun:
    """Frames of smoke and flow by the Navier-Stokes equations, the control acting as a force.

    density    (b, 1, x, y)      smoke at t = 0
    velocity   (b, 2, x, y)      m/s in the cells; projected before the run
    control    (b, 2, t, x, y)   acceleration in the cells, m/s^2, constant on each frame interval
    flow                         box, viscosity and buoyancy; one box for the whole batch
    times      (t,)              s, increasing; t = 0 is the initial state
    returns                      raises ValueError on bad input and where the run blows up

    Memory for gradients is the frames; the pressure is never differentiated through its solver.
    """
    return _run(density, velocity, control, times, partial(_forced, flow), flow)


def frozen_smoke(
    density: Tensor, velocity: Tensor, control: Tensor, *, flow: Flow, rim: Tensor, times: Sequence[float] | Tensor
) -> SmokeRun:
    """Frames of smoke in a flow without momentum equation, as in the data of WDNO (Hu et al. 2025), for comparison.

    control   (b, 2, t, x, y)   velocity in the cells, m/s, taken over where `rim` is set
    rim       (x, y) bool       cells under control
    others                      as for `smoke`; viscosity and buoyancy are not used

        velocity <- P((1 - rim) velocity + rim · control)   once per frame; then smoke is carried
    """
    weights = to_faces(rim.to(density).expand(1, 2, *rim.shape), flow.box)
    return _run(density, velocity, control, times, partial(_steered, flow, weights), flow)


def _run(density: Tensor, velocity: Tensor, control: Tensor, times: Sequence[float] | Tensor, frame, flow: Flow) -> SmokeRun:
    """Frames from a function of control (b, 2, x, y), duration and state that gives the next state and its losses."""
    edges, shape = frame_edges(times), tuple(flow.box.solid.shape)
    _check_shapes(density, velocity, control, frames=len(edges) - 1, shape=shape)
    density = density[:, 0] * (~flow.box.solid).to(density)
    state: State = (*flow.projection(*to_faces(velocity, flow.box)), density)
    frames, losses = [], []
    for index, (start, end) in enumerate(pairwise(edges)):
        *state, lost = replayed(partial(frame, control[:, :, index], end - start), *state)
        frames.append(torch.cat([state[2].unsqueeze(1), to_centres(*state[:2])], dim=1))
        losses.append(lost)
        check_finite(f"the frame at t = {end:g}", frames[-1].detach())
    return SmokeRun(torch.stack(frames, dim=2), torch.stack(losses, dim=2))


def _forced(flow: Flow, force: Tensor, duration: float, *state: Tensor) -> tuple[Tensor, ...]:
    """State after a frame of forced flow, and its losses."""
    lost = state[2].new_zeros((len(state[2]), 4))
    while duration > 0:
        count = max(1, math.ceil(duration / flow.limit(state, force) - 1e-9))
        state, more = flow.step(state, force, duration / count)
        lost, duration = lost + more, duration - duration / count if count > 1 else 0.0
    return *state, lost


def _steered(flow: Flow, weights: tuple[Tensor, Tensor], control: Tensor, duration: float, *state: Tensor) -> tuple[Tensor, ...]:
    """State after a frame in the flow that the control leaves, and its losses."""
    mixed = [(1 - weight) * old + weight * new for weight, old, new in zip(weights, state[:2], to_faces(control, flow.box))]
    state, lost = (*flow.projection(*mixed), state[2]), state[2].new_zeros((len(state[2]), 4))
    count = max(1, math.ceil(duration / flow.limit(state)))
    for _ in range(count):
        state, more = flow.carry(state, duration / count)
        lost = lost + more
    return *state, lost


def _check_shapes(density: Tensor, velocity: Tensor, control: Tensor, *, frames: int, shape: tuple[int, ...]) -> None:
    """Raises ValueError unless all arrays fit the box and the frames, and are finite."""
    if control.ndim == 5 and control.shape[2] == frames + 1:
        raise ValueError(f"control has {frames + 1} intervals, {frames} frames are asked. Drop the padding row.")
    batch = len(density)
    expected = {
        "density": (density, (batch, 1, *shape)),
        "velocity": (velocity, (batch, 2, *shape)),
        "control": (control, (batch, 2, frames, *shape)),
    }
    for name, (values, wanted) in expected.items():
        if tuple(values.shape) != wanted:
            raise ValueError(f"{name} has shape {tuple(values.shape)}; expected {wanted}.")
        check_finite(name, values)
