"""Level grids that fit a prior and a sampler, found by evolution: the one speed option that costs nothing in use."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from medidiff.diffusion.denoiser import Denoiser
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.sample import Step, sample
from medidiff.errors import ConfigError


@dataclass(frozen=True)
class Evolution:
    parents: int = 8  # grids that survive a round
    children: int = 8  # new grids per round
    rounds: int = 40
    mutation: float = 0.3  # relative change of the gaps between levels, in ln sigma; halved by the last round
    crossing: float = 0.5  # how often a child has two parents
    seed: int = 0


def search_levels(
    error: Callable[[Tensor], float],
    candidates: Sequence[Tensor],
    *,
    settings: Evolution = Evolution(),
    on_round: Callable[[int, float], None] = lambda index, best: None,
) -> tuple[Tensor, float]:
    """The grid of least error that evolution found, and its error; never worse than the best candidate.

    error        of a grid, e.g. `path_error(...)`; the smaller the better
    candidates   grids (n,) of equal length and equal ends, positive: Karras, uniform lambda, uniform flow
    on_round     progress: number of the round, least error so far

    AutoDiffusion (arXiv 2309.10438), on the gaps between levels in ln sigma. Raises ConfigError for candidates of unequal ends.
    """
    _check(candidates)
    ends = candidates[0][[0, -1]]
    pool = sorted(((error(grid), grid) for grid in candidates), key=lambda found: found[0])[: settings.parents]
    for index in range(settings.rounds):
        generator = Noise(settings.seed).generator(index, "levels", "search")
        strength = settings.mutation * (1 - index / (2 * settings.rounds))
        children = [
            _child([grid for _, grid in pool], ends, strength, settings.crossing, generator) for _ in range(settings.children)
        ]
        pool = sorted(pool + [(error(grid), grid) for grid in children], key=lambda found: found[0])[: settings.parents]
        on_round(index, pool[0][0])
    return pool[0][1], pool[0][0]


def path_error(denoiser: Denoiser, start: Tensor, truth: Tensor, step: Step) -> Callable[[Tensor], float]:
    """A function grid -> relative L2 error of the samples it leads to.

    start   (b, c, *space)   states at the first level
    truth   (b, c, *space)   where the ODE leads them, from many levels or in closed form
    """

    @torch.no_grad()
    def error(grid: Tensor) -> float:
        return float((sample(denoiser, start, grid, step) - truth).norm() / truth.norm())

    return error


def _child(pool: list[Tensor], ends: Tensor, strength: float, crossing: float, generator: torch.Generator) -> Tensor:
    def pick() -> Tensor:
        # the square favours the front of the pool, which is sorted
        place = float(torch.rand((), generator=generator)) ** 2
        return -pool[int(place * len(pool))].log().diff()

    gaps = pick()
    if float(torch.rand((), generator=generator)) < crossing:
        gaps = (gaps + pick()) / 2
    gaps = gaps * torch.exp(strength * torch.randn(len(gaps), generator=generator, dtype=torch.float64))
    total = float((ends[0] / ends[1]).log())
    grid = ends[0] * torch.exp(-torch.cat([gaps.new_zeros(1), (gaps / gaps.sum() * total).cumsum(0)]))
    grid[-1] = ends[1]
    return grid


def _check(candidates: Sequence[Tensor]) -> None:
    shapes = {(len(grid), float(grid[0]), float(grid[-1])) for grid in candidates}
    if len(shapes) != 1 or float(candidates[0][-1]) <= 0 or len(candidates[0]) < 3:
        raise ConfigError(
            f"candidates have (levels, first, last) {sorted(shapes)}; expected 3 or more levels and the same positive ends"
        )
