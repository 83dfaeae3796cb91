"""A traffic light per study: whether a network's mask can be trusted, and every reason against it.

Reasons need no truth. What they are worth is measured where there is one: `benchmarks/segmentation.py`, row `light`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from medidiff.io.volume import Volume
from medidiff.metrics.overlap import dice
from medidiff.segmentation.settings import WatershedSettings
from medidiff.segmentation.thresholds import largest_component
from medidiff.segmentation.watershed import flood_lesions

COLOURS = ("green", "yellow", "red")
WIDE_INTERVAL = 0.5  # of the middle of the members' volumes: from this width on they do not agree
DOUBTFUL_GAP = 0.2  # of volume, between the ensemble and the one-step answer
OTHER_LESION = 0.1  # Dice with the watershed of the PET, below which the two show different things
UNLIKE_BASELINE = 0.35  # and below which they hardly agree; a good mask of a sarcoma reaches about 0.65
MANY = 3  # reasons for yellow that are red together


@dataclass(frozen=True)
class Light:
    """green, yellow or red, and why; green has no reason."""

    colour: str
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Evidence:
    """What is known of a mask without the truth; None where a method cannot say."""

    implausible: Sequence[str] = ()  # of units, modalities, spacing, uptake: `plausibility.doubts`
    strange: Sequence[str] = ()  # how the input differs from that of the training: `familiarity.strange`
    volume_ml: float = 0.0
    baseline_dice: float | None = None  # with the watershed
    volume_gap: float | None = None  # of the ensemble from the one-step answer, a share
    is_one_step: bool = False  # the ensemble was not used
    volume_low_ml: float | None = None  # 5 and 95 % of the members
    volume_high_ml: float | None = None


def judge(evidence: Evidence) -> Light:
    """Red for input that looks wrong, an ensemble that was given up, another lesion than the watershed's, or three reasons;
    yellow for fewer; else green."""
    red, yellow = [*evidence.implausible, *_red(evidence)], list(_yellow(evidence))
    if red or len(yellow) >= MANY:
        return Light("red", (*red, *yellow))
    return Light("yellow", tuple(yellow)) if yellow else Light("green")


def baseline_dice(found: Volume, suv: Volume, settings: WatershedSettings, *, single_lesion: bool) -> float | None:
    """Dice of a mask with the watershed of the PET on the same grid; None where both are empty.

    found           0 and 1
    single_lesion   compare with the largest part of the watershed
    """
    flooded = flood_lesions(suv, **settings.model_dump())
    if single_lesion:
        flooded = largest_component(flooded)
    mask = found.array > 0
    return dice(mask, flooded) if mask.any() or flooded.any() else None


def _red(evidence: Evidence) -> Iterator[str]:
    if evidence.is_one_step:
        yield (
            f"The ensemble drifted by {100 * evidence.volume_gap:+.0f} % in volume from the one-step answer of the same network,"
            " and was not used."
        )
    if evidence.baseline_dice is not None and evidence.baseline_dice < OTHER_LESION:
        yield f"The mask and a watershed of the PET show different things (Dice {evidence.baseline_dice:.2f})."


def _yellow(evidence: Evidence) -> Iterator[str]:
    yield from evidence.strange
    if evidence.baseline_dice is not None and OTHER_LESION <= evidence.baseline_dice < UNLIKE_BASELINE:
        yield f"The mask hardly agrees with a watershed of the PET (Dice {evidence.baseline_dice:.2f})."
    if evidence.volume_gap is not None and not evidence.is_one_step and abs(evidence.volume_gap) > DOUBTFUL_GAP:
        yield f"The ensemble's volume differs by {100 * evidence.volume_gap:+.0f} % from the one-step answer of the same network."
    low, high = evidence.volume_low_ml, evidence.volume_high_ml
    if low is not None and high is not None and high - low > WIDE_INTERVAL * (low + high) / 2:
        yield f"The drawn masks differ in volume from {low:.3g} to {high:.3g} ml."
    if evidence.volume_ml == 0:
        yield "The mask is empty."
