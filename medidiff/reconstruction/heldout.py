"""Which result the data support: hide some views or lines, reconstruct from the others, predict what was hidden."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from medidiff.errors import DataError
from medidiff.reconstruction.operators import Scan

FEWEST = 6  # views or lines from which some can be spared


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
    """What held-out measurements say of several candidates."""

    name: str  # of the best one
    scores: dict[str, float]  # |A_H x - y_H| / |y_H| of each, lower is better; mean over the splits that were needed
    splits: int
    is_tie: bool  # the best two are no further apart than `tie`, even after a second split
    volumes: dict[str, Tensor]  # of each, from the last split


def choose(scan: Scan, candidates: dict[str, Solve], *, share: float, tie: float, seed: int) -> Choice:
    """The candidate that predicts hidden measurements best.

    candidates   name -> solver; an earlier one wins where the scores are equal
    tie          relative difference of the best two below which a second split is asked
    """
    totals, volumes, is_tie = dict.fromkeys(candidates, 0.0), {}, True
    for splits in (1, 2):
        parts = split(scan, share=share, seed=seed + splits - 1)
        for name, solve in candidates.items():
            volumes[name] = solve(parts.fit)
            totals[name] += parts.held.misfit(volumes[name])
        ranked = sorted(totals.values())
        is_tie = len(ranked) > 1 and ranked[1] - ranked[0] <= tie * ranked[0]
        if not is_tie:
            break
    scores = {name: total / splits for name, total in totals.items()}
    return Choice(min(scores, key=scores.__getitem__), scores, splits, is_tie, volumes)


def steadiest(choice: Choice, finals: dict[str, Tensor]) -> str:
    """Of several candidates the one whose volume changed least, relatively, when the hidden measurements were given back.

    finals   name -> volume from all measurements
    """

    def change(name: str) -> float:
        return float(torch.linalg.vector_norm(finals[name] - choice.volumes[name]) / torch.linalg.vector_norm(finals[name]))

    return min(finals, key=change)
