"""What five folds say of all patients: Dice, the gap as a switch, calibration and the traffic light, judged on unseen folds."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from benchmarks.record import Row
from benchmarks.segmentation_answers import Answers, mirror, patient
from benchmarks.segmentation_folds import FOLDS, Budget, answers_of, partition
from benchmarks.segmentation_quality import apart, mean_row
from medidiff.io.volume import Grid
from medidiff.metrics.calibration import reliability
from medidiff.metrics.error_detection import auroc
from medidiff.metrics.overlap import dice
from medidiff.segmentation.calibration import fit_calibration, near, tempered_probability
from medidiff.segmentation.settings import SegmentSettings
from medidiff.segmentation.task import segment
from medidiff.segmentation.thresholds import largest_component
from medidiff.segmentation.trust import Evidence, judge
from medidiff.segmentation.uncertainty import entropy

GAPS = (*np.linspace(0.05, 1.0, 20).round(2), np.inf)  # at which the switch may stand
POOR = 0.7  # Dice below which a mask should not be green
METHODS = ("unet", "ensemble", "one_step", "watershed")


@dataclass(eq=False)
class Case:
    """One patient, and what networks that have not seen it say."""

    name: str
    fold: int
    grid: Grid
    truth: NDArray[np.bool_]
    answers: Answers = field(repr=False)
    watershed: NDArray[np.bool_] = field(repr=False)

    def mask(self, method: str) -> NDArray[np.bool_]:
        """The largest part of an answer."""
        return self.watershed if method == "watershed" else largest_component(self.answers[method] >= 0.5)

    def dice(self, method: str) -> float:
        return dice(self.mask(method), self.truth)

    @property
    def gap(self) -> float:
        """Of volume, between ensemble and one step, without its sign."""
        return abs(float(self.answers["volume_gap"]))


def folds(quick: bool) -> Iterator[Row]:
    """Trains what is missing of five folds, then tells of them."""
    if mirror() is None:
        yield Row("dice_folds", "all patients", note="no MEDIDIFF_MIRROR: not measured")
        return
    budget = Budget(1, 1, 8, 40, 2, 2, 1) if quick else Budget()
    parts = [partition()[0][:1]] if quick else partition()
    yield from tell([case for fold, names in enumerate(parts) for case in cases(fold, names, budget)], budget)


def cases(fold: int, names: Sequence[str], budget: Budget) -> Iterator[Case]:
    """The patients of a fold."""
    for name, found in answers_of(fold, names, budget).items():
        ct, pet, contour = patient(name)
        flooded = largest_component(segment(ct, pet, method="watershed").mask.array > 0)
        yield Case(name, fold, pet.grid, contour.array > 0, found, flooded)


def tell(known: list[Case], budget: Budget) -> Iterator[Row]:
    """All rows of the patients at hand."""
    done = len({case.fold for case in known})
    about = f"{len(known)} patients of {done} of {FOLDS} folds, each unseen, {budget.words}"
    table = {method: np.array([case.dice(method) for case in known]) for method in METHODS}
    for method, values in table.items():
        yield mean_row("dice_folds", f"{about}, {method}", values)
    pairs = (("ensemble", "unet"), ("ensemble", "one_step"), ("ensemble", "watershed"), ("unet", "watershed"))
    for one, other in pairs:
        yield apart("dice_folds_difference", f"{about}, {one} - {other}", table[one] - table[other])
    yield from switch(known, table, about)
    yield from light(known, table["ensemble"], about)
    if done > 1:
        for method in ("unet", "ensemble"):
            yield from calibration(known, method, about)


def switch(known: list[Case], table: dict[str, NDArray], about: str) -> Iterator[Row]:
    """The one-step answer where the gap is large: its limit is chosen on the other folds, and judged on each."""
    gaps, gain = np.array([case.gap for case in known]), table["one_step"] - table["ensemble"]
    fold = np.array([case.fold for case in known])
    chosen = {one: max(GAPS, key=lambda limit: gain[(fold != one) & (gaps > limit)].sum()) for one in np.unique(fold)}
    taken = np.array([gap > chosen[one] for gap, one in zip(gaps, fold)])
    words = ", ".join(f"{limit:g}" for limit in chosen.values())
    yield apart("switch", f"{about}, switched - ensemble", np.where(taken, gain, 0), f"limits {words}; {taken.sum()} switched")
    fixed = gaps > SegmentSettings().diffusion.trusted_gap
    note = f"limit {SegmentSettings().diffusion.trusted_gap:g}, the default; {fixed.sum()} switched"
    yield apart("switch", f"{about}, switched at the default - ensemble", np.where(fixed, gain, 0), note)
    for limit in (0.1, 0.2, 0.3):
        if 0 < (gaps > limit).sum() < len(gaps):
            large, small = gain[gaps > limit], gain[gaps <= limit]
            note = f"{len(large)} patients above {limit:g}; the other {len(small)}: {small.mean():+.3f}"
            yield apart("switch", f"{about}, one_step - ensemble where the gap is above {limit:g}", large, note)
    rank = spearmanr(gaps, gain)
    yield Row("switch", f"{about}, rank correlation of gap and gain of one step", float(rank[0]), note=f"p = {rank[1]:.2f}")


def evidence(case: Case) -> dict[str, float]:
    """What could tell that the ensemble's mask is poor, each larger where it should be."""
    found, mask = case.answers, case.mask("ensemble")
    p, inside = found["ensemble"].astype(float), max(int(mask.sum()), 1)
    low, high = float(found["volume_low_ml"]), float(found["volume_high_ml"])
    return {
        "volume gap": case.gap,
        "gap of the maps": float(found["gap"]),
        "spread of volumes": (high - low) / max((high + low) / 2, 1e-3),
        "entropy over volume": float(entropy(p).sum()) / inside,
        "variance over volume": float(found["variance"].sum(dtype=float)) / inside,
        "1 - expected Dice": 1 - 2 * float(p[mask].sum()) / max(float(p.sum()) + inside, 1e-3),
        "1 - Dice with the watershed": 1 - float(found["baseline_dice"]),
        "1 - Dice with the U-Net": 1 - dice(mask, case.mask("unet")),
        "unfamiliar features": float(found["strange"]),
        "parts left out": 1 - inside / max(int((p >= 0.5).sum()), 1),
        "small volume": -float(mask.sum() * case.grid.voxel_ml),
    }


def light(known: list[Case], reached: NDArray, about: str) -> Iterator[Row]:
    """Whether the light and each piece of evidence tell poor masks from good ones."""
    poor = reached < POOR
    colours = [judge(light_evidence(case)).colour for case in known]
    doubted = np.array([colour != "green" for colour in colours])
    table = {colour: reached[np.array(colours) == colour] for colour in ("green", "yellow", "red")}
    note = "; ".join(f"{colour}: {len(values)}, mean Dice {values.mean():.2f}" for colour, values in table.items() if len(values))
    case = f"{about}, {poor.sum()} with Dice < {POOR:g}"
    yield Row("light_folds", f"{case}, AUROC of not green", auroc(doubted, poor), note=note)
    found = [evidence(one) for one in known]
    for name in found[0]:
        values = np.array([one[name] for one in found])
        rank = spearmanr(values, reached)
        note = f"{ability(values, poor)}; rank correlation with Dice {rank[0]:+.2f}, p = {rank[1]:.3f}"
        yield Row("light_folds", f"{case}, AUROC of {name}", auroc(values, poor), note=note)


def light_evidence(case: Case) -> Evidence:
    """What the light is given."""
    found = case.answers
    numbers = {name: float(found[name]) for name in ("baseline_dice", "volume_gap", "volume_low_ml", "volume_high_ml")}
    return Evidence(
        strange=("unfamiliar",) * int(found["strange"]),
        volume_ml=float(case.mask("ensemble").sum() * case.grid.voxel_ml),
        is_one_step=case.gap > SegmentSettings().diffusion.trusted_gap,
        **numbers,
    )


def ability(values: NDArray, poor: NDArray) -> str:
    """The bootstrap interval of an AUROC over patients."""
    generator = np.random.default_rng(0)
    draws = [auroc(values[i], poor[i]) for i in generator.integers(len(values), size=(2000, len(values)))]
    low, high = np.nanpercentile(draws, [2.5, 97.5])
    return f"95 % {low:.2f} to {high:.2f}"


def calibration(known: list[Case], method: str, about: str) -> Iterator[Row]:
    """Temperature and factor of volumes, fitted on all folds but one and judged on it."""
    domains = [near(one.answers[method], one.truth, one.grid.spacing_mm) for one in known]
    before, after, true, inside, fitted = [], [], [], [], []
    for fold in sorted({one.fold for one in known}):
        rest = [(one, where) for one, where in zip(known, domains) if one.fold != fold]
        columns = [one.answers[method] for one, _ in rest], [one.truth for one, _ in rest], [where for _, where in rest]
        temperature, ratio = fit_calibration(*columns)
        fitted.append(f"{temperature:.2f} and {ratio:.2f}" if ratio else f"{temperature:.2f} and none")
        for one, where in zip(known, domains):
            if one.fold == fold:
                p = one.answers[method]
                before.append(p[where])
                after.append(tempered_probability(p, temperature)[where])
                true.append(one.truth[where])
                found = one.mask(method).sum() / one.truth.sum()
                inside.append(bool(ratio and 1 / ratio <= found <= ratio))
    note = f"temperature and factor of each fold: {'; '.join(fitted)}"
    for words, values in (("before", before), ("after", after)):
        each = [reliability(p, y).ece for p, y in zip(values, true)]
        yield mean_row("ece_folds", f"{about}, {method}, within 10 mm, mean of patients, {words}", each)
        together = reliability(np.concatenate(values), np.concatenate(true)).ece
        yield Row("ece_folds", f"{about}, {method}, within 10 mm, voxels together, {words}", together, note=note)
    yield Row("volume_promise_folds", f"{about}, {method}, truth in the promised 90 %", float(np.mean(inside)), note=note)
