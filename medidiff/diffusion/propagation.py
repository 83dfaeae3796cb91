"""Mean and covariance of what a sampler returns, exactly: with an affine denoiser every step is affine in state and noise.

Gain, offset and noise gain of a step are read off by probes, so any method, any rule and any memory of earlier predictions is
followed without drawing a sample.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from medidiff.diffusion.denoiser import Denoiser
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.sample import State, Step

Draws = dict[int | str, Tensor]  # the name of a draw of noise -> one item of its shape


@dataclass(frozen=True)
class Moments:
    """Mean (n,) and covariance (n, n) of a flattened state."""

    mean: Tensor
    covariance: Tensor


@dataclass(frozen=True)
class Probe(Noise):
    """Noise that is a given tensor for each draw, and zero (and noted) for draws that are not given."""

    given: Draws = field(default_factory=dict)
    asked: Draws = field(default_factory=dict)

    def __call__(self, step: int, like: Tensor, draw: int | str = 0) -> Tensor:
        self.asked[draw] = like[:1]
        return self.given.get(draw, torch.zeros_like(like))


def propagated(step: Step, denoiser: Denoiser, grid: Tensor, *, start: Moments, shape: tuple[int, ...]) -> Moments:
    """Mean and covariance of the state at the last level of the grid.

    step, denoiser, grid    as in `sample`; the denoiser affine in u and blind to the other items of a batch
    start                   moments of the flattened state at grid[0]
    shape                   of one item of the state, (c, *space)
    """

    def take(state: State, noise: Noise) -> State:
        return step(denoiser, state, grid, noise)

    moments, size, draws = start, start.mean.numel(), {}
    for index in range(len(grid) - 1):
        moments, draws = moved(take, moments, index=index, shape=shape, draws=draws)
    return Moments(moments.mean[:size], moments.covariance[:size, :size])


def moved(
    take: Callable[[State, Noise], State], moments: Moments, *, index: int, shape: tuple[int, ...], draws: Draws
) -> tuple[Moments, Draws]:
    """Moments of (state, history) after one step, and the draws it made, from the moments before and the draws it may make.

    m' = F m + f,   S' = F S F^T + N N^T    with F, f and N read off at 0, at the unit vectors and at unit noise
    """
    count, dtype = moments.mean.numel(), moments.mean.dtype
    total = 1 + count + sum(like.numel() for like in draws.values())
    inputs = torch.zeros(total, count, dtype=dtype)
    inputs[1 : 1 + count] = torch.eye(count, dtype=dtype)
    given, place = {}, 1 + count
    for draw, like in draws.items():
        unit = torch.zeros(total, like.numel(), dtype=dtype)
        unit[place : place + like.numel()] = torch.eye(like.numel(), dtype=dtype)
        given[draw], place = unit.view(-1, *like.shape[1:]), place + like.numel()
    probe, tensors = Probe(given=given), inputs.view(total, -1, *shape).unbind(1)
    after = take(State(tensors[0], index, tensors[1:]), probe)
    if not probe.asked.keys() <= draws.keys():
        return moved(take, moments, index=index, shape=shape, draws={**draws, **probe.asked})
    out = torch.stack([after.u, *after.history], 1).flatten(1)
    gain = (out[1:] - out[0]).T
    state, noise = gain[:, :count], gain[:, count:]
    return Moments(state @ moments.mean + out[0], state @ moments.covariance @ state.T + noise @ noise.T), draws
