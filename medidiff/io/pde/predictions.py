"""What was predicted of trajectories, by name, for pages and for whoever wants to look closer."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from medidiff.errors import DataError
from medidiff.io.hdf5_array import find_array, open_hdf5, read_finite
from medidiff.io.hdf5_file import new_hdf5

FORMAT = "medidiff predictions 1"  # raise the number when older readers would misread the file


@dataclass(frozen=True, eq=False)
class Predictions:
    """Arrays (b, field, ...) float32 by name, and facts as JSON can hold them: fields, units, duration_s, start, length."""

    arrays: Mapping[str, np.ndarray]
    facts: Mapping[str, Any] = field(default_factory=dict)


def write_predictions(predictions: Predictions, path: str | Path) -> None:
    """The predictions as HDF5 under its final name; equal content gives equal bytes. Raises DataError for values not finite."""
    path = Path(path)
    for name, values in predictions.arrays.items():
        if not np.isfinite(values).all():
            raise DataError(f"{path.name}: {name}: values are not finite. Compute it again with another seed, and report it.")
    with new_hdf5(path, track_order=True) as file:
        for name, values in predictions.arrays.items():
            values = np.asarray(values, dtype=np.float32)
            file.create_dataset(name, data=values, compression="gzip", compression_opts=1, shuffle=True)
        file.attrs["format"] = FORMAT
        file.attrs["facts"] = json.dumps(predictions.facts, sort_keys=True)


def read_predictions(path: str | Path) -> Predictions:
    """The predictions of a file. Raises DataError for a damaged or foreign one."""
    path = Path(path)
    with open_hdf5(path) as file:
        if file.attrs.get("format") != FORMAT:
            found = file.attrs.get("format")
            raise DataError(f"{path.name}: format: found {found!r}, expected {FORMAT!r}. Make it with `medidiff operate`.")
        facts = json.loads(file.attrs["facts"])
        names = list(file)
        arrays = {name: read_finite(find_array(file, name, file=path.name, kinds="f"), name, file=path.name) for name in names}
    return Predictions(arrays, facts)
