"""Figures of a dehazed clip against its truth, which no painting of ventricles can win."""

import math

import numpy as np

from medidiff.metrics.contrast import contrast_db, gcnr, ks_distance, unfit
from medidiff.metrics.speckle import grain_width, speckle_snr

FLOOR_DB = -60.0


def nmse_db(estimate: np.ndarray, truth: np.ndarray, *, region: np.ndarray | None = None) -> float:
    """Normalised squared error of complex signals, dB:  10 log10( sum |estimate - truth|^2 / sum |truth|^2 ); phases count.

    estimate, truth   any one shape, complex or real
    region            the same shape, bool; None takes all. NaN where the truth is empty there, -infinity where nothing differs
    """
    estimate, truth = (np.asarray(values, np.complex128) for values in (estimate, truth))
    if region is not None:
        estimate, truth = estimate[region], truth[region]
    error, size = float(np.square(np.abs(estimate - truth)).sum()), float(np.square(np.abs(truth)).sum())
    if size == 0:
        return math.nan
    return 10 * math.log10(error / size) if error > 0 else -math.inf


def level_mae_db(estimate: np.ndarray, truth: np.ndarray, *, reference: float, floor_db: float = FLOOR_DB) -> float:
    """Mean absolute difference of what is shown, dB:  mean | L(estimate) - L(truth) |.

    estimate, truth   any one shape, complex or envelope
    reference         amplitude of 0 dB, the same for both, of the measurement

        L(s) = 20 log10(|s| / reference), cut to floor_db .. 0
    """
    shown = [20 * np.log10(np.clip(np.abs(values) / reference, 10 ** (floor_db / 20), 1)) for values in (estimate, truth)]
    return float(np.abs(shown[0] - shown[1]).mean())


def contrast_recovery_db(estimate: np.ndarray, truth: np.ndarray, *, region_a: np.ndarray, region_b: np.ndarray) -> float:
    """Contrast of A to B in the estimate less that in the truth, dB: below 0 haze is left, above 0 tissue was lost."""
    found, true = (contrast_db(values[region_a], values[region_b]) for values in (estimate, truth))
    return found - true


def truth_figures(
    estimate: np.ndarray, truth: np.ndarray, y: np.ndarray, *, region_a: np.ndarray, region_b: np.ndarray
) -> dict[str, float]:
    """All figures of one frame or clip against its truth.

    estimate, truth, y    (*frame, axial, lateral) complex: tissue as found, as it is, and the measurement
    region_a, region_b    the same shape, bool: myocardium and blood, both eroded
    returns               nmse_db, nmse_a_db, nmse_b_db; nmse_gain_db over the measurement (negative is better); contrast_db,
                          contrast_error_db; gcnr, gcnr_truth, gcnr_recovery (1 = as the truth); level_mae_db; ks_a, ks_b to the
                          truth; speckle_snr; grain_axial, grain_lateral (1 = as the truth). NaN where the regions are unfit
    """
    reference = float(np.quantile(np.abs(y), 0.999))
    found = {"nmse_db": nmse_db(estimate, truth)}
    found["nmse_gain_db"] = found["nmse_db"] - nmse_db(y, truth)
    found["level_mae_db"] = level_mae_db(estimate, truth, reference=reference) if reference > 0 else math.nan
    if unfit(region_a, region_b):
        return found | dict.fromkeys(REGIONAL, math.nan)
    shown, true, seen = (gcnr(np.abs(values)[region_a], np.abs(values)[region_b]).value for values in (estimate, truth, y))
    return found | {
        "nmse_a_db": nmse_db(estimate, truth, region=region_a),
        "nmse_b_db": nmse_db(estimate, truth, region=region_b),
        "contrast_db": contrast_db(estimate[region_a], estimate[region_b]),
        "contrast_error_db": contrast_recovery_db(estimate, truth, region_a=region_a, region_b=region_b),
        "gcnr": shown,
        "gcnr_truth": true,
        "gcnr_recovery": (shown - seen) / (true - seen) if true != seen else math.nan,
        "ks_a": ks_distance(np.abs(estimate[region_a]), np.abs(truth[region_a])),
        "ks_b": ks_distance(np.abs(estimate[region_b]), np.abs(truth[region_b])),
        "speckle_snr": speckle_snr(np.abs(estimate[region_a])),
        "grain_axial": grain_width(estimate, region_a, axis=-2) / grain_width(truth, region_a, axis=-2),
        "grain_lateral": grain_width(estimate, region_a, axis=-1) / grain_width(truth, region_a, axis=-1),
    }


REGIONAL = (
    "nmse_a_db",
    "nmse_b_db",
    "contrast_db",
    "contrast_error_db",
    "gcnr",
    "gcnr_truth",
    "gcnr_recovery",
    "ks_a",
    "ks_b",
    "speckle_snr",
    "grain_axial",
    "grain_lateral",
)
