"""K-space that lies in a plain array, .npy or .mat: no header, so that what is not in the numbers must be told."""

from pathlib import Path

import numpy as np
import scipy.io

from medidiff.errors import DataError
from medidiff.io.kspace.sampling import calibration_lines
from medidiff.io.measurement import KSpace
from medidiff.io.numpy_file import map_array

LARGEST_BYTES = 1 << 32
LARGEST_RATIO = 1100  # beyond what deflate can pack
_AXES = {2: "(row, column)", 3: "(coil, row, column)", 4: "(slice, coil, row, column)"}


def read_kspace_array(path: Path, *, variable: str = "", voxel_mm: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> KSpace:
    """The k-space of a NumPy or MATLAB (up to version 7) file; zero in every slice and coil means not measured.

    path       complex array (row, column), (coil, row, column) or (slice, coil, row, column); k = 0 in the middle
    variable   of a MATLAB file; empty: the only array that fits
    voxel_mm   distances between columns, rows and slices, which such files do not hold

    Nothing is unpickled. Raises DataError for other types, axes or sizes, values that are not finite, and data whose largest
    sample lies at a corner, as it does before an fftshift.
    """
    path = Path(path)
    values = _matlab(path, variable) if path.suffix.lower() == ".mat" else np.array(map_array(path))
    if values.dtype.kind != "c" or values.ndim not in _AXES or not values.size:
        found = f"{values.dtype} of shape {values.shape}"
        raise DataError(f"{path.name}: found {found}, expected complex {' or '.join(_AXES.values())}. Name another file.")
    wrong = int((~np.isfinite(values)).sum())
    if wrong:
        raise DataError(f"{path.name}: found {wrong} of {values.size} values not finite, expected 0 where none was measured.")
    samples = values.reshape((1,) * (4 - values.ndim) + values.shape).astype(np.complex64)
    _check_centre(samples, path.name)
    mask = samples.any(axis=(0, 1))
    slices, _, rows, columns = samples.shape
    affine = np.diag([*voxel_mm, 1.0]) @ np.diag([-1.0, -1, 1, 1])
    affine[:3, 3] = affine[:3, :3] @ -np.array([columns // 2, rows // 2, slices // 2])
    facts = {"format": path.suffix.lower().lstrip("."), "position": "unknown", "orientation": "unknown", "voxel_mm": [*voxel_mm]}
    return KSpace(samples, mask, affine, None, calibration_lines(mask), facts)


def _matlab(path: Path, variable: str) -> np.ndarray:
    try:
        listed = {name: shape for name, shape, _ in scipy.io.whosmat(path)}
        fit = [name for name, shape in listed.items() if len(shape) in _AXES and (not variable or name == variable)]
        if len(fit) != 1:
            raise DataError(
                f"{path.name}: variable: found {', '.join(map(str, listed)) or 'none'}, expected "
                f"{variable or 'one array'}. Name it with `variable`."
            )
        claimed = 16 * int(np.prod(listed[fit[0]], dtype=object))
        if claimed > LARGEST_BYTES or claimed > LARGEST_RATIO * path.stat().st_size:
            raise DataError(
                f"{path.name}: {fit[0]}: found the shape {listed[fit[0]]}, {claimed / 1e6:.0f} MB, expected at most "
                f"{LARGEST_BYTES >> 30} GB and {LARGEST_RATIO} times the file. Copy it again."
            )
        return np.asarray(scipy.io.loadmat(path, variable_names=fit)[fit[0]])
    except DataError:
        raise
    except Exception as error:  # scipy's parser fails in any way it likes on a damaged file
        reason = " ".join(str(error).split())[:160]
        raise DataError(f"{path.name}: not readable as a MATLAB file of version 5 to 7 ({reason}). Save it with -v7.") from error


def _check_centre(samples: np.ndarray, name: str) -> None:
    rows, columns = samples.shape[2:]
    strength = np.abs(samples).sum(axis=(0, 1))
    row, column = np.unravel_index(strength.argmax(), strength.shape)
    if min(row, rows - 1 - row) < rows / 16 and min(column, columns - 1 - column) < columns / 16:
        raise DataError(
            f"{name}: found the largest sample in row {row}, column {column} of {rows} x {columns}, expected it in the middle. "
            "Apply fftshift along both axes."
        )
