"""Explicit time steps of third order, every trajectory of a batch with its own length."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor

from physics.pde.frames import replayed

STEP_LIMIT = 1_000_000  # steps per frame above which a run is given up
Slope = Callable[[Tensor, int, Tensor], Tensor]  # state (b, field, x), frame, time (b, 1, 1) -> its rate of change


def march_frames(state: Tensor, edges: list[float], *, slope: Slope, limit: Callable[[Tensor], Tensor]) -> Iterator[Tensor]:
    """The state (b, field, x) at the end of every frame, by SSP-RK3 (Shu and Osher 1988).

    state     (b, field, x)
    edges     t + 1            start, then the frame times, s
    slope                      see `Slope`; time reaches it as (b, 1, 1)
    limit     state -> (b, 1, 1)   longest stable step, s; steps within a frame are equal where the limit is

        U1 = U + dt L(U),  U2 = (3 U + U1 + dt L(U1))/4,  U_new = (U + 2 U2 + 2 dt L(U2))/3

    No trajectory depends on the others of its batch. Raises ValueError where a frame needs more than a million steps.
    """
    for frame, (start, end) in enumerate(pairwise(edges)):
        state = replayed(partial(_frame, partial(_step, slope, frame), limit, start, end), state)
        yield state


def _frame(step: Callable, limit: Callable[[Tensor], Tensor], start: float, end: float, state: Tensor) -> Tensor:
    """The state at the end of a frame."""
    duration = end - start
    elapsed = torch.zeros_like(state[:, :1, :1])
    rounding = 100 * torch.finfo(state.dtype).eps * duration
    while True:
        remaining = (duration - elapsed).clamp_min(0)
        if not bool((remaining > rounding).any()):
            return state
        with torch.no_grad():
            steps = torch.ceil(remaining / limit(state) - 1e-9).clamp_min(1)
            dt = remaining / steps
        if float(steps.max()) > STEP_LIMIT:
            raise ValueError(f"a frame of {duration:g} s needs {float(steps.max()):.2g} steps at t = {start:g}: the run blew up.")
        state = step(state, start + elapsed, dt)
        elapsed = elapsed + dt


def _step(slope: Slope, frame: int, state: Tensor, time: Tensor, dt: Tensor) -> Tensor:
    """One step of SSP-RK3."""
    first = state + dt * slope(state, frame, time)
    second = 0.25 * (3 * state + first + dt * slope(first, frame, time + dt))
    return (state + 2 * second + 2 * dt * slope(second, frame, time + 0.5 * dt)) / 3
