"""Numbers of the uptake inside a mask: volume, SUV maximum, mean and peak, TLG, lesions."""

import math

import numpy as np
from scipy import ndimage, signal

from medidiff.io.volume import Volume
from medidiff.segmentation.thresholds import TOUCHING

_PEAK_RADIUS_MM = 10 * (3 / (4 * math.pi)) ** (1 / 3)  # sphere of 1 cm³


def measure_uptake(pet: Volume, mask: np.ndarray) -> dict[str, float | int | None]:
    """What nuclear medicine reports of a mask on the PET grid.

    pet       SUV
    mask      (i, j, k) bool
    returns   mtv_ml    metabolic tumour volume, ml
              suv_max, suv_mean, suv_peak; None for an empty mask
              tlg       total lesion glycolysis, SUV·ml = suv_mean · mtv_ml
              lesions   connected parts, 26 neighbours

    suv_peak is the highest mean over the voxel centres within a sphere of 1 cm³ whose centre is a voxel of the mask
    (Wahl et al. 2009, PERCIST; the sphere may reach beyond the mask, not beyond the volume).
    """
    mtv_ml = float(mask.sum()) * pet.grid.voxel_ml
    values = pet.array[mask].astype(np.float64)
    lesions = int(ndimage.label(mask, TOUCHING)[1])
    if values.size == 0:
        return {"mtv_ml": 0.0, "suv_max": None, "suv_mean": None, "suv_peak": None, "tlg": 0.0, "lesions": 0}
    return {
        "mtv_ml": mtv_ml,
        "suv_max": float(values.max()),
        "suv_mean": float(values.mean()),
        "suv_peak": _suv_peak(pet, mask),
        "tlg": float(values.mean()) * mtv_ml,
        "lesions": lesions,
    }


def _suv_peak(pet: Volume, mask: np.ndarray) -> float:
    ball = _ball(pet.affine)
    reach = [(n - 1) // 2 for n in ball.shape]
    box = ndimage.find_objects(mask.astype(np.uint8))[0]
    crop = tuple(slice(max(s.start - r, 0), s.stop + r) for s, r in zip(box, reach))
    values = pet.array[crop].astype(np.float64)
    total = signal.fftconvolve(values, ball, mode="same")
    count = signal.fftconvolve(np.ones_like(values), ball, mode="same")
    return float((total / count)[mask[crop]].max())


def _ball(affine: np.ndarray) -> np.ndarray:
    """Which voxel centres lie within the 1 cm³ sphere around one of them; symmetric, at least that one voxel."""
    # |index| along an axis inside the sphere is at most radius · |row of the inverse|
    reach = np.floor(_PEAK_RADIUS_MM * np.linalg.norm(np.linalg.inv(affine[:3, :3]), axis=1)).astype(int)
    indices = np.stack(np.meshgrid(*[np.arange(-r, r + 1) for r in reach], indexing="ij"), axis=-1)
    return (np.linalg.norm(indices @ affine[:3, :3].T, axis=-1) <= _PEAK_RADIUS_MM).astype(np.float64)
