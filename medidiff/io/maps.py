"""Maps that go with a reconstructed volume, such as its spread, in one HDF5 file; those that were not computed are not in it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from medidiff.errors import DataError
from medidiff.io.atomic import atomic_path
from medidiff.io.volume import Volume

FORMAT = "medidiff maps 1"


@dataclass(frozen=True, eq=False)
class Maps:
    """Values on the grid of one volume.

    volumes   by name, such as `spread` and `half_width`; may be empty
    affine    (4, 4) indices to RAS mm
    facts     under which conditions they were made, as JSON can hold it
    """

    volumes: Mapping[str, Volume]
    affine: np.ndarray
    facts: Mapping[str, Any] = field(default_factory=dict)


def write_maps(maps: Maps, path: str | Path) -> None:
    """The maps as HDF5, float32; equal content gives equal bytes."""
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs["format"] = FORMAT
        file.attrs["facts"] = json.dumps(dict(maps.facts), sort_keys=True)
        file.create_dataset("affine", data=np.asarray(maps.affine, dtype=np.float64))
        for name in sorted(maps.volumes):
            values = np.asarray(maps.volumes[name].array, np.float32)
            file.create_dataset(f"maps/{name}", data=values, compression="gzip", shuffle=True)


def read_maps(path: str | Path) -> Maps:
    """The maps of a file that `write_maps` wrote. Raises DataError when it is damaged or another file."""
    path = Path(path)
    try:
        with h5py.File(path, "r") as file:
            if file.attrs.get("format") != FORMAT:
                raise ValueError(f"format {file.attrs.get('format')!r}")
            affine = file["affine"][...]
            volumes = {name: Volume(item[...], affine) for name, item in file.get("maps", {}).items()}
            return Maps(volumes, affine, json.loads(file.attrs["facts"]))
    except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise DataError(f"{path.name}: not readable as maps ({error}). Run `medidiff reconstruct` again.") from error
