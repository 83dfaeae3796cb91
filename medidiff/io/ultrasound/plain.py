"""RF or IQ in a plain HDF5 or NumPy array, with a YAML file that says what the numbers are. Nothing is assumed."""

from pathlib import Path
from typing import Literal, Self

import h5py
import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from medidiff.documents import yaml_mapping
from medidiff.errors import DataError
from medidiff.io.hdf5_array import find_array, open_hdf5
from medidiff.io.numpy_file import map_array
from medidiff.io.ultrasound.recording import LARGEST_BYTES, Parallel, Recording, Sector, checked

SUFFIXES = (".npy", ".h5", ".hdf5")
_LARGEST_DESCRIPTION = 1 << 16


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Description(_Frozen):
    """`NAME.yaml` beside `NAME.npy` or `NAME.h5`."""

    array: str = Field("", description="of HDF5: path of the array in the file")
    kind: Literal["iq", "rf"] = Field(description="baseband IQ, complex or two channels, or RF")
    axes: tuple[Literal["frame", "axial", "lateral", "channel"], ...] = Field(description="of the array, in its order")
    sampling_hz: float = Field(gt=0, description="of the samples as stored")
    demodulation_hz: float = Field(gt=0, description="of the IQ; of RF the one to use")
    centre_hz: float | None = Field(None, gt=0, description="of the transmitted pulse")
    sound_speed: float = Field(gt=0, description="m/s")
    first_range_m: float = Field(description="distance of the first sample from the apex or the probe, m")
    first_angle_rad: float | None = Field(None, description="of a sector: its first beam")
    angle_step_rad: float | None = Field(None, gt=0, description="of a sector: between beams")
    line_step_m: float | None = Field(None, gt=0, description="of parallel beams: between beams")
    frame_rate_hz: float | None = Field(None, gt=0, description="frames per second")

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if sorted(self.axes) != sorted(set(self.axes)) or not {"axial", "lateral"} <= set(self.axes):
            raise ValueError("axes: expected axial and lateral, and frame and channel where the array has them, each once")
        is_sector = self.first_angle_rad is not None and self.angle_step_rad is not None
        if is_sector == (self.line_step_m is not None):
            raise ValueError("give first_angle_rad and angle_step_rad of a sector, or line_step_m of parallel beams")
        return self

    @property
    def scan(self) -> Sector | Parallel:
        """Where the samples lie; ranges are half the way of sound."""
        step = self.sound_speed / (2 * self.sampling_hz)
        if self.line_step_m is not None:
            return Parallel(self.first_range_m, step, self.line_step_m)
        return Sector(self.first_range_m, step, self.first_angle_rad, self.angle_step_rad)


def description_of(path: Path) -> Path | None:
    """The description beside an array, or None."""
    found = [path.with_suffix(suffix) for suffix in (".yaml", ".yml")]
    return next((candidate for candidate in found if candidate.is_file()), None)


def read_plain(path: Path) -> Recording:
    """The recording of a plain array and its description.

    Raises DataError without a description, for keys that it lacks, and for an array that is not what it says.
    """
    path = Path(path)
    described = description_of(path)
    if described is None:
        raise DataError(
            f"{path.name}: found no {path.stem}.yaml beside it, expected kind, axes, sampling_hz, demodulation_hz, sound_speed, "
            "first_range_m and the beams. Numbers alone do not say what they are."
        )
    said = _read_description(described)
    values = map_array(path) if path.suffix.lower() == ".npy" else _hdf5(path, said.array)
    signal = _arranged(values, said, path.name)
    known = {key: getattr(said, key) for key in ("sampling_hz", "centre_hz", "demodulation_hz", "sound_speed", "frame_rate_hz")}
    return checked(Recording(signal, said.kind, said.scan, **known, facts={"format": "plain"}), name=path.name)


def _read_description(path: Path) -> Description:
    try:
        if path.stat().st_size > _LARGEST_DESCRIPTION:
            raise DataError(f"{path.name}: found {path.stat().st_size} bytes, expected a few lines of keys and values.")
        return Description.model_validate(yaml_mapping(path.read_text(encoding="utf-8"))[0])
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, item['loc'])) or 'top'}: {item['msg']}" for item in error.errors()]
        raise DataError(f"{path.name}: " + "; ".join(lines)) from error
    except (OSError, ValueError) as error:
        raise DataError(f"{path.name}: not readable as YAML ({' '.join(str(error).split())[:120]}).") from error


def _hdf5(path: Path, field: str) -> np.ndarray:
    if not field:
        raise DataError(f"{path.name}: array: found nothing in the description, expected the path of the array in the file.")
    with open_hdf5(path) as file:
        group: h5py.Group = file
        *folders, last = field.strip("/").split("/")
        for folder in folders:
            if not isinstance(group.get(folder, getlink=True), h5py.HardLink) or not isinstance(group[folder], h5py.Group):
                raise DataError(f"{path.name}: array: found no group {folder!r} of {field}. Correct the description.")
            group = group[folder]
        return find_array(group, last, file=path.name)[...]


def _arranged(values: np.ndarray, said: Description, name: str) -> np.ndarray:
    if values.ndim != len(said.axes) or values.dtype.kind not in "fciu" or values.nbytes > LARGEST_BYTES:
        found = f"{values.dtype} of shape {values.shape}"
        raise DataError(f"{name}: found {found}, expected numbers with the axes {', '.join(said.axes)}. Correct the description.")
    order = [said.axes.index(axis) for axis in ("frame", "axial", "lateral", "channel") if axis in said.axes]
    values = np.transpose(values, order)
    values = values if "frame" in said.axes else values[None]
    channels = values.shape[3] if values.ndim == 4 else 1
    is_complex = values.dtype.kind == "c"
    if said.kind == "rf" and not is_complex and channels == 1:
        return np.ascontiguousarray(values.reshape(values.shape[:3]), np.float32)
    if said.kind == "iq" and is_complex and channels == 1:
        return np.ascontiguousarray(values.reshape(values.shape[:3]), np.complex64)
    if said.kind == "iq" and not is_complex and channels == 2:
        return np.ascontiguousarray(values, np.float32).view(np.complex64)[..., 0]
    raise DataError(
        f"{name}: found {values.dtype} with {channels} channel(s), expected {said.kind}: IQ is complex or has the channels I and "
        "Q, RF is real. Correct `kind` or `axes` of the description."
    )
