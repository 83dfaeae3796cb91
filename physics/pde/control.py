"""Optimal control through differentiable solvers: the yardstick of every learned controller.

J(f) = integral of |u(T) - target|^2 dx  +  weight · integral of f^2 dx dt,    u solves Burgers' equation with force f
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from physics.pde.burgers import burgers
from physics.pde.frames import frame_edges


@dataclass(frozen=True)
class Optimum:
    """What a minimisation found."""

    control: Tensor  # (b, ...)
    objective: Tensor  # (b,)      at that control
    evaluations: int  # of objective and gradient


@dataclass(frozen=True)
class BurgersControl:
    """The problem of steering Burgers' equation on [0, 1] to a target by a force that is constant on each frame interval."""

    u0: Tensor  # (b, 1, x)
    target: Tensor  # (b, 1, x)   wanted at the last frame
    times: Tensor  # (t,)        of the frames
    viscosity: float = 0.01
    weight: float = 0.01  # of the force, alpha
    substeps: int | None = None  # per frame; fixed ones keep J smooth

    def run(self, force: Tensor) -> Tensor:
        """Frames (b, 1, t, x) under a force (b, 1, t, x); raises ValueError as `burgers`."""
        return burgers(self.u0, force, viscosity=self.viscosity, times=self.times, substeps=self.substeps)

    def objective(self, force: Tensor) -> Tensor:
        """J (b,) of a force, through the solver."""
        return self.score(self.run(force)[:, :, -1], force)

    def score(self, end: Tensor, force: Tensor) -> Tensor:
        """J (b,) of a last frame (b, 1, x), whoever predicted it, and a force."""
        miss = (end - self.target).square().flatten(1).mean(dim=1)
        effort = (force.square().mean(dim=-1) * self._durations(force)).flatten(1).sum(dim=1)
        return miss + self.weight * effort

    def optimise(self, *, iterations: int = 60) -> Optimum:
        """The force that minimises J, from zero force, by the exact gradient of the discrete solver."""
        start = self.u0.new_zeros((len(self.u0), 1, len(self.times), self.u0.shape[-1]))
        size = (self._durations(start).mean() / start.shape[-1]).rsqrt()
        return minimise(self.objective, start, size=float(size), iterations=iterations)

    def feedback(self, proportional: float, integral: float) -> Tensor:
        """The force (b, 1, t, x) of a closed loop:  f = proportional · e + integral · sum of e dt,  e = target - u."""
        u, total, edges, forces = self.u0, torch.zeros_like(self.u0), frame_edges(self.times), []
        for start, end in pairwise(edges):
            error = self.target - u
            total = total + (end - start) * error
            forces.append(proportional * error + integral * total)
            force = forces[-1].unsqueeze(2)
            u = burgers(u, force, viscosity=self.viscosity, times=[end - start], substeps=self.substeps)[:, :, -1]
        return torch.stack(forces, dim=2)

    def _durations(self, like: Tensor) -> Tensor:
        """Lengths (t,) of the frame intervals."""
        return like.new_tensor(frame_edges(self.times)).diff()


def minimise(
    objective: Callable[[Tensor], Tensor], start: Tensor, *, size: float = 1.0, iterations: int = 60, history: int = 20
) -> Optimum:
    """A local minimum of independent problems, by L-BFGS with a strong Wolfe search on the sum of their objectives.

    objective    (b, ...) -> (b,)   differentiable
    start        (b, ...)
    size                            unit in which the control is searched; 1/sqrt(dx dt) makes the gradient that of L2
    iterations                      of L-BFGS; the objective is evaluated at most 5/4 times as often, but for the last search
    history                         gradients that shape the step
    returns                         the best control that was evaluated, per problem (Liu and Nocedal 1989)
    """
    scaled = (start / size).detach().clone().requires_grad_(True)
    search = torch.optim.LBFGS(
        [scaled],
        max_iter=iterations,
        max_eval=iterations + iterations // 4,
        history_size=history,
        tolerance_grad=1e-10,
        tolerance_change=1e-13,
        line_search_fn="strong_wolfe",
    )
    best, lowest, evaluations = start.detach().clone(), objective(start).detach(), 0

    def closure() -> Tensor:
        nonlocal best, lowest, evaluations
        search.zero_grad()
        values = objective(size * scaled)
        total = values.sum()
        total.backward()
        is_better = values.detach() < lowest
        lowest = torch.where(is_better, values.detach(), lowest)
        best = torch.where(is_better.reshape(-1, *(1 for _ in start.shape[1:])), size * scaled.detach(), best)
        evaluations += 1
        return total

    search.step(closure)
    return Optimum(best, lowest, evaluations)
