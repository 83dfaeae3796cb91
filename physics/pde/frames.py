"""What every time-dependent solver does at its boundary: checks of times, states and forces, frames that cost little memory."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

Force = Tensor | Callable[[Tensor], Tensor] | None  # constant on each frame interval, or a function of time, or none
GROWTH_LIMIT = 4.0  # of a maximum over what the maximum principle allows within one frame


def frame_edges(times: Sequence[float] | Tensor) -> list[float]:
    """Start time 0 and the frame times as floats; raises ValueError unless they increase.

    times     (t,)       s
    returns   t + 1      s
    """
    edges = [0.0, *torch.as_tensor(times, dtype=torch.float64).reshape(-1).tolist()]
    for index, (before, after) in enumerate(pairwise(edges)):
        if not (after > before and math.isfinite(after)):
            raise ValueError(
                f"frame times must increase from 0: frame {index} is at t = {after:g} after {before:g}. "
                "The state at t = 0 is the initial state, not a frame."
            )
    return edges


def check_state(name: str, state: Tensor, fields: int) -> None:
    """Raises ValueError unless a state is (b, fields, x), real and finite."""
    if state.ndim != 3 or state.shape[1] != fields or not state.is_floating_point():
        raise ValueError(f"{name} has shape {tuple(state.shape)} and type {state.dtype}; expected real (batch, {fields}, x).")
    check_finite(name, state)


def check_finite(name: str, values: Tensor) -> None:
    """Raises ValueError with the first place where values (b, ...) are not finite."""
    bad = (~torch.isfinite(values)).nonzero()
    if len(bad):
        trajectory, *place = bad[0].tolist()
        raise ValueError(f"trajectory {trajectory}: {len(bad)} values of {name} are not finite, first at index {tuple(place)}.")


class FrameForce:
    """A force by frame and time, after its shape and values were checked; raises ValueError where they do not fit."""

    def __init__(self, force: Force, state: Tensor, frames: int):
        """The force of a run.

        force     (b, field, t, x), one per frame interval; or time -> (b, field, x); or None
        state     (b, field, x)
        frames    t
        """
        self.is_constant = not callable(force)
        if isinstance(force, Tensor):
            if force.shape[-2] == frames + 1:
                raise ValueError(f"force has {frames + 1} intervals, {frames} frames are asked. Drop the padding row.")
            expected = (*state.shape[:2], frames, *state.shape[2:])
            if force.shape != expected:
                raise ValueError(f"force has shape {tuple(force.shape)}; expected {expected}: one force per frame interval.")
            check_finite("force", force)
        self.force, self.nothing = force, torch.zeros_like(state)

    def __call__(self, frame: int, time: Tensor) -> Tensor:
        """The force (b, field, x) at a time inside a frame interval."""
        if self.force is None:
            return self.nothing
        return self.force[:, :, frame] if self.is_constant else self.force(time)


def per_member(value: float | Tensor, state: Tensor) -> Tensor:
    """A parameter, one number or one per trajectory (b,), as (b or 1, 1, 1) of the state's type."""
    return torch.as_tensor(value, dtype=state.dtype, device=state.device).reshape(-1, *(1 for _ in state.shape[1:]))


def replayed(step: Callable[..., Tensor], *state: Tensor) -> Tensor:
    """step(*state), whose inner states are computed again in the backward pass instead of kept; it may not differentiate."""
    if torch.is_grad_enabled():
        return checkpoint(step, *state, use_reentrant=False, preserve_rng_state=False)
    return step(*state)


def check_growth(frame: Tensor, allowed: Tensor, *, time: float, advice: Callable[[float], str]) -> None:
    """Raises ValueError where a frame (b, ...) is not finite or far above what the maximum principle allows (b,)."""
    size = frame.detach().abs().flatten(1).amax(dim=1)
    bad = (~(size <= GROWTH_LIMIT * allowed + 1e-6)).nonzero()
    if len(bad):
        trajectory = int(bad[0])
        largest = float(size[trajectory])
        raise ValueError(f"trajectory {trajectory}: max u = {largest:.3g} at t = {time:g}. {advice(largest)}")
