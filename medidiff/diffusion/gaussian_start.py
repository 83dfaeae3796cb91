"""The first part of a trajectory without calling the network: far from the data every prior looks like its Gaussian."""

from typing import Protocol

from torch import Tensor

from medidiff.errors import ConfigError


class Flow(Protocol):
    """A Gaussian prior whose ODE is solved in closed form, as `Gaussian` and `Stationary`."""

    def flow(self, u: Tensor, a: float, b: float) -> Tensor: ...


def gaussian_start(prior: Flow, u: Tensor, *, start: float, stop: float, largest_std: float) -> Tensor:
    """The state at level `stop` on the ODE of the prior's Gaussian, from `u` at level `start`; no network call.

    largest_std   the largest standard deviation of the data along any mode, data unit

        u(b) = mean + Q sqrt((l + b^2) / (l + a^2)) Q^T (u - mean)

    Wang and Vastola 2023 (arXiv 2303.02490). Raises ConfigError below twice the largest standard deviation, where modes of the
    data begin to decide the path.
    """
    if stop < 2 * largest_std:
        raise ConfigError(
            f"stop {stop:g} is below twice the largest standard deviation of the data ({largest_std:g}); "
            f"skip down to {2 * largest_std:g} at most"
        )
    return prior.flow(u, start, stop)
