"""ISMRMRD (Inati et al. 2017), to which the raw data of all vendors can be converted: one measurement for each image volume."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medidiff.errors import DataError
from medidiff.io.dicom.geometry import LPS_TO_RAS
from medidiff.io.kspace.mrd_lines import Lines, read_lines
from medidiff.io.kspace.sampling import calibration_lines, without_oversampling
from medidiff.io.measurement import KSpace

LARGEST_RATIO = 100  # samples of the grid over samples in the file
SMALL = 1 << 21  # samples, up to which that does not matter
_VOLUMES = ("contrast", "phase", "repetition", "set")
_SAME = 0.01  # of the distance between slices


def read_ismrmrd(path: Path) -> list[KSpace]:
    """The volumes of a file, in the order of contrast, phase, repetition and set; slices in the order of their positions.

        column = first_column + kspace_encode_step_1,   row = encoded rows / 2 - center_sample + sample

    Averages are averaged. Where the file holds a noise scan with covariance C (of the real and of the imaginary part, scaled from
    the bandwidth of that scan to the images'), coils are whitened by the inverse of its Cholesky factor, and the noise of a
    sample is 1 / sqrt(averages). Oversampling of the readout is removed where the readouts are whole; partial echoes keep the
    whole grid, with what was not measured in the mask. Raises DataError for 3-D and non-Cartesian encodings, slices that were
    measured at different lines, are turned or unevenly spaced, and as `read_lines`.
    """
    path = Path(path)
    lines = read_lines(path)
    _check_supported(lines, path.name)
    samples, is_white = _whitened(lines, path.name)
    keys = np.stack([lines.head["idx"][field].astype(int) for field in _VOLUMES], axis=1)
    found = []
    for key in np.unique(keys, axis=0):
        own = (keys == key).all(axis=1)
        facts = {"format": "ISMRMRD", **{field: int(value) for field, value in zip(_VOLUMES, key)}}
        found.append(_volume(lines, _Part(lines.head[own], samples[own], is_white, facts), path.name))
    return found


@dataclass(frozen=True, eq=False)
class _Part:
    head: np.ndarray
    samples: np.ndarray
    is_white: bool
    facts: dict


def _check_supported(lines: Lines, name: str) -> None:
    encoding, head = lines.encoding, lines.head
    if encoding.trajectory != "cartesian":
        raise DataError(f"{name}: trajectory: found {encoding.trajectory[:20]!r}, expected cartesian. Grid or convert it first.")
    if "kspace_encode_step_2" in head["idx"].dtype.names and head["idx"]["kspace_encode_step_2"].any():
        raise DataError(
            f"{name}: kspace_encode_step_2: found 3-D encoding, expected slices. Transform along the partitions first."
        )
    start = encoding.encoded[0] // 2 - lines.centre
    if start < 0 or start + lines.samples.shape[-1] > encoding.encoded[0]:
        found = f"{lines.samples.shape[-1]} samples with the centre at {lines.centre}"
        raise DataError(f"{name}: center_sample: found {found}, expected them on {encoding.encoded[0]} rows. Export it again.")
    columns = encoding.first_column + head["idx"]["kspace_encode_step_1"].astype(int)
    if columns.min() < 0 or columns.max() >= encoding.encoded[1]:
        found = f"columns {columns.min()} to {columns.max()}"
        raise DataError(f"{name}: kspace_encode_step_1: found {found}, expected 0 to {encoding.encoded[1] - 1}. Export it again.")
    slices = len(np.unique(head["idx"]["slice"]))
    grid = slices * lines.samples.shape[1] * encoding.encoded[0] * encoding.encoded[1]
    if grid > max(SMALL, LARGEST_RATIO * lines.samples.size):
        found = f"{encoding.encoded[:2]} for {lines.samples.size} samples"
        raise DataError(f"{name}: matrixSize: found {found}, expected at most {LARGEST_RATIO} times as many. Export it again.")


def _whitened(lines: Lines, name: str) -> tuple[np.ndarray, bool]:
    """The samples with independent noise of 1 in every coil, where a noise scan says how to; and whether it does."""
    if lines.noise is None:
        return lines.samples, False
    centred = lines.noise - lines.noise.mean(axis=1, keepdims=True)
    covariance = centred @ centred.conj().T / (2 * centred.shape[1])
    faster = lines.noise_us / lines.image_us if lines.noise_us > 0 and lines.image_us > 0 else 1.0
    covariance = covariance.astype(np.complex128) * faster / lines.encoding.noise_bandwidth
    try:
        factor = np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError as error:
        coils, count = lines.noise.shape
        raise DataError(
            f"{name}: noise scan: found a covariance of {coils} coils from {count} samples that cannot be inverted, expected "
            "more samples or fewer coils. Leave the noise scan out of the file."
        ) from error
    unmix = np.linalg.inv(factor).astype(np.complex64)
    return np.einsum("dc,lcs->lds", unmix, lines.samples, optimize=True), True


def _volume(lines: Lines, part: _Part, name: str) -> KSpace:
    encoding = lines.encoding
    numbers, order = _slices(part.head, name)
    place = order[np.searchsorted(numbers, part.head["idx"]["slice"])]
    columns = encoding.first_column + part.head["idx"]["kspace_encode_step_1"].astype(int)
    line, counts = _gathered(part, place, columns, (len(numbers), encoding.encoded[1]), name)
    start = encoding.encoded[0] // 2 - lines.centre
    grid = np.zeros((len(numbers), line.shape[2], encoding.encoded[0], encoding.encoded[1]), dtype=np.complex64)
    grid[:, :, start : start + line.shape[3]] = line.transpose(0, 2, 3, 1)
    mask = np.zeros(grid.shape[2:], dtype=bool)
    mask[start : start + line.shape[3]] = counts[0] > 0
    is_whole = line.shape[3] == encoding.encoded[0]
    if is_whole and encoding.kept_rows < encoding.encoded[0]:
        grid = without_oversampling(grid, encoding.kept_rows) * (counts[0] > 0)
        mask = mask[: encoding.kept_rows]
    affine, is_placed = _affine(lines, part.head, numbers[np.argsort(order)], grid.shape, name)
    noise_std = 1 / math.sqrt(counts[counts > 0].min()) if part.is_white else None
    facts = part.facts | {"whitened": part.is_white, "partial_echo": not is_whole}
    facts |= {} if is_placed else {"position": "unknown", "orientation": "unknown"}
    return KSpace(grid, mask, affine, noise_std, calibration_lines(mask), facts)


def _gathered(
    part: _Part, place: np.ndarray, columns: np.ndarray, shape: tuple[int, int], name: str
) -> tuple[np.ndarray, np.ndarray]:
    """Lines (slice, column, coil, sample), averaged, and how often each was measured (slice, column)."""
    total = np.zeros((*shape, *part.samples.shape[1:]), dtype=np.complex64)
    counts = np.zeros(shape, dtype=int)
    averages = part.head["idx"]["average"]
    for average in np.unique(averages):
        own = averages == average
        where = place[own], columns[own]
        if len(np.unique(np.stack(where), axis=1).T) < own.sum():
            raise DataError(
                f"{name}: kspace_encode_step_1: found a line twice in one average, expected it once. Export it again."
            )
        total[where] += part.samples[own]
        counts[where] += 1
    if ((counts > 0) != (counts[0] > 0)).any():
        raise DataError(f"{name}: kspace_encode_step_1: found slices with different lines, expected the same. Split the slices.")
    return total / np.maximum(counts, 1)[:, :, None, None], counts


def _slices(head: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of the slices, rising, and the place of each along the normal."""
    numbers, first = np.unique(head["idx"]["slice"], return_index=True)
    normal = head["slice_dir"][0].astype(float)
    depth_mm = head["position"][first].astype(float) @ normal
    if not np.isfinite(depth_mm).all():
        raise DataError(f"{name}: position: found values not finite, expected mm. Export it again.")
    if np.ptp(depth_mm) == 0:
        return numbers, np.arange(len(numbers))
    return numbers, np.argsort(np.argsort(depth_mm, kind="stable"))


def _affine(lines: Lines, head: np.ndarray, numbers: np.ndarray, shape: tuple[int, ...], name: str) -> tuple[np.ndarray, bool]:
    """From voxels of the volume to RAS mm, and whether the file says where they are; `numbers` in the order of the volume."""
    column_mm, row_mm, slice_mm = lines.encoding.voxel_mm
    slices, _, rows, columns = shape
    directions = np.stack([head[field][0].astype(float) for field in ("phase_dir", "read_dir", "slice_dir")], axis=1)
    if not directions.any():
        affine = LPS_TO_RAS @ np.diag([column_mm, row_mm, slice_mm, 1.0])
        affine[:3, 3] = affine[:3, :3] @ -np.array([columns // 2, rows // 2, slices // 2])
        return affine, False
    if not np.allclose(directions.T @ directions, np.eye(3), atol=1e-3) or np.ptp(head["slice_dir"], axis=0).max() > 1e-3:
        raise DataError(f"{name}: read_dir, phase_dir, slice_dir: found no common right angles, expected them. Split the slices.")
    middles = np.array([head["position"][head["idx"]["slice"] == number][0] for number in numbers], dtype=float)
    if slices > 1:
        steps = np.diff(middles @ directions[:, 2])
        if np.ptp(steps) > _SAME * steps.mean() or steps.min() <= 0:
            found = f"{steps.min():.4g} to {steps.max():.4g} mm between slices"
            raise DataError(f"{name}: position: found {found}, expected equal distances. Split the slices.")
        slice_mm = float(steps.mean())
    affine = np.eye(4)
    affine[:3, :3] = directions * (column_mm, row_mm, slice_mm)
    affine[:3, 3] = middles[0] - affine[:3, :2] @ (columns // 2, rows // 2)
    return LPS_TO_RAS @ affine, True
