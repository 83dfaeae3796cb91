"""A series of planes as one volume: values in their unit, voxels as stored, the exact affine."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from medidiff.errors import DataError
from medidiff.io.dicom.fields import number, value
from medidiff.io.dicom.geometry import stack_affine
from medidiff.io.dicom.imageseries import Series
from medidiff.io.dicom.mosaic import cut_tiles, is_mosaic
from medidiff.io.dicom.pixels import stored_frames
from medidiff.io.dicom.planes import Plane
from medidiff.io.volume import Grid, Volume

LARGEST_VOXELS = 1 << 30  # of one volume: 4.3 GB of float32
FILL = {"CT": -1024.0, "PT": 0.0, "MR": 0.0}  # for pixels that the scanner marks as padding: air, no activity, no signal


def series_grid(series: Series) -> Grid:
    """Shape (columns, rows, slices) and RAS affine of a series, without reading its pixels.

    Raises DataError when the series is not usable.
    """
    _check_usable(series)
    rows, columns = series.planes[0].shape
    return Grid((columns, rows, len(series.planes)), stack_affine(series.planes))


def read_series(series: Series, *, root: Path | None = None) -> Volume:
    """Values of a usable series in the order in which they are stored, and where they lie.

    series    from `group_series`
    root      folder to which messages relate file names; None uses the names of the index
    returns   array[i = column, j = row, k = slice along the normal], float32: HU for CT, the unit of the file for PT and MR

        value = slope[k] · stored + intercept[k]        in float64, then float32

    Every slice has its own slope, as PET needs. Pixels marked by PixelPaddingValue (and its range) become -1024 HU in CT and 0
    elsewhere. Raises DataError when the series is not usable, a file cannot be decoded or a value is not finite.
    """
    grid = series_grid(series)
    if np.prod(grid.shape, dtype=np.int64) > LARGEST_VOXELS:
        raise DataError(
            f"{series.planes[0].name}: {grid.shape} voxels, more than {LARGEST_VOXELS} in one volume. Split the series."
        )
    array = np.empty(grid.shape[::-1], dtype=np.float32)
    for k, plane, header, stored in _planes(series, root):
        array[k] = _values(stored, plane, header, name=_name(plane, root))
    return Volume(array.T, grid.affine)


def _check_usable(series: Series) -> None:
    if not series.usable:
        raise DataError(f"series {series.uid} ({series.modality}): {series.reason}")


def _name(plane: Plane, root: Path | None) -> str:
    inside = root is not None and plane.path.is_relative_to(root)
    return plane.path.relative_to(root).as_posix() if inside else plane.name


def _planes(series: Series, root: Path | None) -> Iterator[tuple[int, Plane, Dataset, np.ndarray]]:
    """Slice number, plane, header and stored numbers (rows, columns) of each plane, each file opened once."""
    header_of = dict(zip(series.paths, series.headers))
    slices: dict[Path, dict[int, int]] = {path: {} for path in series.paths}
    for k, plane in enumerate(series.planes):
        slices[plane.path][plane.frame] = k
    for path, numbers in slices.items():
        header, name = header_of[path], _name(series.planes[next(iter(numbers.values()))], root)
        frames = stored_frames(path, name=name)
        if is_mosaic(header):
            frames = iter(cut_tiles(next(frames), series.planes[0].shape))
        for index, stored in enumerate(frames):
            if index in numbers:
                k = numbers.pop(index)
                yield k, series.planes[k], header, stored
        if numbers:
            raise DataError(f"{name}: {len(numbers)} of its frames are missing. Copy or export the file again.")


def _values(stored: np.ndarray, plane: Plane, header: Dataset, *, name: str) -> np.ndarray:
    if stored.shape != plane.shape:
        raise DataError(
            f"{name}: an image of {stored.shape} pixels, expected {plane.shape}. The file changed while it was read; try again."
        )
    with np.errstate(over="ignore", invalid="ignore"):  # what float32 cannot hold becomes infinite and is refused below
        values = (stored * plane.slope + plane.intercept).astype(np.float32)
    padded = _is_padding(stored, header, name=name)
    if padded is not None:
        values[padded] = FILL.get(str(header.get("Modality")), 0.0)
    if not np.isfinite(values).all():
        row, column = np.argwhere(~np.isfinite(values))[0]
        raise DataError(f"{name}: the pixel in row {row}, column {column} is not a finite number. Export the series again.")
    return values


def _is_padding(stored: np.ndarray, header: Dataset, *, name: str) -> np.ndarray | None:
    """Where the stored number is PixelPaddingValue, or between it and PixelPaddingRangeLimit; None without padding."""
    if value(header, "PixelPaddingValue") is None or stored.dtype.kind == "f":
        return None
    bounds = [_signed(number(header, "PixelPaddingValue", name=name), stored.dtype)]
    if value(header, "PixelPaddingRangeLimit") is not None:
        bounds.append(_signed(number(header, "PixelPaddingRangeLimit", name=name), stored.dtype))
    return (stored >= min(bounds)) & (stored <= max(bounds))


def _signed(padding: float, dtype: np.dtype) -> float:
    """A padding value written as unsigned beside signed pixels means the same bits (63536 is -2000), and the reverse."""
    span, low, high = 2.0 ** (8 * dtype.itemsize), np.iinfo(dtype).min, np.iinfo(dtype).max
    return padding - span if padding > high else padding + span if padding < low else padding
