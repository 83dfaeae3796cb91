"""Chromatograms and what was computed from them in one HDF5 file: `/time`, `/signal` and further curves over the same time."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from medidiff.io.hdf5_array import find_array, open_hdf5, read_finite
from medidiff.io.hdf5_file import new_hdf5

SIGNAL = "signal"


@dataclass(frozen=True, eq=False)
class Curves:
    """Arrays over one time axis, as the file holds them."""

    times: np.ndarray  # (sample,)   s
    values: Mapping[str, np.ndarray]  # name -> (sample,) or (component, sample); `signal` is what was measured
    names: tuple[str, ...]  # of the components
    facts: Mapping[str, str]  # unit, detector, SHA-256 of the source


def write_curves(path: Path, curves: Curves) -> None:
    """The curves as HDF5; equal content gives equal bytes."""
    with new_hdf5(path) as file:
        file.create_dataset("time", data=curves.times, compression="gzip", shuffle=True)
        file["time"].attrs["unit"] = "s"
        for name in sorted(curves.values):
            file.create_dataset(name, data=np.asarray(curves.values[name], dtype=float), compression="gzip", shuffle=True)
        file.attrs["components"] = np.array(list(curves.names), dtype=h5py.string_dtype())
        for name in sorted(curves.facts):
            file.attrs[name] = str(curves.facts[name])


def read_curves(path: Path) -> Curves:
    """The curves of a file that `write_curves` wrote. Raises DataError when it is damaged or another file."""
    path = Path(path)
    with open_hdf5(path, kind="stored curves", advice="Run `medidiff chromatograph` again.") as file:
        arrays = {name: find_array(file, name, file=path.name, dims=(1, 2), kinds="f") for name in {*file, "time"}}
        values = {name: read_finite(array, name, file=path.name) for name, array in arrays.items()}
        times = values.pop("time")
        if any(len(times) != curve.shape[-1] for curve in values.values()):
            raise ValueError(f"curves of {sorted({curve.shape for curve in values.values()})} over {times.shape} times")
        names = tuple(str(name) for name in file.attrs["components"])
        facts = {name: str(value) for name, value in file.attrs.items() if name != "components"}
        return Curves(times, values, names, facts)
