"""The best start noise of a calibration set, used for every input afterwards (optimal boundary conditions)."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Start:
    """The start with the smallest error, and the errors of all."""

    u: Tensor  # (c, *space), at the first level of the grid, data unit
    index: int  # which candidate
    errors: Tensor  # (k,) mean over the calibration set of |sample - truth|^2, summed over elements, data unit squared


@torch.no_grad()
def best_start(run: Callable[[Tensor], Tensor], candidates: Tensor, truth: Tensor) -> Start:
    """The candidate from which a deterministic sampler comes nearest to the truth on a calibration set.

    run          (n, c, *space) starts -> samples: a sampler bound to the n measurements of the set
    candidates   (k, c, *space) starts at grid[0], white noise of that level
    truth        (n, c, *space)

    For a Gaussian posterior of covariance P and e = start / grid[0] the error is tr P + |P^(1/2) e|^2: 2 tr P at random, tr P for
    the best start there is. A fixed start gives point estimates, no posterior samples.
    """
    errors = torch.stack([squared_error(run(candidate.expand_as(truth)), truth) for candidate in candidates])
    index = int(errors.argmin())
    return Start(candidates[index], index, errors)


def squared_error(found: Tensor, truth: Tensor) -> Tensor:
    """Mean over the batch of the squared distance, float64."""
    return (found.double() - truth.double()).square().flatten(1).sum(1).mean()
