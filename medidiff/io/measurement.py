"""What a scanner measured, ready for reconstruction: line integrals of CT or k-space of MRI, in one checked HDF5 file."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from medidiff.documents import json_object
from medidiff.errors import DataError
from medidiff.io.hdf5_array import find_array, open_hdf5
from medidiff.io.hdf5_file import new_hdf5
from medidiff.io.measurement_checks import check_kspace, check_projections
from medidiff.io.volume import Grid

FORMAT = "medidiff measurement 1"  # raise the number when older readers would misread the file
WATER_PER_MM = 0.0192  # of 70 keV, where a file says nothing else


@dataclass(frozen=True, eq=False)
class Projections:
    """CT line integrals of a stack of slices that are measured alike.

    line_integrals   (slice, view, bin) float32   no unit, -log(I / I0)
    geometry         beam ("parallel" or "fan"), rows, columns, pixel_mm, angles_rad, bins, bin_mm; of a fan also source_mm and
                     detector_mm, as `physics.ct` takes them
    affine           (4, 4)                       voxel (i, j, k) of the volume to reconstruct -> RAS mm; i column, j row, k slice
    weights          (slice, view, bin) float32   1 / variance of each line integral, 0 where none was measured; None: unknown
    water_per_mm                                  attenuation of water, 1/mm, by which HU are made
    provenance                                    where the numbers come from, as JSON can hold it
    """

    line_integrals: np.ndarray
    geometry: Mapping[str, Any]
    affine: np.ndarray
    weights: np.ndarray | None = None
    water_per_mm: float = WATER_PER_MM
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def grid(self) -> Grid:
        """Of the volume to reconstruct."""
        return Grid((self.geometry["columns"], self.geometry["rows"], len(self.line_integrals)), self.affine)


@dataclass(frozen=True, eq=False)
class KSpace:
    """MRI k-space of a stack of slices, in the orthonormal centred Fourier transform.

    samples             (slice, coil, row, column) complex64   0 where nothing was measured; rows: readout, columns: phase
    mask                (row, column) bool                     which samples of every slice and coil were measured
    affine              (4, 4)                                 voxel (i, j, k) of the volume to reconstruct -> RAS mm
    noise_std                                                  of the real and of the imaginary part of a sample; None: unknown
    calibration_lines                                          width of the fully sampled centre; 0: none
    provenance                                                 where the numbers come from, as JSON can hold it
    """

    samples: np.ndarray
    mask: np.ndarray
    affine: np.ndarray
    noise_std: float | None = None
    calibration_lines: int = 0
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def grid(self) -> Grid:
        """Of the volume to reconstruct."""
        slices, _, rows, columns = self.samples.shape
        return Grid((columns, rows, slices), self.affine)


def write_measurement(measurement: Projections | KSpace, path: str | Path) -> None:
    """The measurement as HDF5 under its final name; equal content gives equal bytes.

    Raises DataError, before anything is written, for what `read_measurement` would refuse.
    """
    path = Path(path)
    is_ct = isinstance(measurement, Projections)
    arrays, facts = _projections_parts(measurement) if is_ct else _kspace_parts(measurement)
    _assemble(arrays, facts, path.name)
    with new_hdf5(path) as file:
        for name, values in arrays.items():
            if values is not None:
                file.create_dataset(name, data=values, compression="gzip", compression_opts=1, shuffle=True)
        file.attrs["format"] = FORMAT
        file.attrs["facts"] = json.dumps(facts, sort_keys=True)


def read_measurement(path: str | Path) -> Projections | KSpace:
    """The measurement of a file that `write_measurement` wrote.

    Raises DataError, one line with file, field, what was found and what was expected, for a damaged or foreign file, shapes
    that do not fit, numbers that are not finite, angles in degrees or twice, fewer than two views, a sinogram before the
    logarithm, weights that are negative or all zero, and a mask that is not binary or does not fit the samples.
    """
    path = Path(path)
    with open_hdf5(path, kind="a measurement", advice="Make it again with `medidiff acquire`.") as file:
        found = file.attrs.get("format")
        if not isinstance(found, str) or found != FORMAT:
            raise DataError(f"{path.name}: format: found {found!r}, expected {FORMAT!r}. Make it with `medidiff acquire`.")
        arrays = {name: find_array(file, name, file=path.name, kinds="fciub")[...] for name in file}
        facts = json_object(file.attrs["facts"])
    return _assemble(arrays, facts, path.name)


def _projections_parts(measurement: Projections) -> tuple[dict, dict]:
    weights = None if measurement.weights is None else np.asarray(measurement.weights, dtype=np.float32)
    geometry = {name: _plain(value) for name, value in measurement.geometry.items()}
    arrays = {
        "affine": np.asarray(measurement.affine, dtype=np.float64),
        "line_integrals": np.asarray(measurement.line_integrals, dtype=np.float32),
        "weights": weights,
    }
    water, provenance = float(measurement.water_per_mm), dict(measurement.provenance)
    return arrays, {"kind": "ct", "geometry": geometry, "water_per_mm": water, "provenance": provenance}


def _kspace_parts(measurement: KSpace) -> tuple[dict, dict]:
    noise_std = None if measurement.noise_std is None else float(measurement.noise_std)
    arrays = {
        "affine": np.asarray(measurement.affine, dtype=np.float64),
        "mask": np.asarray(measurement.mask),
        "samples": np.asarray(measurement.samples, dtype=np.complex64),
    }
    lines, provenance = int(measurement.calibration_lines), dict(measurement.provenance)
    return arrays, {"kind": "mr", "noise_std": noise_std, "calibration_lines": lines, "provenance": provenance}


def _assemble(arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any], name: str) -> Projections | KSpace:
    """The measurement of its parts, checked. Raises DataError."""
    try:
        if facts["kind"] == "ct":
            check_projections(arrays, facts, name)
            parts = arrays["line_integrals"], facts["geometry"], arrays["affine"], arrays.get("weights")
            return Projections(*parts, facts["water_per_mm"], facts["provenance"])
        check_kspace(arrays, facts, name)
        parts = arrays["samples"], arrays["mask"].astype(bool), arrays["affine"]
        return KSpace(*parts, facts["noise_std"], facts["calibration_lines"], facts["provenance"])
    except KeyError as error:
        raise DataError(f"{name}: {error.args[0]}: found nothing, expected it in a measurement. Make the file again.") from error
    except (TypeError, ValueError, AttributeError, OverflowError) as error:  # facts are JSON, and may be of any kind
        raise DataError(
            f"{name}: facts: found values of another kind ({error}), expected numbers. Make the file again."
        ) from error


def _plain(value: Any) -> Any:
    """A geometry's value as JSON can hold it."""
    return value.tolist() if hasattr(value, "tolist") else list(value) if isinstance(value, tuple) else value
