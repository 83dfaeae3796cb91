"""What is asked of an operator, and what is answered."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Problem:
    """Initial states, forces and parameters of a batch of trajectories, in the units of their fields."""

    initial: Tensor  # (b, field, x[, y])
    forcing: Tensor  # (b, force, t, x[, y]), on each interval between frames; (b, 0, t, x[, y]) where there is none
    parameters: Tensor  # (b, p), p may be 0

    def __len__(self) -> int:
        return len(self.initial)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Frames, then cells along every axis of space."""
        return tuple(self.forcing.shape[2:])

    @property
    def dims(self) -> int:
        """Axes of space."""
        return self.initial.ndim - 2

    def at(self, index: Tensor | slice) -> "Problem":
        """Some of the batch."""
        return Problem(self.initial[index], self.forcing[index], self.parameters[index])

    def repeated(self, members: int) -> "Problem":
        """Each of the batch `members` times in a row."""
        return Problem(*(value.repeat_interleave(members, 0) for value in (self.initial, self.forcing, self.parameters)))

    def to(self, device: str | torch.device) -> "Problem":
        """The same on a device."""
        return Problem(*(value.to(device) for value in (self.initial, self.forcing, self.parameters)))


@dataclass(frozen=True, eq=False)
class Solved:
    """Problems with their trajectories, as a solver gives them."""

    problem: Problem
    states: Tensor  # (b, field, t, x[, y]), frames t_1 .. t_nt

    def __len__(self) -> int:
        return len(self.states)

    def at(self, index: Tensor | slice) -> "Solved":
        """Some of the batch."""
        return Solved(self.problem.at(index), self.states[index])


@dataclass(frozen=True, eq=False)
class Trajectories:
    """Members of an ensemble for every problem, and what a reader should know."""

    states: Tensor  # (b, member, field, t, x[, y])
    spread: Tensor  # (b, field, t, x[, y]), half width of the 90 % interval around the mean; 0 with one member
    numbers: dict[str, float | int | str]
    warnings: tuple[str, ...] = ()

    @property
    def mean(self) -> Tensor:
        """(b, field, t, x[, y])"""
        return self.states.mean(1)


@dataclass(frozen=True, eq=False)
class Controlled:
    """Forces that lead to a target, with the objective by the model and by the solver."""

    forcing: Tensor  # (b, force, t, x), the best of all draws by the actual objective
    states: Tensor  # (b, field, t, x), the solver's under this force
    predicted: Tensor  # (b,) objective with the model's own final state
    actual: Tensor  # (b,) objective with the solver's
    all_predicted: Tensor  # (b, draw)
    all_actual: Tensor  # (b, draw)
    numbers: dict[str, float | int | str]
