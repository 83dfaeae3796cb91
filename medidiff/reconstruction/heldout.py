"""Which result the data support: hide some views or lines, reconstruct from the others, predict what was hidden."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from medidiff.errors import DataError
from medidiff.reconstruction.operators import Scan

FEWEST = 6  # views or lines from which some can be spared
# Of 9 validation cases (chests and a patient, 4 under the wrong prior), gains of 0.77 to 1.06 went with images from 1.5 dB worse
# than total variation's to equal ones, gains of 1.27 to 1.64 with images from 0.2 dB worse to 1.4 dB better.
MARGIN = 1.15  # how much better a prior must predict
UNSURE = 1.2  # factor to both sides of the margin within which one split does not decide: gains of two splits differ so much
TINY = 1e-30  # in place of an error of 0


@dataclass(frozen=True, eq=False)
class Split:
    """A scan in two: what the solver sees and what it must predict."""

    fit: Scan
    held: Scan


def split(scan: Scan, *, share: float, seed: int) -> Split:
    """The scan without a random share of its views or lines, and these alone.

    share   of those that may be hidden, at least two of them; no two are neighbours in the order of measurement

    DataError where there are too few.
    """
    if len(scan.hideable) < FEWEST:
        raise DataError(
            f"found {len(scan.hideable)} views or lines that can be held out, expected at least {FEWEST}. "
            f"Name a method and its weight instead of letting the data choose."
        )
    hidden = set(spread(len(scan.hideable), max(2, round(share * len(scan.hideable))), seed=seed))
    held = [index for place, index in enumerate(scan.hideable) if place in hidden]
    everything = range(scan.operator.range[scan.operator.measurement_axis])
    return Split(scan.keep([index for index in everything if index not in set(held)]), scan.keep(held))


def spread(size: int, count: int, *, seed: int) -> list[int]:
    """`count` of 0 .. size - 1 at random, rising, no two neighbours; the last is a neighbour of the first.

    At most half of them can be: then every second.
    """
    generator = torch.Generator().manual_seed(seed)
    count = min(count, size // 2)
    gaps = torch.sort(torch.randperm(size - count, generator=generator)[:count]).values.tolist()  # count of the places that stay
    shift = int(torch.randint(size, (1,), generator=generator))
    return sorted((gap + place + shift) % size for place, gap in enumerate(gaps))


Solve = Callable[[Scan], Tensor]  # a scan -> volume in window units


@dataclass(frozen=True, eq=False)
class Choice:
    """Which candidate predicts hidden measurements best, and how well each does."""

    name: str
    scores: dict[str, float]  # |A_H x - y_H| / |y_H|, mean over the splits that were needed
    splits: int


def choose(scan: Scan, candidates: dict[str, Solve], *, share: float, tie: float, seed: int) -> Choice:
    """The candidate that predicts hidden measurements best.

    candidates   name -> solver; an earlier one wins where the scores are equal
    tie          relative difference of the best two below which a second split is asked
    """
    totals = dict.fromkeys(candidates, 0.0)
    for splits in (1, 2):
        parts = split(scan, share=share, seed=seed + splits - 1)
        for name, solve in candidates.items():
            totals[name] += parts.held.misfit(solve(parts.fit))
        ranked = sorted(totals.values())
        if len(ranked) == 1 or ranked[1] - ranked[0] > tie * ranked[0]:
            break
    scores = {name: total / splits for name, total in totals.items()}
    return Choice(min(scores, key=scores.__getitem__), scores, splits)


@dataclass(frozen=True, eq=False)
class Verdict:
    """Whether the data support a prior, and by how much."""

    gain: float  # error of the plain solver over that with the prior, of hidden measurements, beyond their noise
    plain_score: float  # |A_H x - y_H| / |y_H|, mean over the splits that were needed
    prior_score: float
    splits: int

    @property
    def is_supported(self) -> bool:
        """Whether the prior predicts hidden measurements better by the margin that makes its image the better one too."""
        return self.gain > MARGIN


def judge(scan: Scan, *, plain: Solve, prior: Solve, share: float, seed: int) -> Verdict:
    """Whether a solver with a prior predicts hidden measurements better than a plain one.

    share   of the views or lines that are hidden

    The errors count beyond what the noise explains, for near the noise all scores look alike. Equal scores do not make equal
    images: a prior fits the views between those it has seen before it is right about what lies between, so it must be MARGIN
    better. A gain near that asks for a second split.
    """
    errors, scores = [0.0, 0.0], [0.0, 0.0]
    for splits in (1, 2):
        parts = split(scan, share=share, seed=seed + splits - 1)
        for index, solve in enumerate((plain, prior)):
            x = solve(parts.fit)
            errors[index] += parts.held.unexplained(x)
            scores[index] += parts.held.misfit(x)
        gain = errors[0] / max(errors[1], TINY)
        if not MARGIN / UNSURE < gain < MARGIN * UNSURE:
            break
    return Verdict(gain, scores[0] / splits, scores[1] / splits, splits)
