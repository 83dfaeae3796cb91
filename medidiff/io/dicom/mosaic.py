"""Siemens mosaics: many slices of one MR volume tiled into one image."""

import math
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from medidiff.errors import DataError
from medidiff.io.dicom.fields import text
from medidiff.io.dicom.planes import Plane, single_plane

_CSA = (0x0029, 0x1010)  # "SIEMENS CSA HEADER", image part


def is_mosaic(header: Dataset) -> bool:
    """Whether the image is a Siemens mosaic."""
    return text(header, "Modality") == "MR" and "MOSAIC" in text(header, "ImageType").split("\\")


def tile_planes(header: Dataset, *, path: Path, name: str) -> list[Plane]:
    """The plane of each tile of a mosaic, in the order of the tiles.

    header    of the mosaic; its CSA header gives the number of slices and their normal
    path      of the file
    name      of the file, for messages

    ImagePositionPatient is that of a slice as large as the mosaic around the true centre, so the first tile lies at

        position + (Columns - columns of a tile) / 2 · spacing[1] · row cosines + (Rows - rows) / 2 · spacing[0] · column cosines

    and the others follow along the normal by SpacingBetweenSlices (as dcm2niix and nibabel do). Raises DataError when the
    CSA header is missing or does not fit the image.
    """
    whole_plane = single_plane(header, path=path, name=name)
    count, normal, step = _layout(_csa_values(header, name=name), header, name=name)
    side = math.ceil(math.sqrt(count)) if count > 0 else 0
    rows, columns = whole_plane.shape
    if normal.shape != (3,) or not side or rows % side or columns % side or step <= 0 or abs(normal @ whole_plane.normal) < 0.999:
        raise _no_layout(name)
    tile = rows // side, columns // side
    row, column = np.array(whole_plane.orientation[:3]), np.array(whole_plane.orientation[3:])
    first = np.array(whole_plane.position)
    first = (
        first + (columns - tile[1]) / 2 * whole_plane.spacing[1] * row + (rows - tile[0]) / 2 * whole_plane.spacing[0] * column
    )
    positions = first + np.arange(count)[:, None] * step * normal
    return [
        replace(
            whole_plane,
            frame=index,
            shape=tile,
            position=tuple(map(float, positions[index])),
            identity=f"{whole_plane.identity}#{index}",
        )
        for index in range(count)
    ]


def _layout(csa: dict[str, list[str]], header: Dataset, *, name: str) -> tuple[int, np.ndarray, float]:
    """Number of slices, their normal (3,) LPS and the distance between them, mm."""
    try:
        normal = np.array([float(part) for part in csa["SliceNormalVector"][:3]])
        return int(csa["NumberOfImagesInMosaic"][0]), normal, float(header.SpacingBetweenSlices)
    except (KeyError, IndexError, ValueError, TypeError, AttributeError) as error:
        raise _no_layout(name) from error


def cut_tiles(image: np.ndarray, tile: tuple[int, int]) -> np.ndarray:
    """The tiles (tile, rows, columns) of a mosaic image (rows · n, columns · n), row by row."""
    down, across = image.shape[0] // tile[0], image.shape[1] // tile[1]
    return image.reshape(down, tile[0], across, tile[1]).transpose(0, 2, 1, 3).reshape(down * across, *tile)


def _no_layout(name: str) -> DataError:
    return DataError(
        f"{name}: a Siemens mosaic whose private CSA header does not say how many slices it holds and where they lie. "
        "Export it again with the private elements, or as one image for each slice."
    )


def _csa_values(header: Dataset, *, name: str) -> dict[str, list[str]]:
    """Names and values of a CSA2 header ("SV10"): 84-byte entries, each followed by its 4-byte aligned items."""
    element = header.get(_CSA)
    data = element.value if element is not None else None
    if not isinstance(data, bytes) or data[:4] != b"SV10" or len(data) < 16:
        raise _no_layout(name)
    found, at = {}, 16
    try:
        for _ in range(min(struct.unpack("<L", data[8:12])[0], 1000)):
            key = data[at : at + 64].split(b"\0", 1)[0].decode("latin-1")
            items, at = struct.unpack("<L", data[at + 76 : at + 80])[0], at + 84
            values = []
            for _ in range(min(items, 1000)):
                length = struct.unpack("<L", data[at + 4 : at + 8])[0]
                values.append(data[at + 16 : at + 16 + length].split(b"\0", 1)[0].decode("latin-1").strip())
                at += 16 + (length + 3) // 4 * 4
            found[key] = [entry for entry in values if entry]
    except struct.error as error:
        raise _no_layout(name) from error
    return found
