"""HDF5 in the layout of zea, the ultrasound toolbox: 0.1.8 (tracks) and 0.0.4 (data and scan at the top) read, 0.1.8 written.

What that layout has no place for, such as haze and truth, stands beside it under `/medidiff`, which zea passes over.
"""

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import h5py
import numpy as np

from medidiff.errors import DataError
from medidiff.io.hdf5_array import find_array, open_hdf5
from medidiff.io.hdf5_file import new_hdf5
from medidiff.io.ultrasound.coordinates import positions_m, scan_of
from medidiff.io.ultrasound.recording import LARGEST_BYTES, Parallel, Pixels, Recording, Sector, checked

FORMAT = "medidiff recording 1"
_GEOMETRIES = {"sector": Sector, "parallel": Parallel, "pixels": Pixels}
_SCAN = {
    "sampling_frequency": "sampling_hz",
    "center_frequency": "centre_hz",
    "demodulation_frequency": "demodulation_hz",
    "sound_speed": "sound_speed",
}


def is_zea(file: h5py.File) -> bool:
    """Whether an open HDF5 file is laid out as zea does."""
    return "tracks/track_0" in file or ("data" in file and isinstance(file["data"], h5py.Group))


def read_zea(path: Path) -> Recording:
    """The beamformed RF or IQ of the first track, else its picture.

    Raises DataError where there is only channel data, the file is damaged, a compression filter is not installed, or samples
    have no regular place.
    """
    path = Path(path)
    with open_hdf5(path) as file:
        top = file.get("tracks/track_0", file)
        data = top.get("data")
        if not isinstance(data, h5py.Group) or not {"beamformed_data", "image"} & set(data):
            listed = ", ".join(sorted(data)) if isinstance(data, h5py.Group) else "no data"
            raise DataError(f"{path.name}: found {listed or 'no data'}, expected beamformed_data or image. Beamform it first.")
        field = "beamformed_data" if "beamformed_data" in data else "image"
        values, coordinates = _product(data, field, path.name)
        known = _scan_facts(top, path.name)
        said = _ours(file, path.name)
        kind = "image" if field == "image" else "iq" if values.dtype.kind == "c" else "rf"
        geometry = said.pop("geometry", None) or _geometry(coordinates, kind, path.name)
    if kind == "rf":
        known.setdefault("demodulation_hz", known.get("centre_hz"))
    found = Recording(values, kind, geometry, **{**known, **said, "facts": {"format": "zea", **said.get("facts", {})}})
    return checked(found, name=path.name)


def write_zea(recording: Recording, path: Path, *, extras: Mapping[str, np.ndarray] | None = None) -> None:
    """The recording, one frame in each chunk, and the extras under `/medidiff`; equal content gives equal bytes.

    extras   by name: complex or real, one for each frame, or any small array
    """
    kind = recording.kind
    geometry = recording.geometry
    with new_hdf5(path) as file:
        track = file.create_group("tracks/track_0")
        product = track.create_group("data/image" if kind == "image" else "data/beamformed_data")
        values = recording.values if kind == "image" else _channels(recording.values)
        _store(product, "values", values)
        if not isinstance(geometry, Pixels):
            product["coordinates"] = positions_m(geometry, recording.values.shape[1:])
        if kind != "image":
            labels = ["I", "Q"] if kind == "iq" else ["RF"]
            product.create_dataset("labels", data=labels, dtype=h5py.string_dtype())
        for field, key in _SCAN.items():
            if (value := getattr(recording, key)) is not None:
                track[f"scan/{field}"] = np.float64(value)
        ours = file.create_group("medidiff")
        ours.attrs["format"] = FORMAT
        name = {Sector: "sector", Parallel: "parallel", Pixels: "pixels"}[type(geometry)]
        ours.attrs["geometry"] = json.dumps({"type": name, **asdict(geometry)}, sort_keys=True)
        ours.attrs["frame_rate_hz"] = np.float64(recording.frame_rate_hz or np.nan)
        ours.attrs["facts"] = json.dumps(dict(recording.facts), sort_keys=True)
        for extra in sorted(extras or {}):
            array = np.asarray(extras[extra])
            _store(ours, extra, _channels(array) if array.dtype.kind == "c" else array)
            ours[extra].attrs["complex"] = array.dtype.kind == "c"


def read_extras(path: Path, names: Iterable[str]) -> dict[str, np.ndarray]:
    """Those of the named arrays under `/medidiff` that a file has. Raises DataError when it is damaged."""
    path = Path(path)
    found = {}
    with open_hdf5(path) as file:
        group = file.get("medidiff")
        for name in names:
            if isinstance(group, h5py.Group) and name in group:
                array = find_array(group, name, file=path.name, kinds="fiu")
                values = array[...]
                is_complex = bool(array.attrs.get("complex", False)) and values.shape[-1] == 2
                found[name] = values.astype(np.float32).view(np.complex64)[..., 0] if is_complex else values
    return found


def check_filters(array: h5py.Dataset, field: str, *, file: str) -> None:
    """Raises DataError where no filter is installed for the compression of an array; hdf5plugin brings the common ones."""
    with suppress(ImportError):
        import hdf5plugin  # noqa: F401  registers Blosc and others with HDF5
    properties = array.id.get_create_plist()
    filters = [properties.get_filter(i) for i in range(properties.get_nfilters())]
    missing = [
        f"{code} {(about or b'').decode(errors='replace')}" for code, _, _, about in filters if not h5py.h5z.filter_avail(code)
    ]
    if missing:
        raise DataError(
            f"{file}: {field}: found the compression {', '.join(missing)}, expected one here. Run `pip install hdf5plugin`."
        )


def _product(data: h5py.Group, field: str, name: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Values as a recording has them, and positions where the file lists them."""
    is_group = isinstance(data[field], h5py.Group)
    group, key = (data[field], "values") if is_group else (data, field)
    array = find_array(group, key, file=name, dims=(3, 4), kinds="fiu")
    check_filters(array, f"{field}/{key}", file=name)
    if array.nbytes > LARGEST_BYTES:
        raise DataError(
            f"{name}: {field}: found {array.nbytes / 1e9:.1f} GB, expected at most {LARGEST_BYTES >> 30}. Cut the clip."
        )
    values = _picture(array[...]) if field == "image" else _signal(array, name)
    coordinates = None
    if is_group and "coordinates" in group:
        coordinates = find_array(group, "coordinates", file=name, dims=(3, 4), kinds="f")[...]
        coordinates = coordinates[0] if coordinates.ndim == 4 else coordinates
        if coordinates.shape != (*values.shape[1:], 3):
            raise DataError(
                f"{name}: coordinates: found {coordinates.shape}, expected {(*values.shape[1:], 3)}. Export it again."
            )
    return values, coordinates


def _signal(array: h5py.Dataset, name: str) -> np.ndarray:
    if array.ndim != 4 or array.shape[-1] not in (1, 2):
        raise DataError(f"{name}: beamformed_data: found the shape {array.shape}, expected (frame, axial, lateral, 1 or 2).")
    values = array[...].astype(np.float32)
    return values[..., 0] if values.shape[-1] == 1 else np.ascontiguousarray(values).view(np.complex64)[..., 0]


def _picture(values: np.ndarray) -> np.ndarray:
    values = values[..., 0] if values.ndim == 4 else values
    if values.dtype == np.uint8:
        return values
    span = 60.0  # dB at or below 0 in zea's layout; what lies deeper is black
    return np.round(255 * (1 + np.clip(np.nan_to_num(values, nan=-span, neginf=-span), -span, 0) / span)).astype(np.uint8)


def _geometry(coordinates: np.ndarray | None, kind: str, name: str) -> Sector | Parallel | Pixels:
    if coordinates is not None:
        return scan_of(coordinates[..., 0], coordinates[..., 2], name=name)
    if kind == "image":
        return Pixels()
    raise DataError(
        f"{name}: found no coordinates, expected positions of the samples. Describe the array in a YAML file instead."
    )


def _scan_facts(top: h5py.Group, name: str) -> dict[str, float]:
    found = {}
    for field, key in _SCAN.items():
        if isinstance(top.get("scan"), h5py.Group) and field in top["scan"]:
            values = find_array(top["scan"], field, file=name, kinds="fiu")[...]
            found[key] = float(np.ravel(values)[0])
    return found


def _ours(file: h5py.File, name: str) -> dict:
    """What we wrote beside zea's layout. Raises DataError when it was changed by hand into something else."""
    group = file.get("medidiff")
    if not isinstance(group, h5py.Group) or group.attrs.get("format") != FORMAT:
        return {}
    try:
        told = json.loads(group.attrs["geometry"])
        if told.get("box") is not None:
            told["box"] = tuple(map(int, told["box"]))
        geometry = _GEOMETRIES[told.pop("type")](**told)
        rate = float(group.attrs["frame_rate_hz"])
        return {
            "geometry": geometry,
            "frame_rate_hz": rate if np.isfinite(rate) else None,
            "facts": json.loads(group.attrs["facts"]),
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{name}: medidiff: not readable ({error}). Write the file again.") from error


def _channels(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind != "c":
        return np.asarray(values, np.float32)[..., None]
    return np.ascontiguousarray(values, np.complex64)[..., None].view(np.float32)


def _store(group: h5py.Group, name: str, values: np.ndarray) -> None:
    chunks = (1, *values.shape[1:]) if values.ndim > 2 else None
    group.create_dataset(name, data=values, chunks=chunks, compression="gzip", compression_opts=4, shuffle=True)
