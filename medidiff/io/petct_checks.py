"""Whether a CT and a PET fit each other, and whether their values are plausible."""

import numpy as np

from medidiff.errors import DataError
from medidiff.io.volume import Grid, Volume


def grid_summary(grid: Grid) -> dict:
    """Shape, spacing, orientation and affine, for reports."""
    return {
        "shape": list(grid.shape),
        "spacing_mm": list(grid.spacing_mm),
        "orientation": grid.orientation,
        "affine": grid.affine.tolist(),
    }


def coverage(ct: Grid, pet: Grid) -> dict[str, float]:
    """How two fields of view overlap.

    returns   pet_length_in_ct   fraction of the PET's slices that lie in the CT
              pet_volume_in_ct   fraction of its voxel box
              ct_first_mm        length of CT before the PET begins, along growing k of the CT
              ct_last_mm         length of CT after the PET ends

    Raises DataError where the CT covers less than half of the length of the PET. The volume does not decide: PET fields of view
    are wide, and a CT of usual width covers only half of their plane.
    """
    low, high = _box_in(ct, pet)
    shared = np.clip(np.minimum(high, np.array(pet.shape) - 0.5) - np.maximum(low, -0.5), 0, None) / pet.shape
    length = float(shared[2]) if shared.min() > 0 else 0.0
    if length < 0.5:
        raise DataError(
            f"the CT covers {length:.0%} of the length of the PET, expected at least half.\nCT {ct.shape}\n{ct.affine[:3]}\n"
            f"PET {pet.shape}\n{pet.affine[:3]}\nChoose the CT of the same region."
        )
    low, high = _box_in(pet, ct)
    step, depth = ct.spacing_mm[2], ct.shape[2]
    before, after = max(0.0, min(low[2], depth - 0.5) + 0.5), max(0.0, depth - 0.5 - max(high[2], -0.5))
    return {
        "pet_length_in_ct": length,
        "pet_volume_in_ct": float(np.prod(shared)),
        "ct_first_mm": float(before * step),
        "ct_last_mm": float(after * step),
    }


def check_content(volume: Volume, name: str) -> None:
    """Raises DataError where all voxels have one value, which no scan of a patient has."""
    low, high = float(volume.array.min()), float(volume.array.max())
    if low == high:
        raise DataError(f"{name}: all voxels have the value {low:g}, expected an image. Export the series again.")


def implausible_suv(suv: np.ndarray) -> list[str]:
    """Warnings where SUV of the body (above 0.1) lies outside what patients show: the unit or a time may be wrong."""
    body = suv[suv > 0.1]
    if not body.size:
        return [f"no voxel has an SUV above 0.1 (largest {suv.max():.3g}): check unit, dose and weight"]
    largest, high = float(body.max()), float(np.percentile(body, 99.9))
    warnings = []
    if largest > 200:
        warnings.append(f"largest SUV is {largest:.4g}, usually below 200: check unit, dose and weight")
    if not 1 <= high <= 60:
        warnings.append(f"99.9 % of the body has an SUV below {high:.3g}, usually between 1 and 60: check unit, dose and weight")
    return warnings


def _box_in(grid: Grid, other: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest index (3,) in `other` that the voxel box of `grid` reaches."""
    from_mm = np.linalg.inv(other.affine)
    corners = grid.corners() @ from_mm[:3, :3].T + from_mm[:3, 3]
    return corners.min(axis=0), corners.max(axis=0)
