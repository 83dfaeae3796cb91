"""Beamformed data in UFF, the file format of the UltraSound ToolBox: HDF5 groups that name their class. Read with h5py alone.

(The package `pyuff` on the index reads another format of that name, for vibration tests; the one for these files is
`pyuff-ustb`.)
"""

from pathlib import Path

import h5py
import numpy as np

from medidiff.errors import DataError
from medidiff.io.hdf5_array import find_array, open_hdf5
from medidiff.io.ultrasound.coordinates import positions_m
from medidiff.io.ultrasound.recording import LARGEST_BYTES, Parallel, Recording, Sector, checked

_BEAMFORMED, _CHANNELS = "uff.beamformed_data", "uff.channel_data"
_MOST_AXIS = 1 << 20
_REGULAR = 0.05  # of a step


def is_uff(file: h5py.File) -> bool:
    """Whether an open HDF5 file holds an object of UFF."""
    return bool(_objects(file))


def read_uff(path: Path, *, sound_speed: float | None = None) -> Recording:
    """The frames of the only beamformed data in a file: IQ where a modulation frequency is stated, else RF.

    sound_speed   m/s; UFF has none beside beamformed data, so that without it depths must tell the sampling frequency

    Raises DataError for channel data alone, several waves or channels that were not summed, samples on no regular sector or
    parallel beams, and files that do not state their frequencies.
    """
    path = Path(path)
    with open_hdf5(path) as file:
        found = _objects(file)
        beamformed = [name for name, kind in found.items() if kind == _BEAMFORMED]
        if len(beamformed) != 1:
            listed = ", ".join(f"{name} ({kind})" for name, kind in found.items()) or "no object"
            advice = "Beamform the channel data first." if _CHANNELS in found.values() else "Keep one in the file."
            raise DataError(f"{path.name}: found {listed}, expected one {_BEAMFORMED}. {advice}")
        group = file[beamformed[0]]
        scan, shape = _scan(group.get("scan"), path.name)
        values = _values(group, shape, path.name, order=_order(group["scan"], scan, shape, path.name))
        known = {
            "sampling_hz": _scalar(group, "sampling_frequency", path.name),
            "demodulation_hz": _scalar(group, "modulation_frequency", path.name),
            "frame_rate_hz": _scalar(group, "frame_rate", path.name),
            "sound_speed": _scalar(group, "sound_speed", path.name) or sound_speed,
        }
        known["centre_hz"] = _scalar(group, "pulse/center_frequency", path.name) or known["demodulation_hz"]
    if known["sampling_hz"] and not known["sound_speed"]:
        known["sound_speed"] = 2 * known["sampling_hz"] * scan.range_step_m  # ranges are half the way of sound
    if known["sound_speed"] and not known["sampling_hz"]:
        known["sampling_hz"] = known["sound_speed"] / (2 * scan.range_step_m)
    kind = "iq" if values.dtype.kind == "c" else "rf"
    known["demodulation_hz"] = known["demodulation_hz"] or (known["centre_hz"] if kind == "rf" else None)
    known = {key: value or None for key, value in known.items()}
    return checked(Recording(values, kind, scan, **known, facts={"format": "uff"}), name=path.name)


def _objects(file: h5py.File) -> dict[str, str]:
    """Classes of the objects at the top of a file, by name."""
    found = {name: _class(file[name]) for name in file if isinstance(file.get(name, getlink=True), h5py.HardLink)}
    return {name: kind for name, kind in found.items() if kind.startswith("uff.")}


def _class(item: h5py.Group) -> str:
    told = item.attrs.get("class", b"")
    told = told.item() if isinstance(told, np.ndarray) and told.size == 1 else told
    return told.decode(errors="replace") if isinstance(told, bytes) else str(told)


def _scan(group: object, name: str) -> tuple[Sector | Parallel, tuple[int, int]]:
    """The scan, and how many samples it has along a beam and how many beams."""
    kind = _class(group) if isinstance(group, h5py.Group) else "nothing"
    if kind == "uff.sector_scan":
        across, along = _axis(group, "azimuth_axis", name), _axis(group, "depth_axis", name)
        return Sector(*_regular(along, "depth_axis", name), *_regular(across, "azimuth_axis", name)), (len(along), len(across))
    if kind == "uff.linear_scan":
        across, along = _axis(group, "x_axis", name), _axis(group, "z_axis", name)
        return Parallel(*_regular(along, "z_axis", name), _regular(across, "x_axis", name)[1]), (len(along), len(across))
    raise DataError(f"{name}: scan: found {kind}, expected uff.sector_scan or uff.linear_scan. Beamform onto such a grid.")


def _axis(group: h5py.Group, field: str, name: str) -> np.ndarray:
    array = find_array(group, field, file=name, kinds="fiu")
    values = np.ravel(array[...]) if array.size <= _MOST_AXIS else np.zeros(0)
    if values.size < 2 or not np.isfinite(values).all():
        raise DataError(f"{name}: {field}: found {array.size} values, expected 2 to {_MOST_AXIS} finite ones. Export it again.")
    return values.astype(np.float64)


def _regular(axis: np.ndarray, field: str, name: str) -> tuple[float, float]:
    step = (axis[-1] - axis[0]) / (len(axis) - 1)
    if not step > 0 or np.abs(np.diff(axis) - step).max() > _REGULAR * step:
        raise DataError(f"{name}: {field}: found unequal or falling steps, expected equal ones that grow. Resample it.")
    return float(axis[0]), float(step)


def _order(group: h5py.Group, scan: Sector | Parallel, shape: tuple[int, int], name: str) -> str:
    """How pixels are numbered: "F" along a beam first, "C" across first, "" where the file lists no positions."""
    if not isinstance(group.get("z"), h5py.Dataset):
        return ""
    listed = np.ravel(find_array(group, "z", file=name, kinds="fiu")[...]).astype(np.float64)
    expected = positions_m(scan, shape)[..., 2].astype(np.float64)
    if listed.size != expected.size:
        raise DataError(f"{name}: scan/z: found {listed.size} positions, expected {shape[0]} x {shape[1]}. Export it again.")
    misses = {order: np.ptp(listed - expected.ravel(order)) for order in ("C", "F")}  # an origin elsewhere shifts them all
    return min(misses, key=misses.get)


def _values(group: h5py.Group, shape: tuple[int, int], name: str, *, order: str) -> np.ndarray:
    """(frame, axial, lateral). Pixels are the first axis, across first, or the last as MATLAB stores it, along first."""
    parts = [("real", "imag")] if isinstance(group.get("data"), h5py.Group) else [()]
    source = group["data"] if parts[0] else group
    arrays = [find_array(source, field, file=name, kinds="fiu") for field in (parts[0] or ("data",))]
    if sum(array.nbytes for array in arrays) > LARGEST_BYTES or len({array.shape for array in arrays}) > 1:
        raise DataError(
            f"{name}: data: found the shapes {[array.shape for array in arrays]}, expected equal ones, not too large."
        )
    values = arrays[0][...] + 1j * arrays[1][...] if parts[0] else arrays[0][...]
    pixels = shape[0] * shape[1]
    first = values.shape[0] == pixels
    others = values.shape[1:] if first else values.shape[:-1]
    if (not first and values.shape[-1] != pixels) or sum(size > 1 for size in others) > 1:
        raise DataError(
            f"{name}: data: found the shape {values.shape} for {shape[0]} x {shape[1]} samples, expected one axis of {pixels} "
            "and at most one more, of frames. Sum waves and channels first."
        )
    ordered = np.moveaxis(values.reshape(pixels, -1), 0, 1) if first else values.reshape(-1, pixels)
    if (order or ("C" if first else "F")) == "C":
        frames = ordered.reshape(-1, *shape)
    else:
        frames = ordered.reshape(-1, shape[1], shape[0]).swapaxes(1, 2)
    return np.ascontiguousarray(frames, np.complex64 if parts[0] else np.float32)


def _scalar(group: h5py.Group, field: str, name: str) -> float | None:
    if field not in group or not isinstance(group[field], h5py.Dataset):
        return None
    values = np.ravel(find_array(group[field].parent, field.split("/")[-1], file=name, kinds="fiu")[...])
    return float(values[0]) if np.isfinite(values[0]) and values[0] > 0 else None
