"""HDF5 files, changed array by array: lies about sizes, other types, links to elsewhere, bombs."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from tests.robustness.mutation import ANY, EQUAL, REFUSED, Mutation, Random, files_of

SUFFIXES = (".h5", ".hdf5", ".uff", ".cdf")
Edit = Callable[[h5py.Group, str, Path, Random], None]


def in_one_array(name: str, expect: str, edit: Edit) -> Mutation:
    """The edit at one array of one file."""

    def change(folder: Path, random: Random) -> None:
        files = [path for path in files_of(folder) if path.suffix in SUFFIXES and h5py.is_hdf5(path)]
        path = files[random.integers(len(files))]
        with h5py.File(path, "r+") as file:
            arrays: list[h5py.Dataset] = []
            file.visititems(lambda _, item: arrays.append(item) if isinstance(item, h5py.Dataset) else None)
            array = arrays[random.integers(len(arrays))]
            edit(array.parent, array.name.rpartition("/")[2], folder, random)

    return Mutation(f"array: {name}", expect, change)


def in_attributes(name: str, expect: str, edit: Callable[[h5py.AttributeManager, str], None]) -> Mutation:
    """The edit at one attribute of the file or of a group or array in it."""

    def change(folder: Path, random: Random) -> None:
        path = next(path for path in files_of(folder) if path.suffix in SUFFIXES and h5py.is_hdf5(path))
        with h5py.File(path, "r+") as file:
            owners = [file]
            file.visititems(lambda _, item: owners.append(item) and None)
            named = [(owner, key) for owner in owners for key in owner.attrs if key not in ("CLASS", "NAME", "DIMENSION_LIST")]
            if named:
                owner, key = named[random.integers(len(named))]
                edit(owner.attrs, key)

    return Mutation(f"attribute: {name}", expect, change)


def _replace(values: Callable[[h5py.Dataset], object], **options: object) -> Edit:
    def edit(group: h5py.Group, name: str, folder: Path, random: Random) -> None:
        made = values(group[name])
        del group[name]
        group.create_dataset(name, data=made, **options)

    return edit


def _claim(group: h5py.Group, name: str, folder: Path, random: Random) -> None:
    """A shape of which the file holds nothing: 2 GB of fill value."""
    old = group[name]
    kind = old.dtype if old.dtype.kind in "fciu" else np.float32
    ndim = max(1, old.ndim)
    del group[name]
    side = int((1 << 29) ** (1 / ndim))
    group.create_dataset(name, shape=(side,) * ndim, dtype=kind, chunks=(min(side, 64),) * ndim)


def _bomb(group: h5py.Group, name: str, folder: Path, random: Random) -> None:
    """A shape that the file holds as packed zeros: 600 MB in one."""
    ndim = max(1, group[name].ndim)
    del group[name]
    shape = (1,) * (ndim - 1) + (150_000_000,)
    chunk = (1,) * (ndim - 1) + (10_000_000,)
    array = group.create_dataset(name, shape=shape, dtype=np.float32, chunks=chunk, compression="gzip", compression_opts=9)
    packed = None
    for at in range(0, 150_000_000, 10_000_000):
        place = (0,) * (ndim - 1) + (at,)
        if packed is None:
            array[(*(0,) * (ndim - 1), slice(at, at + 10_000_000))] = 0
            packed = array.id.read_direct_chunk(place)
        else:
            array.id.write_direct_chunk(place, packed[1], packed[0])


def _outside(group: h5py.Group, name: str, folder: Path, random: Random) -> None:
    size, shape = max(1, group[name].nbytes), group[name].shape
    secret = folder.with_name(folder.name + ".secret")
    secret.write_bytes(b"CANARY00" * (size // 8 + 1))
    kind = group[name].dtype if group[name].dtype.kind in "fciu" else np.dtype("u1")
    del group[name]
    group.create_dataset(name, shape=shape or (1,), dtype=kind, external=[(str(secret), 0, max(size, 8))])


def _linked(link: Callable[[Path], object]) -> Edit:
    def edit(group: h5py.Group, name: str, folder: Path, random: Random) -> None:
        other = folder.with_name(folder.name + ".other.h5")
        with h5py.File(other, "w") as file:
            file["x"] = _others(group[name])
        del group[name]
        group[name] = link(other)

    return edit


def _virtual(group: h5py.Group, name: str, folder: Path, random: Random) -> None:
    other = folder.with_name(folder.name + ".virtual.h5")
    array = group[name]
    if array.dtype.kind not in "fciu" or not array.shape:
        return _outside(group, name, folder, random)
    with h5py.File(other, "w") as file:
        file["x"] = _others(array)
    layout = h5py.VirtualLayout(shape=array.shape, dtype=array.dtype)
    layout[...] = h5py.VirtualSource(other, "x", shape=array.shape)
    del group[name]
    group.create_virtual_dataset(name, layout)
    return None


def _others(array: h5py.Dataset) -> object:
    """Values that nobody may read in the place of these."""
    values = np.array(array[...])
    return values + values.dtype.type(1) if values.dtype.kind in "fciu" else values


def _nan(array: h5py.Dataset) -> object:
    values = np.array(array[...])
    if values.dtype.kind in "fc" and values.size:
        values.reshape(-1)[values.size // 2] = np.nan
    return values


def _to_group(group: h5py.Group, name: str, folder: Path, random: Random) -> None:
    del group[name]
    group.create_group(name)


def _object(array: h5py.Dataset) -> object:
    return np.full(array.shape or (1,), b"../../<script>", dtype="S14")


def _shifted(array: h5py.Dataset) -> object:
    values = np.array(array[...])
    return np.roll(values, 1) if values.dtype.kind in "fciu" else values


ARRAYS = (
    in_one_array("2 GB claimed, none stored", REFUSED, _claim),
    in_one_array("600 MB of packed zeros", REFUSED, _bomb),
    in_one_array("external storage", EQUAL, _outside),
    in_one_array("external link", EQUAL, _linked(lambda other: h5py.ExternalLink(str(other), "/x"))),
    in_one_array("soft link to nothing", ANY, _linked(lambda other: h5py.SoftLink("/nowhere"))),
    in_one_array("virtual", EQUAL, _virtual),
    in_one_array("removed", ANY, lambda group, name, folder, random: group.__delitem__(name)),
    in_one_array("a group instead", ANY, _to_group),
    in_one_array("not a number", ANY, _replace(_nan)),
    in_one_array("text instead", ANY, _replace(_object)),
    in_one_array("one axis more", ANY, _replace(lambda array: np.array(array[...])[None])),
    in_one_array("axes reversed", ANY, _replace(lambda array: np.array(array[...]).T)),
    in_one_array("one entry less", ANY, _replace(lambda array: np.array(array[...]).reshape(-1)[:-1])),
    in_one_array("empty", ANY, _replace(lambda array: np.zeros((0, *array.shape[1:]), "f4"))),
    in_one_array("whole numbers instead", ANY, _replace(lambda array: np.ones(array.shape, "i8"))),
    in_one_array("huge values", ANY, _replace(lambda array: np.full(array.shape, 1e300))),
    in_one_array("values below 0", ANY, _replace(lambda array: np.full(array.shape, -1e9, "f4"))),
    in_one_array("values in other places", ANY, _replace(_shifted)),
    in_attributes("removed", ANY, lambda attrs, key: attrs.__delitem__(key)),
    in_attributes("a number instead", ANY, lambda attrs, key: attrs.__setitem__(key, np.float64("nan"))),
    in_attributes("text instead", ANY, lambda attrs, key: attrs.__setitem__(key, "<script>../../etc")),
    in_attributes("bytes that are no text", ANY, lambda attrs, key: attrs.__setitem__(key, np.bytes_(b"\xff\xfe\x00{"))),
    in_attributes("deep JSON instead", ANY, lambda attrs, key: attrs.__setitem__(key, "[" * 20_000)),
    in_attributes("an array instead", ANY, lambda attrs, key: attrs.__setitem__(key, np.arange(1000.0))),
    in_attributes("a huge number instead", ANY, lambda attrs, key: attrs.__setitem__(key, 2**62)),
)
