"""Cell-local sources: stiff reactions and exchange, solved implicitly in all cells of all rows at once."""

import math
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

GAMMA = 1.0 - 1.0 / math.sqrt(2.0)  # of the L-stable SDIRK2 method (Alexander 1977)
NEWTON_LIMIT = 30
Rate = Callable[[Tensor, float], Tensor]  # U (b, component, cell), time -> dU/dt of the same shape, cell by cell


class Source(Protocol):
    """What a finite-volume model asks of a source."""

    def advance(self, values: Tensor, time: float, step: float) -> Tensor:
        """U (b, component, cell) after `step` seconds of the source alone, starting at `time`."""


class NoSource:
    """The source of pure transport."""

    def advance(self, values: Tensor, time: float, step: float) -> Tensor:
        """The values as they are."""
        return values


class StiffSource:
    """Any cell-local rate dU/dt = S(U, t), by an L-stable SDIRK2 step with Newton's method.

    rate   U (b, component, cell), time -> same shape; entry (b, :, cell) may depend only on the same entry of U

        K_1 = S(U + gamma dt K_1),  K_2 = S(U + (1 - gamma) dt K_1 + gamma dt K_2),  gamma = 1 - 1/sqrt 2
        U_new = U + dt ((1 - gamma) K_1 + gamma K_2)      (Alexander 1977; second order, R(infinity) = 0)

    The Jacobian comes from automatic differentiation, one sweep per component. Linear invariants of S are kept to rounding.
    """

    def __init__(self, rate: Rate, tolerance: float = 1e-13):
        self.rate = rate
        self.tolerance = tolerance

    def advance(self, values: Tensor, time: float, step: float) -> Tensor:
        """U (b, component, cell) after one step; raises ValueError where Newton's method fails."""
        first = self._stage(values, time + GAMMA * step, step)
        second = self._stage(values + (1 - GAMMA) * step * first, time + step, step)
        return values + step * ((1 - GAMMA) * first + GAMMA * second)

    def _stage(self, values: Tensor, time: float, step: float) -> Tensor:
        """K with K = S(values + gamma dt K, time)."""
        slope = self.rate(values, time)
        for _ in range(NEWTON_LIMIT):
            point = values + GAMMA * step * slope
            residual = self.rate(point, time) - slope
            matrix = _identity(point) - GAMMA * step * cell_jacobian(self.rate, point, time)
            change = torch.linalg.solve(matrix, residual.movedim(1, -1)).movedim(-1, 1)
            slope = slope + change
            size = (step * change).abs().max()
            if bool(size <= self.tolerance * (1e-30 + point.abs().max())):
                return slope
        raise ValueError(f"Newton's method did not converge in a source at t = {time:g} s; halve the time step.")


class LinearSource:
    """First-order exchange dU/dt = M U, by the implicit midpoint rule (Cayley); keeps linear invariants and moments.

    matrix   (component, component) or (b, component, component)   1/s

        U_new = (1 - M dt/2)^-1 (1 + M dt/2) U
    """

    def __init__(self, matrix: Tensor):
        self.matrix = matrix
        self.steps: dict[float, Tensor] = {}

    def advance(self, values: Tensor, time: float, step: float) -> Tensor:
        """U (b, component, cell) after one step."""
        if step not in self.steps:
            one = torch.eye(self.matrix.shape[-1], dtype=self.matrix.dtype, device=self.matrix.device)
            self.steps = {step: torch.linalg.solve(one - 0.5 * step * self.matrix, one + 0.5 * step * self.matrix)}
        return self.steps[step] @ values


def cell_jacobian(rate: Rate, values: Tensor, time: float) -> Tensor:
    """Jacobian of a cell-local rate in every cell.

    values    (b, component, cell)
    returns   (b, cell, component, component)   [..., i, j] = dS_i/dU_j, 1/s
    """
    with torch.enable_grad():
        point = values.detach().requires_grad_(True)
        slopes = rate(point, time) + 0.0 * point  # a constant rate has a tape, too
        rows = [
            torch.autograd.grad(slopes[:, component].sum(), point, retain_graph=True, materialize_grads=True)[0]
            for component in range(values.shape[1])
        ]
    return torch.stack(rows, dim=1).permute(0, 3, 1, 2)


def _identity(values: Tensor) -> Tensor:
    return torch.eye(values.shape[1], dtype=values.dtype, device=values.device)
