"""Five models that differ in what they see alone, on the validation patients: volumes or slices, PET and CT or one of them."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.record import Row
from benchmarks.segmentation_answers import KEPT, VALIDATION, Answers, kept_answers, mirror, on, patient
from benchmarks.segmentation_quality import apart, mean_row
from medidiff.io.prior_files import read_prior
from medidiff.io.volume import Volume
from medidiff.metrics.error_detection import auroc
from medidiff.metrics.overlap import dice
from medidiff.segmentation.inference import find_by_ensemble
from medidiff.segmentation.model import assemble_model, read_card
from medidiff.segmentation.settings import DiffusionSettings, SegmentSettings
from medidiff.segmentation.thresholds import largest_component
from medidiff.segmentation.uncertainty import entropy

MODELS = KEPT / "models"  # medidiff train configs/priors/petct-ablation-3d.yaml --models benchmarks_run/segmentation/models
FORMS = {
    "3d": "volumes of PET and CT",
    "pet": "volumes of PET alone",
    "ct": "volumes of CT alone",
    "2d": "slices of PET and CT",
    "25d": "slices with a neighbour on each side",
}
DRAWING = DiffusionSettings(members=2, steps=4, trusted_gap=1e9)  # few looks: Dice hardly depends on them
Scores = dict[str, list[float]]


def ablation(quick: bool) -> Iterator[Row]:
    """Dice of one step and of the ensemble, drift and doubt of every form, and its difference from volumes of PET and CT."""
    if mirror() is None:
        yield Row("dice_ablation", "validation patients", note="no MEDIDIFF_MIRROR: not measured")
        return
    names = VALIDATION[: 1 if quick else None]
    first: Scores = {}
    for form, words in FORMS.items():
        folder = MODELS / f"petct-ablation-{form}"
        if not folder.is_dir():
            yield Row("dice_ablation", words, note=f"no {folder}: `medidiff train configs/priors/{folder.name}.yaml` makes it")
            continue
        found = scores(folder, names)
        first = first or found
        yield from rows(words, found, first, steps=read_card(read_prior(folder)["card.json"]).steps)


def scores(folder: Path, names: Sequence[str]) -> Scores:
    """Of every patient, by measure."""
    result: Scores = {kind: [] for kind in ("one step", "ensemble", "volume gap", "auroc")}
    for name in names:
        found = kept_answers(f"{folder.name}/{name}.npz", name, partial(answer, name=name, folder=folder))
        truth = patient(name)[2].array > 0
        for kind in ("one step", "ensemble"):
            result[kind].append(dice(largest_component(found[kind] >= 0.5), truth))
        result["volume gap"].append(abs(float(found["volume gap"])))
        result["auroc"].append(auroc(entropy(found["ensemble"]), (found["ensemble"] >= 0.5) != truth))
    return result


def answer(ct: Volume, pet: Volume, name: str, folder: Path) -> Answers:
    """The answers of one model to one patient."""
    trained = assemble_model(read_prior(folder), kind="diffusion")
    drawn = find_by_ensemble(ct, pet, trained, SegmentSettings(diffusion=DRAWING), study=name)
    gap = np.array(drawn.numbers["volume_gap"])
    return {"ensemble": on(drawn, pet), "one step": drawn.maps["one_step"].array, "volume gap": gap}


def rows(words: str, found: Scores, first: Scores, *, steps: int) -> Iterator[Row]:
    """The means of one form, and its difference from the first."""
    case = (
        f"{len(found['ensemble'])} unseen patients, {steps} steps from nothing, {DRAWING.members} masks of {DRAWING.steps} looks"
    )
    for kind in ("one step", "ensemble"):
        yield mean_row("dice_ablation", f"{case}, {words}, {kind}", found[kind])
    yield mean_row("volume_gap_ablation", f"{case}, {words}, absolute", found["volume gap"])
    yield mean_row("auroc_ablation", f"{case}, {words}, entropy against wrong voxels, whole crop", found["auroc"])
    if found is not first:
        for kind in ("one step", "ensemble"):
            gain = np.array(found[kind]) - first[kind]
            yield apart("dice_ablation_difference", f"{case}, {words} - {FORMS['3d']}, {kind}", gain)
