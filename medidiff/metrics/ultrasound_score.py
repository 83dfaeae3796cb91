"""The score of the DehazingEcho2025 challenge, whole or as far as its figures are known."""

import math
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Term:
    """A figure and the points it brings: none at `worst`, all at `best`, linear between, cut beyond."""

    figure: str
    points: float
    worst: float
    best: float


GROUPS = {  # name: weight in the score, terms
    "quality": (0.5, (Term("fid", 33, 150, 60), Term("cnr", 33, 1.0, 1.5), Term("gcnr", 34, 0.5, 0.8))),
    "distributions": (0.3, (Term("ks_a", 50, 0.3, 0.1), Term("ks_b", 50, 0.0, 0.5))),
    "segmentation": (0.2, (Term("dice", 50, 0.85, 0.95), Term("asd", 50, 2.0, 0.7))),
}


@dataclass(frozen=True)
class Group:
    """Points of one group of figures."""

    points: float  # of the figures that are known
    possible: float  # points that those could bring
    missing: tuple[str, ...]


@dataclass(frozen=True)
class Score:
    """The challenge's score; `value` is NaN while a figure is missing, as no part of it can be compared with a published one."""

    value: float
    groups: dict[str, Group]

    @property
    def missing(self) -> tuple[str, ...]:
        """Figures that are not known."""
        return tuple(name for group in self.groups.values() for name in group.missing)


def challenge_score(figures: Mapping[str, float]) -> Score:
    """Score of 0 to 100 of a set of images, from the means of their figures.

    figures   cnr, gcnr (256 equal bins), ks_a, ks_b on 8-bit images; fid, dice, asd where networks and labels for them exist.
              A figure that is absent or NaN is missing

        quality       = 33 c((150 - fid) / 90) + 33 c((cnr - 1) / 0.5) + 34 c((gcnr - 0.5) / 0.3)
        distributions = 50 c((0.3 - ks_a) / 0.2) + 50 c(ks_b / 0.5)
        segmentation  = 50 c((dice - 0.85) / 0.1) + 50 c((2 - asd) / 1.3)
        score         = 0.5 quality + 0.3 distributions + 0.2 segmentation,     c cuts to 0 .. 1

    Higher is not better everywhere: a ventricle painted black wins it. ValueError for a figure it does not know.
    """
    known = {term.figure for _, terms in GROUPS.values() for term in terms}
    if unknown := sorted(set(figures) - known):
        raise ValueError(f"found the figures {', '.join(unknown)}, expected some of {', '.join(sorted(known))}.")
    groups = {name: _group(figures, terms) for name, (_, terms) in GROUPS.items()}
    whole = not any(group.missing for group in groups.values())
    value = sum(weight * groups[name].points for name, (weight, _) in GROUPS.items()) if whole else math.nan
    return Score(value, groups)


def _group(figures: Mapping[str, float], terms: tuple[Term, ...]) -> Group:
    there = [term for term in terms if not math.isnan(figures.get(term.figure, math.nan))]
    shares = [(figures[term.figure] - term.worst) / (term.best - term.worst) for term in there]
    points = sum(term.points * min(max(share, 0.0), 1.0) for term, share in zip(there, shares))
    return Group(points, sum(term.points for term in there), tuple(term.figure for term in terms if term not in there))
