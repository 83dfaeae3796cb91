"""How well a mask agrees with the truth: overlap, surfaces, volume, lesions."""

import numpy as np

from medidiff.errors import DataError
from medidiff.io.volume import Volume
from medidiff.metrics.lesions import detect_lesions, unmatched_volume_ml
from medidiff.metrics.overlap import dice, jaccard, precision, sensitivity, volume_error
from medidiff.metrics.surface import assd, hd95_surfel, hd95_voxel, nsd, surfel_distances, voxel_distances


def evaluate(prediction: Volume, truth: Volume, *, tolerance_mm: float = 3.0) -> dict[str, float | int]:
    """Every agreement measure of one predicted mask.

    prediction     0 and 1, or a float within 0.001 of them
    truth          the same, on the same grid to 0.001 mm
    tolerance_mm   distance within which surfaces count as equal for nsd
    returns        dice, jaccard, sensitivity, precision; volume_ml, truth_ml, volume_error_ml, volume_error_percent;
                   hd95_surfel_mm, hd95_voxel_mm, assd_mm, nsd; lesions_found, lesions_made_up, lesions_missed (26
                   neighbours, IoU > 0.3), lesion_f1; false_positive_ml, false_negative_ml (18 neighbours)

    What is undefined is NaN (overlap of two empty masks: count it, leave it out of means), and distances to an empty mask are
    infinite. Raises DataError when the grids differ or a mask has other values.
    """
    if not prediction.grid.agrees_with(truth.grid):
        raise DataError(
            f"prediction {prediction.grid.shape} and truth {truth.grid.shape} lie on different grids, expected equal to"
            f" 0.001 mm:\nprediction\n{_shown(prediction)}\ntruth\n{_shown(truth)}\n"
            "Resample one onto the other's grid first (medidiff.io.resample.resample_mask)."
        )
    found, true = _as_mask(prediction, "prediction"), _as_mask(truth, "truth")
    return {
        **_overlap(found, true, truth.grid.voxel_ml),
        **_surface(found, true, truth.grid.spacing_mm, tolerance_mm),
        **_lesions(found, true, truth.grid.voxel_ml),
    }


def _as_mask(volume: Volume, name: str) -> np.ndarray:
    rounded = np.rint(volume.array)
    if np.abs(volume.array - rounded).max() > 1e-3 or not np.isin(rounded, (0, 1)).all():
        values = ", ".join(f"{value:g}" for value in np.unique(volume.array)[:8])
        raise DataError(f"the {name} has the values {values}, expected 0 and 1; choose one label (label == n) first.")
    return rounded == 1


def _overlap(found: np.ndarray, true: np.ndarray, voxel_ml: float) -> dict[str, float]:
    error_ml, error_percent = volume_error(found, true, voxel_ml=voxel_ml)
    return {
        "dice": dice(found, true),
        "jaccard": jaccard(found, true),
        "sensitivity": sensitivity(found, true),
        "precision": precision(found, true),
        "volume_ml": int(found.sum()) * voxel_ml,
        "truth_ml": int(true.sum()) * voxel_ml,
        "volume_error_ml": error_ml,
        "volume_error_percent": error_percent,
    }


def _surface(found: np.ndarray, true: np.ndarray, spacing_mm: tuple[float, ...], tolerance_mm: float) -> dict[str, float]:
    elements = surfel_distances(found, true, spacing_mm=spacing_mm)
    voxels = voxel_distances(found, true, spacing_mm=spacing_mm)
    return {
        "hd95_surfel_mm": hd95_surfel(elements),
        "hd95_voxel_mm": hd95_voxel(voxels),
        "assd_mm": assd(voxels),
        "nsd": nsd(elements, tolerance_mm=tolerance_mm),
    }


def _lesions(found: np.ndarray, true: np.ndarray, voxel_ml: float) -> dict[str, float | int]:
    lesions = detect_lesions(found, true)
    return {
        "lesions_found": lesions.found,
        "lesions_made_up": lesions.made_up,
        "lesions_missed": lesions.missed,
        "lesion_f1": lesions.f1,
        "false_positive_ml": unmatched_volume_ml(found, true, voxel_ml=voxel_ml),
        "false_negative_ml": unmatched_volume_ml(true, found, voxel_ml=voxel_ml),
    }


def _shown(volume: Volume) -> str:
    return np.array2string(volume.affine[:3], precision=4, suppress_small=True)
