"""How well a recording was dehazed: against the truth where it is known, else by two regions that a user names."""

import math
from collections.abc import Mapping
from dataclasses import asdict

import numpy as np

from medidiff.dehazing.track import baseband
from medidiff.io.ultrasound.recording import Recording
from medidiff.io.ultrasound.settings import Box
from medidiff.metrics.contrast import Gcnr, cnr_challenge, cnr_db, contrast_db, eroded, gcnr, ks_distance, unfit
from medidiff.metrics.dehazing_truth import nmse_db, truth_figures
from medidiff.metrics.ultrasound_score import challenge_score

MYOCARDIUM, VENTRICLE = 1, 2  # labels of generated clips
RIM = 5  # samples that regions of a truth lose on every side


def judge(
    before: Recording,
    after: Recording,
    *,
    haze: np.ndarray | None = None,
    truth: Mapping[str, np.ndarray] | None = None,
    tissue: Box | None = None,
    chamber: Box | None = None,
) -> tuple[dict[str, float], tuple[str, ...]]:
    """Figures of a result, and why some are missing.

    before, after     the measurement and the result, of one kind
    haze              as found, IQ
    truth             x, h (frame, axial, lateral) complex and labels, of a generated clip
    tissue, chamber   regions, the same in every frame; they are used where there is no truth
    """
    if truth is not None and before.kind == "iq":
        return _against_truth(before, after, haze, truth)
    if tissue is None or chamber is None:
        return {}, ("no truth and no regions: contrast is not measured. Name `tissue` and `chamber` of the study.",)
    shape = before.values.shape
    region_a, region_b = (_region(box, shape) for box in (tissue, chamber))
    if reason := unfit(region_a, region_b):
        return {}, (f"contrast is not measured: {reason}.",)
    values = [_amplitudes(recording) for recording in (before, after)]
    return _contrast(values[0], values[1], region_a, region_b, is_picture=before.kind == "image")


def _against_truth(
    before: Recording, after: Recording, haze: np.ndarray | None, truth: Mapping[str, np.ndarray]
) -> tuple[dict[str, float], tuple[str, ...]]:
    labels = truth["labels"]
    region_a, region_b = (eroded(labels == label, axial=RIM, lateral=RIM) for label in (MYOCARDIUM, VENTRICLE))
    found = truth_figures(after.values, truth["x"], before.values, region_a=region_a, region_b=region_b)
    if haze is not None:
        found["nmse_haze_db"] = nmse_db(haze, truth["h"])
    said = [f"regions of the truth: {reason}" for reason in [unfit(region_a, region_b)] if reason]
    if not said:
        found["gcnr_before"] = gcnr(np.abs(before.values[region_a]), np.abs(before.values[region_b])).value
    return _known(found), tuple(said)


def _contrast(
    before: np.ndarray, after: np.ndarray, region_a: np.ndarray, region_b: np.ndarray, *, is_picture: bool
) -> tuple[dict[str, float], tuple[str, ...]]:
    """gCNR and CNR before and after, and how far the values of each region moved."""
    found, said = {}, []
    for name, values in (("_before", before), ("", after)):
        a, b = values[region_a], values[region_b]
        ratio: Gcnr = gcnr(a, b)
        said += [f"gcnr{name}: {ratio.note}" for _ in [0] if ratio.note]
        found[f"gcnr{name}"] = ratio.value
        if is_picture:
            found[f"gcnr_challenge{name}"] = gcnr(a, b, bins="challenge").value
            found[f"cnr_challenge{name}"] = cnr_challenge(a, b)
        else:
            found[f"cnr{name}_db"] = cnr_db(a, b)
            found[f"contrast{name}_db"] = contrast_db(a, b)
    found["ks_tissue"] = ks_distance(before[region_a], after[region_a])
    found["ks_chamber"] = ks_distance(before[region_b], after[region_b])
    return _known(found), tuple(said)


def challenge_frame(hazy: np.ndarray, dehazed: np.ndarray, regions: np.ndarray) -> dict[str, float]:
    """Figures of one frame as DehazingEcho2025 has them: cnr, gcnr (256 bins), ks_a, ks_b; NaN where regions are unfit.

    hazy, dehazed   (row, column) uint8
    regions         (row, column) uint8, 255 septum (A), 128 ventricle (B)
    """
    region_a, region_b = regions == 255, regions == 128
    if unfit(region_a, region_b):
        return dict.fromkeys(("cnr", "gcnr", "ks_a", "ks_b"), math.nan)
    a, b = dehazed[region_a], dehazed[region_b]
    return {
        "cnr": cnr_challenge(a, b),
        "gcnr": gcnr(a, b, bins="challenge").value,
        "ks_a": ks_distance(hazy[region_a], a),
        "ks_b": ks_distance(hazy[region_b], b),
    }


def challenge_total(frames: Mapping[str, Mapping[str, float]]) -> dict[str, object]:
    """Means over frames, the points of each group of figures, and what is missing for a score."""
    names = ("cnr", "gcnr", "ks_a", "ks_b")
    columns = {name: [row[name] for row in frames.values() if not math.isnan(row[name])] for name in names}
    means = {name: float(np.mean(values)) if values else math.nan for name, values in columns.items()}
    score = challenge_score(means)
    return {
        "means": _known(means),
        "groups": {name: asdict(group) for name, group in score.groups.items()},
        "score": None if math.isnan(score.value) else score.value,
        "missing": list(score.missing),
        "frames": len(frames),
        "frames_with_regions": max((len(values) for values in columns.values()), default=0),
    }


def _region(box: Box, shape: tuple[int, ...]) -> np.ndarray:
    region = np.zeros(shape, bool)
    top, bottom, left, right = box
    region[:, top:bottom, left:right] = True
    return region


def _amplitudes(recording: Recording) -> np.ndarray:
    if recording.kind == "image":
        return recording.values
    if recording.kind == "iq":
        return np.abs(recording.values)
    iq, _ = baseband(recording)  # of RF: regions count its own samples, so the envelope is brought back to them
    return np.repeat(iq.abs().numpy(), -(-recording.values.shape[1] // iq.shape[1]), axis=1)[:, : recording.values.shape[1]]


def _known(figures: Mapping[str, float]) -> dict[str, float]:
    return {name: float(value) for name, value in figures.items() if not math.isnan(value)}
