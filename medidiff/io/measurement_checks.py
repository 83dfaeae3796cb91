"""What a measurement must be before anything is reconstructed from it; every refusal is one line."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from medidiff.errors import DataError

LARGEST_ANGLE_RAD = 4 * math.pi  # anything beyond was given in degrees
LARGEST_LINE_INTEGRAL = 50.0  # e^-50 of the photons: no detector counts so few, so these are counts, not logarithms
SAME_ANGLE_RAD = 1e-6
SAME_LENGTH = 1e-3  # relative
BEAMS = {"parallel": (), "fan": ("source_mm", "detector_mm")}
GEOMETRY = ("beam", "rows", "columns", "pixel_mm", "angles_rad", "bins", "bin_mm")


def check_projections(arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any], name: str) -> None:
    """DataError, one line that begins with `name`, unless arrays and facts are CT line integrals that can be reconstructed."""
    values, geometry, weights = arrays["line_integrals"], facts["geometry"], arrays.get("weights")
    _check_geometry(geometry, name)
    if values.ndim != 3 or values.shape[1:] != (len(geometry["angles_rad"]), geometry["bins"]) or not len(values):
        expected = f"(slice, {len(geometry['angles_rad'])} views, {geometry['bins']} bins)"
        raise _refusal(name, "line_integrals", f"shape {values.shape}", expected, "Swap the axes, or correct the geometry.")
    _check_finite(values, name, "line_integrals", "Give what was not measured the weight 0 and the value 0.")
    if values.max() > LARGEST_LINE_INTEGRAL:
        kind = "raw 16-bit counts" if values.max() == 65535 else "counts before the logarithm"
        advice = f"These look like {kind}: take -log(I / I0), or correct slope and intercept."
        raise _refusal(name, "line_integrals", f"a largest value of {values.max():g}", "at most 50", advice)
    if weights is not None:
        _check_weights(weights, values.shape, name)
    water = facts["water_per_mm"]
    if not 0.005 < water < 0.1:
        raise _refusal(name, "water_per_mm", f"{water:g}", "1/mm between 0.005 and 0.1 (0.0192 at 70 keV)", "Divide 1/cm by 10.")
    spacing = _check_affine(arrays["affine"], name)
    if max(abs(spacing[:2] / geometry["pixel_mm"] - 1)) > SAME_LENGTH:
        found = f"{spacing[0]:g} and {spacing[1]:g} mm between columns and rows"
        raise _refusal(name, "affine", found, f"pixel_mm, {geometry['pixel_mm']:g}", "Pixels are square; correct one of the two.")


def check_kspace(arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any], name: str) -> None:
    """DataError, one line that begins with `name`, unless arrays and facts are k-space that can be reconstructed."""
    samples, mask = arrays["samples"], arrays["mask"]
    if samples.ndim != 4 or not samples.size or not np.iscomplexobj(samples):
        found = f"{samples.dtype} of shape {samples.shape}"
        raise _refusal(name, "samples", found, "complex (slice, coil, row, column)", "Add the axis of coils for a single one.")
    _check_finite(samples, name, "samples", "Set what was not measured to 0, in the samples and in the mask.")
    if not np.isin(mask, (0, 1)).all():
        raise _refusal(name, "mask", f"values from {mask.min()} to {mask.max()}", "0 and 1 alone", "Keep densities elsewhere.")
    mask = mask.astype(bool)
    if mask.shape != samples.shape[2:] or not mask.any():
        found = f"shape {mask.shape}, {int(mask.sum())} samples measured"
        raise _refusal(name, "mask", found, f"shape {samples.shape[2:]} with some measured", "Rows are readout, columns phase.")
    if samples[:, :, ~mask].any():
        found = f"values other than 0 at {int((samples[:, :, ~mask] != 0).any(axis=(0, 1)).sum())} places outside the mask"
        raise _refusal(name, "samples", found, "0 where the mask is 0", "Multiply by the mask, or correct the mask.")
    noise_std, lines = facts["noise_std"], facts["calibration_lines"]
    if noise_std is not None and not 0 <= noise_std < math.inf:
        raise _refusal(name, "noise_std", f"{noise_std}", "at least 0 and finite", "Leave it out where it is unknown.")
    if lines < 0 or lines > mask.shape[1] or not _centre(mask, lines).all():
        found = f"{lines}, of whose centre {int((~_centre(mask, max(lines, 1))).sum())} samples are not measured"
        raise _refusal(name, "calibration_lines", found, "the width of a fully sampled centre", "Lower it; 0 means none.")
    _check_affine(arrays["affine"], name)


def _check_geometry(geometry: Mapping[str, Any], name: str) -> None:
    beam = geometry.get("beam")
    if beam not in BEAMS:
        raise _refusal(name, "geometry.beam", repr(beam), "parallel or fan", "Rebin other geometries to one of them.")
    keys = {*GEOMETRY, *BEAMS[beam]}
    if set(geometry) != keys:
        missing, unknown = sorted(keys - set(geometry)), sorted(set(geometry) - keys)
        found = f"missing {', '.join(missing) or 'none'}, unknown {', '.join(unknown) or 'none'}"
        raise _refusal(name, "geometry", found, f"the keys {', '.join(sorted(keys))}", "Put what else is known into provenance.")
    for key in ("rows", "columns", "bins"):
        if not isinstance(geometry[key], int) or geometry[key] < 1:
            raise _refusal(name, f"geometry.{key}", f"{geometry[key]!r}", "a whole number from 1", "Count pixels and bins.")
    for key in ("pixel_mm", "bin_mm", *BEAMS[beam]):
        if not isinstance(geometry[key], int | float) or not 0 < geometry[key] < math.inf:
            raise _refusal(name, f"geometry.{key}", f"{geometry[key]!r}", "a positive, finite number of mm", "Correct it.")
    _check_angles(np.asarray(geometry["angles_rad"], dtype=float), name)
    radius_mm = 0.5 * geometry["pixel_mm"] * math.hypot(geometry["rows"], geometry["columns"])
    if beam == "fan" and not radius_mm < geometry["source_mm"] <= geometry["detector_mm"]:
        found = f"source_mm {geometry['source_mm']:g} and detector_mm {geometry['detector_mm']:g}"
        expected = f"{radius_mm:g} (the circle around the pixels) < source_mm <= detector_mm"
        raise _refusal(name, "geometry", found, expected, "Both are measured from the source.")


def _check_angles(angles_rad: np.ndarray, name: str) -> None:
    field = "geometry.angles_rad"
    if angles_rad.ndim != 1 or len(angles_rad) < 2:
        raise _refusal(name, field, f"{angles_rad.size} views", "at least 2", "One view determines no slice.")
    _check_finite(angles_rad, name, field, "Drop the views whose angle is unknown.")
    largest = float(np.abs(angles_rad).max())
    if largest > LARGEST_ANGLE_RAD:
        raise _refusal(name, field, f"{largest:g}", "at most 4 pi", "Convert degrees to radians.")
    turned = np.sort(np.mod(angles_rad, 2 * math.pi))
    gaps = np.diff(np.append(turned, turned[0] + 2 * math.pi))
    if gaps.min() < SAME_ANGLE_RAD:
        found = f"{turned[gaps.argmin()]:.6g} rad twice"
        raise _refusal(name, field, found, "every direction once", "Leave out the end of a full turn, or average the two views.")


def _check_weights(weights: np.ndarray, shape: tuple[int, ...], name: str) -> None:
    if weights.shape != shape:
        raise _refusal(name, "weights", f"shape {weights.shape}", f"that of line_integrals, {shape}", "Make both alike.")
    _check_finite(weights, name, "weights", "Use 0 for a ray without photons.")
    if weights.min() < 0 or not weights.max() > 0:
        found = f"values from {weights.min():g} to {weights.max():g}"
        raise _refusal(name, "weights", found, "none below 0 and some above", "They are 1 / variance; check dose and counts.")


def _check_affine(affine: np.ndarray, name: str) -> np.ndarray:
    """The distances between voxels, mm (3,)."""
    if affine.shape != (4, 4):
        raise _refusal(name, "affine", f"shape {affine.shape}", "(4, 4)", "It maps (i, j, k, 1) to RAS mm.")
    _check_finite(affine, name, "affine", "It maps (i, j, k, 1) to RAS mm.")
    if not np.array_equal(affine[3], (0, 0, 0, 1)) or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise _refusal(name, "affine", f"{affine.tolist()}", "an invertible map with last row 0 0 0 1", "Correct the spacing.")
    return np.linalg.norm(affine[:3, :3], axis=0)


def _check_finite(values: np.ndarray, name: str, field: str, advice: str) -> None:
    wrong = int((~np.isfinite(values)).sum())
    if wrong:
        raise _refusal(name, field, f"{wrong} of {values.size} values not finite", "finite numbers", advice)


def _centre(mask: np.ndarray, width: int) -> np.ndarray:
    """The middle columns of a mask, and of its rows no more than that."""
    rows, columns = mask.shape
    top, left = max(0, rows // 2 - width // 2), max(0, columns // 2 - width // 2)
    return mask[top : top + width, left : left + width]


def _refusal(name: str, field: str, found: str, expected: str, advice: str) -> DataError:
    return DataError(f"{name}: {field}: found {found}, expected {expected}. {advice}")
