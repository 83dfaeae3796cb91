"""Inlet histories, as means over a time step: edges inside a step then cost no mass."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

Inlet = Callable[[float, float], Tensor]  # start, end of a step -> mean value (b, component)


def box(height: Tensor, duration: float) -> Inlet:
    """A box of the given height (b, component) from t = 0 to `duration` seconds; infinity is a step."""

    def mean(start: float, end: float) -> Tensor:
        return height * (max(0.0, min(end, duration) - max(start, 0.0)) / (end - start))

    return mean


def smooth(history: Callable[[float], Tensor], order: int = 4) -> Inlet:
    """The mean of any smooth history, time -> (b, component), by Gauss-Legendre quadrature of `order` points."""
    nodes, weights = np.polynomial.legendre.leggauss(order)

    def mean(start: float, end: float) -> Tensor:
        times = start + (end - start) * 0.5 * (nodes + 1.0)
        return torch.stack([0.5 * weight * history(float(time)) for time, weight in zip(times, weights)]).sum(dim=0)

    return mean
