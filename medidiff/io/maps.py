"""Maps that go with a reconstructed volume, such as its spread, in one HDF5 file; those that were not computed are not in it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from medidiff.documents import json_object
from medidiff.io.hdf5_array import find_array, open_hdf5, read_finite
from medidiff.io.hdf5_file import new_hdf5
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
    with new_hdf5(path) as file:
        file.attrs["format"] = FORMAT
        file.attrs["facts"] = json.dumps(dict(maps.facts), sort_keys=True)
        file.create_dataset("affine", data=np.asarray(maps.affine, dtype=np.float64))
        for name in sorted(maps.volumes):
            values = np.asarray(maps.volumes[name].array, np.float32)
            file.create_dataset(f"maps/{name}", data=values, compression="gzip", shuffle=True)


def read_maps(path: str | Path) -> Maps:
    """The maps of a file that `write_maps` wrote. Raises DataError when it is damaged or another file."""
    path = Path(path)
    with open_hdf5(path, kind="maps", advice="Run `medidiff reconstruct` again.") as file:
        if str(file.attrs.get("format")) != FORMAT:
            raise ValueError(f"format {file.attrs.get('format')!r}")
        affine = read_finite(find_array(file, "affine", file=path.name, dims=(2,), kinds="f"), "affine", file=path.name)
        if affine.shape != (4, 4) or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
            raise ValueError(f"an affine of shape {affine.shape} that cannot be inverted")
        group = file.get("maps", {})
        arrays = {name: find_array(group, name, file=path.name, dims=(3,), kinds="f") for name in group}
        volumes = {name: Volume(read_finite(array, name, file=path.name), affine) for name, array in arrays.items()}
        return Maps(volumes, affine, json_object(file.attrs["facts"]))
