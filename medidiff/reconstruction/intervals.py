"""From samples to intervals that hold what they promise: split-conformal scaling of the spread, on volumes of known truth.

Samples alone are too sure of themselves. Without calibration on volumes that were measured and reconstructed alike, their
standard deviation is called `sample spread` and no interval is given.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from scipy.special import ndtri

from medidiff.documents import json_object
from medidiff.errors import DataError

FORMAT = "medidiff intervals 1"  # raise the number when older readers would misread the file
SHARES = tuple(round(0.005 * k, 3) for k in range(1, 200))  # of voxels, at which each volume's scores are kept
LEVELS = (0.5, 0.8, 0.9, 0.95)  # of reports

Aim = Literal["volumes", "voxels"]


@dataclass(frozen=True, eq=False)
class Spread:
    """Mean and standard deviation of K samples, as the volume, in its unit."""

    mean: np.ndarray
    std: np.ndarray
    samples: int


@dataclass(frozen=True)
class Calibration:
    """What calibration volumes say of the spread of samples.

    conditions   what a result must share with them: method, samples, prior, geometry, noise, ...
    floor        smallest standard deviation, unit of the volume, added to that of the samples
    scores       per volume: |truth - mean| / (std + floor) that each of `SHARES` of its voxels stay below
    """

    conditions: Mapping[str, Any]
    floor: float
    scores: tuple[tuple[float, ...], ...]

    def scale(self, level: float, aim: Aim = "volumes") -> float:
        """q of the interval  mean +- q (std + floor); infinite where there are too few volumes for the level.

        level   share of voxels, one of `SHARES`
        aim     volumes: the ceil((n + 1) level)-th smallest of the volumes' own q, so that a fresh volume has at least `level` of
                its voxels covered with probability `level` or more (split conformal, the volume being what is exchangeable)
                voxels: covers `level` of the voxels on average over the calibration volumes; near `level` on fresh ones, but
                without a guarantee
        """
        place = _place(level)
        if aim == "voxels":
            pooled = np.array(self.scores).ravel()  # each volume's scores stand for equal shares of its voxels
            return float(np.quantile(pooled, min(1.0, level * (len(SHARES) + 1) / len(SHARES)), method="higher"))
        ranked = sorted(scores[place] for scores in self.scores)
        rank = math.ceil((len(ranked) + 1) * level - 1e-9)
        return ranked[rank - 1] if rank <= len(ranked) else math.inf

    def differences(self, conditions: Mapping[str, Any]) -> list[str]:
        """What keeps these volumes from speaking for a result of other conditions; empty when nothing does."""
        names = sorted({*self.conditions, *conditions})
        pairs = [(name, self.conditions.get(name), conditions.get(name)) for name in names]
        return [f"{name}: calibrated for {ours!r}, found {theirs!r}" for name, ours, theirs in pairs if ours != theirs]


def spread(samples: np.ndarray) -> Spread:
    """Mean and standard deviation (K - 1 in its denominator) of samples (K, ...). DataError for fewer than two."""
    if len(samples) < 2:
        raise DataError(f"samples: found {len(samples)}, expected 2 or more for a spread. Raise reconstruct.samples.")
    return Spread(samples.mean(axis=0, dtype=np.float64), samples.std(axis=0, ddof=1, dtype=np.float64), len(samples))


def volume_scores(found: Spread, truth: np.ndarray, *, floor: float, body: np.ndarray) -> tuple[float, ...]:
    """The scores of one calibration volume, one for each of `SHARES`.

    truth, body   as the mean; body: bool, the voxels that count
    floor         added to the standard deviation, unit of the volume

    Each is the smallest q for which  |truth - mean| <= q (std + floor)  holds for that share of the body's voxels or more.
    """
    if not body.any():
        raise DataError("body: found no voxel of it in a calibration volume. Take volumes that show a body.")
    ratio = np.abs(truth[body] - found.mean[body]) / (found.std[body] + floor)
    return tuple(float(q) for q in np.quantile(ratio, SHARES, method="higher"))


def interval(found: Spread, calibration: Calibration, *, level: float, aim: Aim = "volumes") -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper end, as the mean:  mean -+ scale (std + floor). DataError where the level needs more volumes."""
    scale = calibration.scale(level, aim)
    if not math.isfinite(scale):
        needed = math.ceil(level / (1 - level) - 1e-9)
        raise DataError(
            f"intervals of level {level:g}: found {len(calibration.scores)} calibration volumes, expected {needed} or more. "
            f"Add volumes, or ask for a lower level."
        )
    half = scale * (found.std + calibration.floor)
    return found.mean - half, found.mean + half


def map_name(calibration: Calibration | None, conditions: Mapping[str, Any]) -> str:
    """What the map of standard deviations may be called: `uncertainty` after calibration alike, else `sample spread`."""
    return "sample spread" if calibration is None or calibration.differences(conditions) else "uncertainty"


def coverage(found: Spread, truth: np.ndarray, calibration: Calibration | None, *, body: np.ndarray) -> dict[str, float | None]:
    """How far the intervals of one volume of known truth hold.

    truth, body   as the mean; body: bool, the voxels that count
    calibration   None: of the samples alone
    returns       raw_{percent}: share of voxels within mean +- z std, as a normal distribution promises them;
                  volumes_{percent}, voxels_{percent}: within the calibrated intervals of each aim, width_{percent} the mean
                  width of the former, None where there are too few volumes; correlation of std and |error|;
                  too_sure: RMS error / RMS std
    """
    error, std = np.abs(truth[body] - found.mean[body]), found.std[body]
    report: dict[str, float | None] = {}
    for level in LEVELS:
        percent = round(100 * level)
        report[f"raw_{percent}"] = float(np.mean(error <= _normal_scale(level) * std))
        if calibration is None:
            continue
        for aim in ("volumes", "voxels"):
            scale, half = calibration.scale(level, aim), std + calibration.floor
            is_known = math.isfinite(scale)
            report[f"{aim}_{percent}"] = float(np.mean(error <= scale * half)) if is_known else None
            if aim == "volumes":
                report[f"width_{percent}"] = float(2 * scale * half.mean()) if is_known else None
    varies = bool(std.std() > 0 and error.std() > 0)
    report["correlation"] = float(np.corrcoef(std, error)[0, 1]) if varies else None
    report["too_sure"] = float(np.sqrt(np.mean(error**2) / np.mean(std**2))) if std.any() else None
    return report


def to_json(calibration: Calibration) -> str:
    """The calibration as the text of its file; equal calibrations give equal text."""
    return json.dumps({"format": FORMAT, "shares": SHARES, **asdict(calibration)}, indent=1, sort_keys=True) + "\n"


def from_json(text: str | bytes, *, name: str) -> Calibration:
    """The calibration in the text of a file. DataError, which calls it `name`, for anything else."""
    try:
        content = json_object(text)
        if content["format"] != FORMAT or tuple(content["shares"]) != SHARES:
            raise ValueError(f"format {content['format']!r}, expected {FORMAT!r} with scores at {len(SHARES)} shares")
        scores = np.array(content["scores"], np.float64)
        if scores.ndim != 2 or scores.shape[1] != len(SHARES) or not np.isfinite(scores).all() or (np.diff(scores) < 0).any():
            raise ValueError(f"scores of shape {scores.shape}, expected rising finite ones, ({len(SHARES)},) for each volume")
        if not 0 <= float(content["floor"]) < math.inf:
            raise ValueError(f"floor {content['floor']}, expected 0 or more")
        return Calibration(dict(content["conditions"]), float(content["floor"]), tuple(map(tuple, scores.tolist())))
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{name}: not a calibration of intervals ({error}). Make it again from volumes of known truth."
        ) from error


def calibrate(volumes: Sequence[tuple[float, ...]], *, floor: float, conditions: Mapping[str, Any]) -> Calibration:
    """The calibration of `volume_scores` of several volumes, all reconstructed under these conditions. DataError for none."""
    if not volumes:
        raise DataError("calibration: found no volume, expected some whose truth is known. Simulate or name them.")
    return Calibration(dict(conditions), floor, tuple(map(tuple, volumes)))


def _place(level: float) -> int:
    place = round(level / SHARES[0]) - 1
    if not 0 <= place < len(SHARES) or abs(SHARES[place] - level) > 1e-9:
        raise DataError(f"level: found {level:g}, expected a multiple of {SHARES[0]} from {SHARES[0]} to {SHARES[-1]}.")
    return place


def _normal_scale(level: float) -> float:
    """z for which a normal variable lies within +- z standard deviations with probability `level`."""
    return float(ndtri((1 + level) / 2))
