"""A chromatographic column as a finite-volume model: for what has no transfer function, and to check what has one."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from physics.chromatography.column import relative_pressure
from physics.pde.finite_volume import Model
from physics.pde.inlet import box
from physics.pde.source import GAMMA, LinearSource, Source

Factor = Callable[[float], Tensor]  # time -> k (analyte,)


def compressible_model(
    retention: Tensor, desorption: Tensor, *, length: float, inlet_velocity: float, pressure_ratio: float, injection: float
) -> Callable[[int], Model]:
    """Linear peaks on an isothermal compressible column, for any number of cells; unit height of the box injection.

    retention        (analyte,)   k
    desorption       (analyte,)   kd, 1/s
    returns          cells -> model of batch = analytes and components (c, alpha q); start it from zeros (analyte, 2, cell)

    The outlet's flux concentration over the feed's is the model's outlet c divided by P.
    """
    forward, back = retention * desorption, desorption
    matrix = torch.stack([torch.stack([-forward, back], dim=-1), torch.stack([forward, -back], dim=-1)], dim=-2)
    return lambda cells: _model(
        cells, LinearSource(matrix), length, lambda time: inlet_velocity, pressure_ratio, _feed(len(retention), injection)
    )


def programmed_model(
    factor: Factor,
    desorption: Tensor,
    *,
    length: float,
    inlet_velocity: Callable[[float], float],
    pressure_ratio: float,
    injection: float,
) -> Callable[[int], Model]:
    """Linear peaks on a column whose temperature, the same everywhere, changes in time; arguments as `compressible_model`.

    factor           time -> k (analyte,)
    inlet_velocity   time -> u0, m/s

    The source is L-stable: at the cold start k kd dt may be 10^9.
    """
    feed, source = _feed(len(desorption), injection), ProgrammedExchange(factor, desorption)
    return lambda cells: _model(cells, source, length, inlet_velocity, pressure_ratio, feed)


class ProgrammedExchange:
    """Linear exchange with a retention factor that changes in time, by L-stable SDIRK2 whose stages are in closed form.

    factor       time -> k (analyte,)
    desorption   (analyte,)            kd, 1/s

        r = kd (k c - q),     implicit stage: r = kd (k c - q)/(1 + gamma dt kd (1 + k))
    """

    def __init__(self, factor: Factor, desorption: Tensor):
        self.factor, self.desorption = factor, desorption[:, None]

    def advance(self, values: Tensor, time: float, step: float) -> Tensor:
        """(c, alpha q) (analyte, 2, cell) after one step."""
        first = self._stage(values, time + GAMMA * step, step)
        second = self._stage(values + (1 - GAMMA) * step * torch.stack([-first, first], dim=1), time + step, step)
        moved = step * ((1 - GAMMA) * first + GAMMA * second)
        return values + torch.stack([-moved, moved], dim=1)

    def _stage(self, values: Tensor, time: float, step: float) -> Tensor:
        k = self.factor(time)[:, None]
        rate = self.desorption * (k * values[:, 0] - values[:, 1])
        return rate / (1 + GAMMA * step * self.desorption * (1 + k))


def _feed(analytes: int, injection: float):
    height = torch.zeros((analytes, 2), dtype=torch.float64)
    height[:, 0] = 1.0
    return box(height, injection)


def _model(cells: int, source: Source, length: float, inlet_velocity, pressure_ratio: float, feed) -> Model:
    """Mobile component at u0(t)/phat(x), immobile component at rest; their sum is conserved."""
    phat = relative_pressure(np.linspace(0.0, length, cells + 1), length=length, pressure_ratio=pressure_ratio)
    profile = torch.stack([torch.as_tensor(1.0 / phat), torch.zeros(cells + 1, dtype=torch.float64)])
    total = torch.ones((1, 2), dtype=torch.float64)
    return Model(length, lambda time: inlet_velocity(time) * profile, feed, source=source, conserved=total)
