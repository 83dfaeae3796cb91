"""Planes in order and the affine of their stack, exactly as the patient lies."""

from collections.abc import Sequence

import numpy as np

from medidiff.io.dicom.planes import Plane

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
SHEAR = 1e-3  # sideways step of the slices, as a fraction of their distance, from which a stack counts as tilted


def depths(planes: Sequence[Plane]) -> np.ndarray:
    """Position of each plane along the common normal, mm, in the order given; (n,) float64."""
    return np.array([plane.position for plane in planes]) @ planes[0].normal


def sorted_along_normal(planes: Sequence[Plane]) -> list[Plane]:
    """The planes by growing position along their normal; equal positions keep the order of name and frame."""
    order = sorted(zip(depths(planes), planes), key=lambda pair: (round(pair[0], 4), pair[1].name, pair[1].frame))
    return [plane for _, plane in order]


def stack_affine(planes: Sequence[Plane]) -> np.ndarray:
    """Affine (4, 4) from (column i, row j, slice k) to RAS millimetres of planes sorted along their normal.

    planes    at least two, sorted

        x = position[0] + i · spacing[1] · row cosines + j · spacing[0] · column cosines + k · s
        s = (position[n-1] - position[0]) / (n - 1)

    (DICOM PS3.3 C.7.6.2.1.1, with the slice step from the positions, never from SliceThickness.) A gantry tilt stays
    in s: the affine is sheared then.
    """
    first, last = planes[0], planes[-1]
    affine = np.eye(4)
    affine[:3, 0] = np.array(first.orientation[:3]) * first.spacing[1]
    affine[:3, 1] = np.array(first.orientation[3:]) * first.spacing[0]
    affine[:3, 2] = (np.array(last.position) - np.array(first.position)) / (len(planes) - 1)
    affine[:3, 3] = first.position
    return LPS_TO_RAS @ affine


def tilt_degrees(affine: np.ndarray) -> float:
    """Angle between the slice step and the normal of the planes; 0 for a right-angled stack."""
    normal = np.cross(affine[:3, 0], affine[:3, 1])
    along = normal @ affine[:3, 2] / np.linalg.norm(normal)
    across = affine[:3, 2] - along * normal / np.linalg.norm(normal)
    return float(np.degrees(np.arctan2(np.linalg.norm(across), abs(along))))


def is_sheared(affine: np.ndarray) -> bool:
    """Whether the slices step sideways by more than a thousandth of their distance (gantry tilt)."""
    return bool(np.tan(np.radians(tilt_degrees(affine))) > SHEAR)


def drift_mm(planes: Sequence[Plane]) -> np.ndarray:
    """Distance (n,) of each sorted plane's first pixel from where the stack's affine puts it."""
    positions = np.array([plane.position for plane in planes])
    affine = LPS_TO_RAS @ stack_affine(planes)
    expected = affine[:3, 3] + np.arange(len(planes))[:, None] * affine[:3, 2]
    return np.linalg.norm(positions - expected, axis=1)
