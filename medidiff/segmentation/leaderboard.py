"""The figures by which a challenge ranks, from a folder of predictions and the challenge's own labels."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medidiff.errors import DataError
from medidiff.io.layouts.autopet import list_autopet
from medidiff.io.layouts.hecktor import list_hecktor2021, list_hecktor2022, list_hecktor2025
from medidiff.io.layouts.nnunet import list_nnunet
from medidiff.io.layouts.segmentation import SegmentationCase
from medidiff.io.nifti import read_nifti
from medidiff.io.volume import Volume
from medidiff.metrics.bootstrap import Interval, bootstrap
from medidiff.metrics.lesions import Connectivity, detect_lesions, unmatched_volume_ml
from medidiff.metrics.overlap import aggregated_dice, dice, precision, sensitivity
from medidiff.metrics.surface import hd95_surfel, surfel_distances

Row = dict[str, float]
Cohort = dict[str, np.ndarray]  # the rows of all cases, by column


@dataclass(frozen=True)
class Challenge:
    """How a challenge lays out its cases, names its labels and adds up its figures."""

    cases: Callable[[Path], list[SegmentationCase]]
    labels: dict[str, int]
    measure: Callable[[np.ndarray, np.ndarray, Volume, Connectivity], Row]  # of one label of one case
    figures: dict[str, Callable[[Cohort], float]]
    connectivity: Connectivity  # what makes voxels one lesion


@dataclass(frozen=True, eq=False)
class Leaderboard:
    """One row per case, the figures of all with intervals, and which cases had no prediction (counted as empty)."""

    rows: dict[str, Row]
    figures: dict[str, Interval]
    missing: list[str]
    unlabelled: list[str]


def validate(
    predictions: Path, folder: Path, challenge: Challenge, *, connectivity: Connectivity, draws: int = 1000, seed: int = 0
) -> Leaderboard:
    """Every case and every figure of a challenge.

    predictions    folder of `<case>.nii.gz`, label maps on the grid of the challenge's labels
    folder         of the challenge, as unpacked; cases without labels are named in `unlabelled`
    connectivity   what makes voxels one lesion
    draws, seed    of the bootstrap over patients

    Raises DataError where no case has labels, no prediction is there at all, grids differ, or a label is unknown.
    """
    cases = challenge.cases(folder)
    known = [case for case in cases if case.truth is not None]
    paths = {case.name: Path(predictions) / f"{case.name}.nii.gz" for case in known}
    missing = [name for name, path in paths.items() if not path.is_file()]
    if len(missing) == len(known):
        expected = f"such as {missing[0]}.nii.gz" if missing else "labels in the challenge folder"
        raise DataError(f"{Path(predictions).name}: found no prediction for {len(known)} cases with labels, expected {expected}.")
    rows = {}
    for case in known:
        truth = read_nifti(case.truth)
        guess = truth.with_array(np.zeros_like(truth.array)) if case.name in missing else read_nifti(paths[case.name])
        rows[case.name] = _row(case.name, guess, truth, challenge, connectivity)
    cohort = {column: np.array([row[column] for row in rows.values()]) for column in next(iter(rows.values()))}
    patients = [case.patient for case in known]
    figures = {
        name: bootstrap(lambda chosen, figure=figure: figure(_taken(cohort, chosen)), patients, draws=draws, seed=seed)
        for name, figure in challenge.figures.items()
    }
    return Leaderboard(rows, figures, missing, [case.name for case in cases if case.truth is None])


def _row(name: str, guess: Volume, truth: Volume, challenge: Challenge, connectivity: Connectivity) -> Row:
    if not guess.grid.agrees_with(truth.grid):
        raise DataError(
            f"{name}: prediction and labels lie on different grids, expected one to 0.001 mm:\n"
            f"prediction {guess.grid.shape}\n{guess.affine[:3]}\nlabels {truth.grid.shape}\n{truth.affine[:3]}\n"
            "Resample the prediction onto the grid of the labels."
        )
    row: Row = {}
    maps = [_label_map(volume.array, name, word, challenge) for volume, word in ((guess, "prediction"), (truth, "labels"))]
    for label, number in challenge.labels.items():
        measured = challenge.measure(*(array == number for array in maps), truth, connectivity)
        row |= {f"{column}_{label}": value for column, value in measured.items()}
    return row


def _label_map(array: np.ndarray, name: str, word: str, challenge: Challenge) -> np.ndarray:
    unknown = set(np.unique(array).tolist()) - {0, *challenge.labels.values()}
    if unknown:
        shown = ", ".join(f"{value:g}" for value in sorted(unknown)[:5])
        raise DataError(f"{name}: the {word} hold label {shown}, expected 0 and {challenge.labels}. Renumber them.")
    return array


def _taken(cohort: Cohort, chosen: np.ndarray) -> Cohort:
    return {column: values[chosen] for column, values in cohort.items()}


def _overlap(guess: np.ndarray, true: np.ndarray, grid: Volume, connectivity: Connectivity) -> Row:
    voxel_ml = grid.grid.voxel_ml
    volumes = (int(np.count_nonzero(mask)) * voxel_ml for mask in (guess & true, guess, true))
    return {"dice": dice(guess, true), **dict(zip(("common_ml", "predicted_ml", "true_ml"), volumes))}


def _overlap_and_surface(guess: np.ndarray, true: np.ndarray, grid: Volume, connectivity: Connectivity) -> Row:
    far = hd95_surfel(surfel_distances(guess, true, spacing_mm=grid.grid.spacing_mm))
    return {"dice": dice(guess, true), "hd95_mm": far, "precision": precision(guess, true), "recall": sensitivity(guess, true)}


def _overlap_and_lesions(guess: np.ndarray, true: np.ndarray, grid: Volume, connectivity: Connectivity) -> Row:
    lesions = detect_lesions(guess, true, connectivity=connectivity)
    counts = {"found": lesions.found, "made_up": lesions.made_up, "missed": lesions.missed}
    return _overlap(guess, true, grid, connectivity) | counts


def _overlap_and_volumes(guess: np.ndarray, true: np.ndarray, grid: Volume, connectivity: Connectivity) -> Row:
    sizes = {"voxel_ml": grid.grid.voxel_ml, "connectivity": connectivity}
    has_truth = bool(true.any())  # without a lesion only what was made up counts
    return {
        "dice": dice(guess, true) if has_truth else math.nan,
        "false_positive_ml": unmatched_volume_ml(guess, true, **sizes),
        "false_negative_ml": unmatched_volume_ml(true, guess, **sizes) if has_truth else math.nan,
    }


def _over_cases(statistic: Callable[[np.ndarray], float], column: str) -> Callable[[Cohort], float]:
    def figure(cohort: Cohort) -> float:
        values = cohort[column][~np.isnan(cohort[column])]
        return float(statistic(values)) if values.size else math.nan

    return figure


def _dsc_agg(*labels: str) -> Callable[[Cohort], float]:
    """Mean over the labels of the aggregated Dice of each."""

    def figure(cohort: Cohort) -> float:
        columns = ([cohort[f"{part}_{label}"] for part in ("common_ml", "predicted_ml", "true_ml")] for label in labels)
        return float(np.mean([aggregated_dice(zip(*column)) for column in columns]))

    return figure


def _f1_agg(label: str) -> Callable[[Cohort], float]:
    def figure(cohort: Cohort) -> float:
        found, made_up, missed = (cohort[f"{part}_{label}"].sum() for part in ("found", "made_up", "missed"))
        whole = 2 * found + made_up + missed
        return float(2 * found / whole) if whole else math.nan

    return figure


def _autopet(cases: Callable[[Path], list[SegmentationCase]]) -> Challenge:
    columns: Sequence[str] = ("dice", "false_positive_ml", "false_negative_ml")
    figures = {column: _over_cases(np.mean, f"{column}_lesion") for column in columns}
    return Challenge(cases, {"lesion": 1}, _overlap_and_volumes, figures, 18)


CHALLENGES: dict[str, Challenge] = {
    "hecktor2021": Challenge(
        list_hecktor2021,
        {"gtvt": 1},
        _overlap_and_surface,
        {
            "dice": _over_cases(np.mean, "dice_gtvt"),
            "median_hd95_mm": _over_cases(np.median, "hd95_mm_gtvt"),
            "precision": _over_cases(np.mean, "precision_gtvt"),
            "recall": _over_cases(np.mean, "recall_gtvt"),
        },
        26,
    ),
    "hecktor2022": Challenge(
        list_hecktor2022,
        {"gtvp": 1, "gtvn": 2},
        _overlap,
        {"dsc_agg_gtvp": _dsc_agg("gtvp"), "dsc_agg_gtvn": _dsc_agg("gtvn"), "dsc_agg": _dsc_agg("gtvp", "gtvn")},
        26,
    ),
    "hecktor2025": Challenge(
        list_hecktor2025,
        {"gtvp": 1, "gtvn": 2},
        _overlap_and_lesions,
        {"dice_gtvp": _over_cases(np.mean, "dice_gtvp"), "dsc_agg_gtvn": _dsc_agg("gtvn"), "f1_agg_gtvn": _f1_agg("gtvn")},
        26,
    ),
    "autopet": _autopet(list_autopet),
    "autopet-nnunet": _autopet(list_nnunet),
}
