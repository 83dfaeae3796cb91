"""Whether a way to save time is worth its error: every option beside the plain one, which is to take fewer levels."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from medidiff.diffusion.denoiser import Denoiser
from medidiff.diffusion.sample import Step, sample


@dataclass(frozen=True)
class Trial:
    """What the options are compared on."""

    start: Tensor  # (b, c, *space) states at the first level
    grid_of: Callable[[int], Tensor]  # grids of any number of levels between the same ends
    levels: int  # of the reference
    step: Step
    distance: Callable[[Tensor], float]  # of a set of samples: W2 to true data, or an error of the task
    repeats: int = 5  # timed runs, of which the median counts
    clock: Callable[[], float] = time.perf_counter  # s


@dataclass(frozen=True)
class Outcome:
    """One row: an option, and fewer levels at equal time."""

    name: str
    seconds: float  # for the whole batch
    speedup: float  # over the reference
    path_error: float  # relative L2 from the reference's samples, same starts
    distance: float  # of the set of samples
    fewer_levels: int  # of the unchanged network, in the same time
    fewer_path_error: float
    fewer_distance: float

    @property
    def loses(self) -> bool:
        """Whether fewer levels would have been nearer to the reference in the same time."""
        return self.fewer_path_error <= self.path_error

    @property
    def verdict(self) -> str:
        """The row in one sentence."""
        found = f"{self.name}: x{self.speedup:.2f}, path error {self.path_error:.2g}, set distance {self.distance:.3g}"
        plain = f"{self.fewer_levels} levels in the same time: {self.fewer_path_error:.2g}, {self.fewer_distance:.3g}"
        return f"{found}; {plain}; {'loses' if self.loses else 'wins'}"


def compare_options(plain: Denoiser, options: Mapping[str, Denoiser], trial: Trial) -> list[Outcome]:
    """One outcome per option.

    plain     the network as it is, float32
    options   by name, the same prior made faster

    The alternative of an option that takes a share q of the reference's time is the plain network on q times its steps,
    rounded down.
    """
    reference, seconds = _timed(plain, trial, trial.levels)
    return [_outcome(name, option, plain, trial, reference, seconds) for name, option in options.items()]


def _outcome(name: str, option: Denoiser, plain: Denoiser, trial: Trial, reference: Tensor, seconds: float) -> Outcome:
    found, taken = _timed(option, trial, trial.levels)
    steps = min(int((trial.levels - 1) * taken / seconds + 1e-9), trial.levels - 1)
    fewer = max(steps, 1) + 1
    alternative = _run(plain, trial, fewer)
    return Outcome(
        name=name,
        seconds=taken,
        speedup=seconds / taken,
        path_error=_relative(found, reference),
        distance=trial.distance(found),
        fewer_levels=fewer,
        fewer_path_error=_relative(alternative, reference),
        fewer_distance=trial.distance(alternative),
    )


def _timed(denoiser: Denoiser, trial: Trial, levels: int) -> tuple[Tensor, float]:
    found = _run(denoiser, trial, levels)  # not timed: memory is laid out, kernels are chosen
    times = []
    for _ in range(trial.repeats):
        begin = trial.clock()
        found = _run(denoiser, trial, levels)
        times.append(trial.clock() - begin)
    return found, sorted(times)[len(times) // 2]


@torch.no_grad()
def _run(denoiser: Denoiser, trial: Trial, levels: int) -> Tensor:
    found = sample(denoiser, trial.start, trial.grid_of(levels), trial.step)
    if found.is_cuda:
        torch.cuda.synchronize(found.device)
    return found


def _relative(found: Tensor, reference: Tensor) -> float:
    return float((found - reference).norm() / reference.norm())
