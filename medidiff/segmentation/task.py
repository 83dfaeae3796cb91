"""PET/CT in, lesion mask and its numbers out."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from medidiff.errors import ConfigError
from medidiff.io.resample import resample_mask
from medidiff.io.volume import Volume
from medidiff.segmentation.plausibility import check_overlap, doubts
from medidiff.segmentation.settings import SegmentSettings
from medidiff.segmentation.thresholds import above_fraction, above_suv, largest_component
from medidiff.segmentation.uptake import measure_uptake
from medidiff.segmentation.watershed import flood_lesions

DEFAULTS = SegmentSettings()


@dataclass(frozen=True, eq=False)
class Segmentation:
    """A lesion mask with what was measured in it and what looked wrong."""

    mask: Volume  # uint8, 0 and 1
    numbers: dict[str, float | int | None]  # of the mask on the PET grid; volume_ml of the mask as written
    warnings: tuple[str, ...]


def segment(ct: Volume, pet: Volume, *, method: str, settings: SegmentSettings = DEFAULTS) -> Segmentation:
    """Lesions of a PET/CT study by one method.

    ct         HU
    pet        SUV, on its own grid; both in one frame of reference
    method     suvX, percentN or watershed
    settings   grid of the result ("pet" or "ct"), parameters of the watershed
    returns    mask on that grid; numbers: volume_ml, mtv_ml, suv_max, suv_mean, suv_peak, tlg, lesions

    The numbers but volume_ml belong to the mask on the PET grid, where uptake is measured; on the CT grid the mask is
    its probability, interpolated and cut at 0.5. Raises DataError when the CT covers less than half of the PET,
    ConfigError for an unknown method.
    """
    check_overlap(ct, pet)
    found = _find_lesions(pet, method, settings)
    mask = pet.with_array(found.astype(np.uint8))
    if settings.grid == "ct":
        mask = resample_mask(mask, ct.grid)
    volume_ml = float(mask.array.sum(dtype=np.int64)) * mask.grid.voxel_ml
    numbers = {"volume_ml": volume_ml, **measure_uptake(pet, found)}
    return Segmentation(mask, numbers, (*doubts(ct, pet), *_doubts_on_mask(method, numbers)))


def _find_lesions(pet: Volume, method: str, settings: SegmentSettings) -> np.ndarray:
    if method.startswith("suv"):
        return above_suv(pet.array, float(method.removeprefix("suv")))
    if method.startswith("percent"):
        return largest_component(above_fraction(pet.array, float(method.removeprefix("percent")) / 100))
    if method == "watershed":
        return flood_lesions(pet, **settings.watershed.model_dump())
    raise ConfigError(f"segment.methods: unknown method {method!r}; expected suvX, percentN or watershed.")


def _doubts_on_mask(method: str, numbers: dict[str, float | int | None]) -> Iterator[str]:
    before, after = numbers["mtv_ml"], numbers["volume_ml"]
    if before == 0:
        yield f"{method} finds no lesion: the mask is empty."
    elif abs(after - before) > max(0.05 * before, 0.5):
        yield f"{method}: the mask has {before:.2f} ml on the PET grid and {after:.2f} ml on the CT grid; small parts were lost."
