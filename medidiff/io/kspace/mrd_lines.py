"""Lines of k-space in an ISMRMRD file: which are images, which are noise, and what each of them claims to be."""

from dataclasses import dataclass
from pathlib import Path

import h5py
import ismrmrd
import numpy as np

from medidiff.errors import DataError
from medidiff.io.hdf5_array import find_array, open_hdf5
from medidiff.io.kspace.mrd_header import Encoding, read_encoding

_NOISE = ismrmrd.ACQ_IS_NOISE_MEASUREMENT
_OTHER = (
    ismrmrd.ACQ_IS_NAVIGATION_DATA,
    ismrmrd.ACQ_IS_PHASECORR_DATA,
    ismrmrd.ACQ_IS_HPFEEDBACK_DATA,
    ismrmrd.ACQ_IS_DUMMYSCAN_DATA,
    ismrmrd.ACQ_IS_RTFEEDBACK_DATA,
    ismrmrd.ACQ_IS_SURFACECOILCORRECTIONSCAN_DATA,
    ismrmrd.ACQ_IS_PHASE_STABILIZATION_REFERENCE,
    ismrmrd.ACQ_IS_PHASE_STABILIZATION,
)
_HEAD = ("flags", "number_of_samples", "active_channels", "discard_pre", "discard_post", "center_sample", "encoding_space_ref")
_HEAD += ("sample_time_us", "position", "read_dir", "phase_dir", "slice_dir", "idx")


@dataclass(frozen=True, eq=False)
class Lines:
    """Lines for images, and lines of noise alone.

    head      (line,) records                     as in the file
    samples   (line, coil, sample) complex64      without what is to be discarded
    centre                                        the sample at k = 0
    noise     (coil, sample) complex64, or None
    noise_us, image_us                            time between samples; 0: not stated
    """

    encoding: Encoding
    head: np.ndarray
    samples: np.ndarray
    centre: int
    noise: np.ndarray | None
    noise_us: float
    image_us: float


def read_lines(path: Path) -> Lines:
    """The lines of the first group of a file that holds `xml` and `data`.

    Left out are navigators, phase corrections, dummies, feedback, lines of other encodings, and calibration that the header
    calls separate. Raises DataError, which names file, field, found and expected, for damaged files and for trajectories,
    reversed readouts or lines that differ in length, coils or centre.
    """
    with open_hdf5(path) as file:
        group = _group(file, path.name)
        xml = find_array(group, "xml", file=path.name, kinds="SO")
        found = xml[()] if xml.shape == () else xml[0]
        encoding = read_encoding(found, name=path.name)
        table = find_array(group, "data", file=path.name, dims=(1,), kinds="V")
        _check_record(table, path.name)
        rows = table[:]
    head = rows["head"]
    kept = _is_image(head, encoding)
    if not kept.any():
        raise DataError(
            f"{path.name}: data: found {len(rows)} lines without an image, expected some. Is it the noise scan alone?"
        )
    images = rows[kept]
    _check_alike(images["head"], path.name)
    first = images["head"][0]
    samples = _stacked(images, path.name)
    start, stop = int(first["discard_pre"]), samples.shape[-1] - int(first["discard_post"])
    if not start < stop:
        raise DataError(f"{path.name}: discard_pre, discard_post: found no sample left, expected some. Export it again.")
    noise = rows[_flag(head, _NOISE)]
    noise_us = float(noise["head"]["sample_time_us"][0]) if len(noise) else 0.0
    centre = int(first["center_sample"]) - start
    timing = noise_us, float(first["sample_time_us"])
    return Lines(encoding, images["head"], samples[..., start:stop], centre, _noise(noise, samples, path.name), *timing)


def _group(file: h5py.File, name: str) -> h5py.Group:
    own = [key for key in file if isinstance(file.get(key, getlink=True), h5py.HardLink) and isinstance(file[key], h5py.Group)]
    fit = [key for key in own if "xml" in file[key] and "data" in file[key]]
    if not fit:
        raise DataError(
            f"{name}: found {', '.join(sorted(file)[:6]) or 'nothing'}, expected a group with xml and data. Is it ISMRMRD?"
        )
    return file["dataset" if "dataset" in fit else fit[0]]


def _check_record(table: h5py.Dataset, name: str) -> None:
    fields = table.dtype.fields or {}
    head = fields["head"][0].fields or {} if "head" in fields else {}
    counters = head["idx"][0].fields or {} if "idx" in head else {}
    missing = [field for field in _HEAD if field not in head] + [
        field for field in ("kspace_encode_step_1", "slice", "average") if field not in counters
    ]
    if "data" not in fields or h5py.check_vlen_dtype(fields["data"][0]) is None or missing:
        raise DataError(
            f"{name}: data: found records without {(missing or ['data'])[0]}, expected those of ISMRMRD. Export it again."
        )


def _flag(head: np.ndarray, flag: int) -> np.ndarray:
    return (head["flags"] >> np.uint64(flag - 1)) & np.uint64(1) == 1


def _is_image(head: np.ndarray, encoding: Encoding) -> np.ndarray:
    kept = (head["encoding_space_ref"] == 0) & ~_flag(head, _NOISE)
    for flag in _OTHER:
        kept &= ~_flag(head, flag)
    if not encoding.embeds_calibration:
        kept &= ~_flag(head, ismrmrd.ACQ_IS_PARALLEL_CALIBRATION)
    return kept


def _check_alike(head: np.ndarray, name: str) -> None:
    if _flag(head, ismrmrd.ACQ_IS_REVERSE).any():
        raise DataError(f"{name}: flags: found reversed readouts, expected one direction. Correct the phase of such lines first.")
    for field in ("number_of_samples", "active_channels", "center_sample", "discard_pre", "discard_post"):
        if np.ptp(head[field].astype(int)):
            found = f"{head[field].min()} to {head[field].max()}"
            raise DataError(f"{name}: {field}: found {found} among image lines, expected one. Split the file by encoding.")


def _stacked(rows: np.ndarray, name: str) -> np.ndarray:
    """(line, coil, sample) of lines that claim the same size."""
    coils, samples = int(rows["head"]["active_channels"][0]), int(rows["head"]["number_of_samples"][0])
    lengths = np.array([len(values) for values in rows["data"]])
    if (lengths != 2 * coils * samples).any() or not coils * samples:
        found = f"{lengths.min()} to {lengths.max()} numbers in a line"
        raise DataError(f"{name}: data: found {found}, expected 2 x {coils} coils x {samples} samples. Copy the file again.")
    values = np.stack([np.asarray(line, dtype="<f4") for line in rows["data"]])
    if not np.isfinite(values).all():
        raise DataError(
            f"{name}: data: found {int((~np.isfinite(values)).sum())} values not finite, expected numbers. Export it again."
        )
    return values.view(np.complex64).reshape(len(rows), coils, samples)


def _noise(rows: np.ndarray, samples: np.ndarray, name: str) -> np.ndarray | None:
    if not len(rows):
        return None
    lines = [_stacked(rows[place : place + 1], name)[0] for place in range(len(rows))]
    coils = {len(line) for line in lines}
    if coils != {samples.shape[1]}:
        raise DataError(f"{name}: active_channels: found noise of {coils} coils, expected {samples.shape[1]}. Export it again.")
    return np.concatenate(lines, axis=1)
