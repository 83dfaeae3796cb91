"""Masks and doubt on the validation patients: every method, calibration, and what more looks are worth."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.record import Row
from benchmarks.segmentation_answers import LOOKS, MODELS, VALIDATION, by_looks, mirror, networks, patient
from medidiff.io.prior_files import read_prior
from medidiff.metrics.calibration import reliability
from medidiff.metrics.error_detection import auroc
from medidiff.metrics.overlap import dice
from medidiff.segmentation.calibration import near, tempered_probability
from medidiff.segmentation.model import assemble_model
from medidiff.segmentation.settings import SegmentSettings
from medidiff.segmentation.task import segment
from medidiff.segmentation.thresholds import largest_component
from medidiff.segmentation.trust import Evidence, baseline_dice, judge
from medidiff.segmentation.uncertainty import entropy

CLASSICAL = ("suv2", "suv2.5", "suv4", "percent41", "watershed")
ANSWERS = ("unet", "ensemble", "one_step")


def measured(part: Callable[[Sequence[str]], Iterator[Row]]) -> Callable[[bool], Iterator[Row]]:
    """A part that says so where the patients are not here; in quick runs of one patient."""

    def run(quick: bool) -> Iterator[Row]:
        if mirror() is None:
            yield Row(part.__name__, "validation patients", note="no MEDIDIFF_MIRROR: not measured")
        else:
            yield from part(VALIDATION[:1] if quick else VALIDATION)

    return run


@measured
def methods(names: Sequence[str]) -> Iterator[Row]:
    """Mean Dice of every method, and the difference of the ensemble from each."""
    scores = {method: [] for method in (*CLASSICAL, *ANSWERS)}
    for name in names:
        ct, pet, truth = patient(name)
        for method in CLASSICAL:
            scores[method].append(dice(segment(ct, pet, method=method).mask.array > 0, truth.array > 0))
        found = networks(name)
        for method in ANSWERS:
            scores[method].append(dice(largest_component(found[method] >= 0.5), truth.array > 0))
    case = f"{len(names)} unseen patients, PET grid"
    for method, values in scores.items():
        yield mean_row("dice", f"{case}, {method}", values)
    for method in (*CLASSICAL, "unet", "one_step"):
        gain = np.array(scores["ensemble"]) - scores[method]
        yield apart("dice_difference", f"{case}, ensemble - {method}", gain)


@measured
def doubt(names: Sequence[str]) -> Iterator[Row]:
    """Calibration before and after the card's temperature, errors found by entropy, and the light beside Dice."""
    rows: dict[str, list[float]] = {}
    pooled: dict[str, tuple[list, list]] = {}
    lights = []
    for name in names:
        _, pet, truth = patient(name)
        found, true = networks(name), truth.array > 0
        for kind, answer in (("unet", "unet"), ("diffusion", "ensemble")):
            p = found[answer].astype(np.float32)
            domain, wrong = near(p, true, pet.grid.spacing_mm), (p >= 0.5) != true
            after = tempered_probability(p, temperature(kind))
            for key, values in ((f"before, {answer}", p), (f"after, {answer}", after)):
                for part, array in zip(pooled.setdefault(key, ([], [])), (values, true)):
                    part.append(array[domain])
            numbers = {
                "ece, mean of patients, before": reliability(p[domain], true[domain]).ece,
                "ece, mean of patients, after": reliability(after[domain], true[domain]).ece,
                "auroc_uncertainty, within 10 mm": auroc(entropy(p)[domain], wrong[domain]),
                "auroc_uncertainty, whole crop": auroc(entropy(p), wrong),
            }
            for key, value in numbers.items():
                rows.setdefault(f"{key}, {answer}", []).append(value)
        mask = pet.with_array(largest_component(found["ensemble"] >= 0.5).astype(np.uint8))
        agreement = baseline_dice(mask, pet, SegmentSettings().watershed, single_lesion=True)
        volume = float(mask.array.sum() * pet.grid.voxel_ml)
        light = judge(Evidence(volume_ml=volume, baseline_dice=agreement, volume_gap=float(found["volume_gap"])))
        lights.append(f"{name} {light.colour} {dice(mask.array > 0, true):.2f}")
    for key, values in rows.items():
        name, case = key.split(", ", 1)
        yield mean_row(name, f"{len(names)} unseen patients, {case}", values)
    for key, (values, true) in pooled.items():
        found = reliability(np.concatenate(values), np.concatenate(true))
        yield Row("ece", f"voxels within 10 mm of {len(names)} unseen patients together, {key}", found.ece)
    note = "colour and Dice of each: " + "; ".join(lights) + "; without the reasons of the drawn volumes"
    yield Row("light", "ensemble", float(sum("green" not in one for one in lights)), "not green", note=note)


@measured
def looks(names: Sequence[str]) -> Iterator[Row]:
    """Mean Dice of one drawn mask against its looks; one look is the one-step answer, a mean over mirrored starts."""
    case = f"{len(names)} unseen patients, PET grid"
    truths = {name: patient(name)[2].array > 0 for name in names}
    one = [dice(largest_component(networks(name)["one_step"] >= 0.5), truths[name]) for name in names]
    yield mean_row("dice_by_looks", f"{case}, 1 look, mean of 5 starts", one)
    for count in LOOKS:
        values = [dice(largest_component(by_looks(name, count)["mask"] >= 0.5), truths[name]) for name in names]
        yield mean_row("dice_by_looks", f"{case}, {count} looks, one mask", values)


def temperature(kind: str) -> float:
    """That of the shipped model's card."""
    return assemble_model(read_prior(MODELS[kind]), kind=kind).calibration.temperature


def mean_row(name: str, case: str, values: Sequence[float]) -> Row:
    """The mean over patients, with its bootstrap interval in the note."""
    low, high = interval(np.array(values))
    return Row(name, case, float(np.mean(values)), note=f"95 % {low:.3f} to {high:.3f}")


def apart(name: str, case: str, values: NDArray, note: str = "") -> Row:
    """A mean difference with its bootstrap interval over patients."""
    low, high = interval(values)
    return Row(name, case, float(values.mean()), difference=float(values.mean()), low=low, high=high, note=note)


def interval(values: np.ndarray) -> tuple[float, float]:
    """95 % of the means of 10 000 draws of as many patients."""
    draws = np.random.default_rng(0).choice(values, (10_000, len(values))).mean(1)
    return tuple(float(edge) for edge in np.percentile(draws, [2.5, 97.5]))
