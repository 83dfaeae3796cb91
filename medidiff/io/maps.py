"""Maps that go with a reconstructed volume, such as its spread, in one HDF5 file; those that were not computed are not in it."""

from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np

from medidiff.errors import DataError
from medidiff.io.atomic import atomic_path
from medidiff.io.volume import Volume

FORMAT = "medidiff maps 1"


def write_maps(maps: Mapping[str, np.ndarray], affine: np.ndarray, path: str | Path) -> None:
    """The maps as HDF5, float32; equal content gives equal bytes.

    maps     (i, j, k) or, for samples, (sample, i, j, k), by name; may be empty
    affine   (4, 4) indices to RAS mm
    """
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs["format"] = FORMAT
        file.create_dataset("affine", data=np.asarray(affine, dtype=np.float64))
        for name in sorted(maps):
            file.create_dataset(f"maps/{name}", data=np.asarray(maps[name], np.float32), compression="gzip", shuffle=True)


def read_maps(path: str | Path) -> dict[str, Volume]:
    """The maps of a file that `write_maps` wrote, by name. Raises DataError when it is damaged or another file."""
    path = Path(path)
    try:
        with h5py.File(path, "r") as file:
            if file.attrs.get("format") != FORMAT:
                raise ValueError(f"format {file.attrs.get('format')!r}")
            affine = file["affine"][...]
            return {name: Volume(item[...], affine) for name, item in file.get("maps", {}).items()}
    except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise DataError(f"{path.name}: not readable as maps ({error}). Run `medidiff reconstruct` again.") from error
