"""What a model's card promises beyond its network: a temperature of probabilities, and an interval of volumes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import expit, logit

from medidiff.metrics.temperature import fit_temperature

NEAR_MM = 10.0  # around lesion and answer: further away every model is right, and would look calibrated
FEWEST = 0.05  # probability that counts as an answer
_SMALLEST = 1e-6


@dataclass(frozen=True)
class Calibration:
    """Of one model, fitted on patients that its fit has not seen."""

    temperature: float = 1.0  # of logits; 1 changes nothing
    volume_ratio: float | None = None  # the truth lies within volume / ratio and volume · ratio
    level: float = 0.9  # with this probability over new patients like those
    patients: tuple[str, ...] = ()  # that it was fitted on
    how: str = ""  # by which model and answer


def tempered_probability(probability: NDArray, temperature: float) -> NDArray[np.float32]:
    """sigmoid(logit(p) / temperature): one half stays one half, and the order of voxels stays."""
    if temperature == 1.0:
        return np.asarray(probability, np.float32)
    p = np.clip(np.asarray(probability, np.float64), _SMALLEST, 1 - _SMALLEST)
    return expit(logit(p) / temperature).astype(np.float32)


def volume_interval(volume_ml: float, ratio: float | None) -> tuple[float, float] | None:
    """volume / ratio and volume · ratio; None without a ratio."""
    return None if ratio is None else (volume_ml / ratio, volume_ml * ratio)


def fit_calibration(
    probabilities: Sequence[NDArray], truths: Sequence[NDArray], domains: Sequence[NDArray], *, level: float = 0.9
) -> tuple[float, float | None]:
    """Temperature and volume ratio of patients that a model has not seen.

    probabilities   of each patient, (i, j, k)
    truths          the same shapes, bool
    domains         the same shapes, bool: voxels that count for the temperature
    returns         temperature (Guo et al. 2017), and the ratio, None where there are too few patients

    With s = |ln(volume / true volume)| of the n patients, the ratio is exp of the ceil((n + 1) level)-th smallest s: a new
    patient's volume lies within it with probability `level` at least, when all are exchangeable (Vovk et al. 2005). It needs
    n >= level / (1 - level).
    """
    clipped = [np.clip(p[d].astype(np.float64), _SMALLEST, 1 - _SMALLEST) for p, d in zip(probabilities, domains, strict=True)]
    temperature = fit_temperature([logit(p) for p in clipped], [y[d] for y, d in zip(truths, domains, strict=True)])
    pairs = [(float((p >= 0.5).sum()), float(y.sum())) for p, y in zip(probabilities, truths, strict=True)]
    scores = sorted(abs(math.log(found / true)) if found and true else math.inf for found, true in pairs)
    rank = math.ceil((len(scores) + 1) * level - 1e-9)
    is_bounded = rank <= len(scores) and math.isfinite(scores[rank - 1])
    return temperature, math.exp(scores[rank - 1]) if is_bounded else None


def near(probability: NDArray, truth: NDArray, spacing_mm: Sequence[float], *, within_mm: float = NEAR_MM) -> NDArray[np.bool_]:
    """Voxels within a distance of the lesion or of where the model sees one: the domain of calibration."""
    return ndimage.distance_transform_edt(~((probability > FEWEST) | truth), sampling=spacing_mm) <= within_mm
