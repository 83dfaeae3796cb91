"""Maps of numbers, such as probability and entropy, as DICOM parametric maps on the planes of the images they belong to."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import highdicom
import numpy as np
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from medidiff.io.atomic import atomic_path
from medidiff.io.dicom.derived import (
    check_words,
    derived_uid,
    frames_of,
    load_sources,
    moment_of,
    refusals_of_highdicom,
    set_dimension_uid,
    set_moment,
)
from medidiff.io.dicom.fields import text
from medidiff.io.volume import Volume

SERIES_NUMBER = 901


@dataclass(frozen=True)
class Quantity:
    """What the numbers of a map are, and the range that a viewer shows."""

    name: str  # 1 to 16 characters
    explanation: str  # 1 to 64
    low: float
    high: float


def write_parametric_map(
    values: Volume, source_paths: Sequence[Path], path: Path, *, quantity: Quantity, algorithm: str, version: str
) -> None:
    """Write a map as a DICOM parametric map, all or nothing; arguments and errors as of `build_parametric_map`."""
    made = build_parametric_map(values, source_paths, quantity=quantity, algorithm=algorithm, version=version)
    with atomic_path(path) as temporary:
        made.save_as(temporary, enforce_file_format=True)


def build_parametric_map(
    values: Volume, source_paths: Sequence[Path], *, quantity: Quantity, algorithm: str, version: str
) -> Dataset:
    """A DICOM parametric map of float32, one frame for each source image, without unit.

    values         on the grid of the source series, voxel axes in any order and direction; what is not finite is refused
    source_paths   files of one series, in any order
    quantity       names, and the range that a viewer shows at first
    algorithm      what made the map
    version        of the algorithm
    returns        data set with UIDs, dates and bytes that depend on nothing but the arguments and files

    As identified as its source, whose patient and study it takes over. Raises DataError when the map does not lie on the planes
    of the source to 0.001 mm, or the sources are not one series with a frame of reference.
    """
    check_words(name=quantity.name, explanation=quantity.explanation, algorithm=algorithm, version=version)
    sources, planes = load_sources([Path(path) for path in source_paths])
    frames = frames_of(values, planes, name="map").astype(np.float32)
    content = hashlib.sha256(frames).hexdigest()
    seed = "|".join([*(text(source, "SOPInstanceUID") for source in sources), quantity.name, algorithm, version, content])
    made = _compose(sources, frames, seed, quantity, algorithm, version)
    set_moment(made, *moment_of(sources[0]))
    set_dimension_uid(made, derived_uid("dimensions", seed))
    return made


def _compose(
    sources: Sequence[Dataset], frames: np.ndarray, seed: str, quantity: Quantity, algorithm: str, version: str
) -> highdicom.pm.ParametricMap:
    meaning = highdicom.pm.RealWorldValueMapping(
        lut_label=quantity.name,
        lut_explanation=quantity.explanation,
        unit=codes.UCUM.NoUnits,
        value_range=(float(quantity.low), float(quantity.high)),
        slope=1,
        intercept=0,
    )
    with refusals_of_highdicom():
        return highdicom.pm.ParametricMap(
            sources,
            frames,
            series_instance_uid=derived_uid("series", seed),
            series_number=SERIES_NUMBER,
            sop_instance_uid=derived_uid("instance", seed),
            instance_number=1,
            manufacturer="medidiff",
            manufacturer_model_name="medidiff",
            software_versions=version,
            device_serial_number="0",
            contains_recognizable_visual_features=False,
            real_world_value_mappings=[meaning],
            window_center=(quantity.low + quantity.high) / 2,
            window_width=quantity.high - quantity.low,
            content_label=quantity.name.upper().replace(" ", "_"),
            series_description=f"medidiff {algorithm} {quantity.name}"[:64],
        )
