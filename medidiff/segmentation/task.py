"""PET/CT in, lesion mask and its numbers out."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from medidiff.errors import ConfigError
from medidiff.gpu import claim_device
from medidiff.io.prior_files import read_prior
from medidiff.io.resample import resample_mask, resample_to
from medidiff.io.volume import Volume
from medidiff.segmentation.calibration import volume_interval
from medidiff.segmentation.plausibility import check_overlap, doubts
from medidiff.segmentation.settings import NETWORKS, SegmentSettings
from medidiff.segmentation.thresholds import above_fraction, above_suv, largest_component
from medidiff.segmentation.trust import Evidence, Light, judge
from medidiff.segmentation.uptake import measure_uptake
from medidiff.segmentation.watershed import flood_lesions

DEFAULTS = SegmentSettings()


@dataclass(frozen=True, eq=False)
class Segmentation:
    """A lesion mask with what was measured in it and what looked wrong."""

    mask: Volume  # uint8, 0 and 1
    numbers: dict[str, float | int | None]  # of the mask on the PET grid; volume_ml of the mask as written
    warnings: tuple[str, ...]
    probability: Volume | None = None  # of networks: 0 to 1, on the grid of the mask
    maps: dict[str, Volume] = field(default_factory=dict)  # of networks: doubt, on the PET grid
    light: Light | None = None  # of networks: whether the mask can be trusted, and why not


def segment(ct: Volume, pet: Volume, *, method: str, settings: SegmentSettings = DEFAULTS, study: str = "study") -> Segmentation:
    """Lesions of a PET/CT study by one method.

    ct         HU
    pet        SUV, on its own grid; both in one frame of reference
    method     suvX, percentN, watershed, unet or diffusion
    settings   grid of the result ("pet" or "ct"), parameters of the methods
    study      name that, with the seed, decides the noise of `diffusion`
    returns    mask on that grid; numbers: volume_ml, mtv_ml, suv_max, suv_mean, suv_peak, tlg, lesions;
               of networks also probability, maps of doubt, a traffic light and the numbers of `_segment_by_network`

    The numbers but volume_ml belong to the mask on the PET grid, where uptake is measured; on the CT grid the mask is
    its probability, interpolated and cut. Raises DataError when the CT covers less than half of the PET or a model does not fit,
    ConfigError for an unknown method.
    """
    check_overlap(ct, pet)
    if method in NETWORKS:
        return _segment_by_network(ct, pet, method, settings, study)
    found = _find_lesions(pet, method, settings)
    mask = pet.with_array(found.astype(np.uint8))
    if settings.grid == "ct":
        mask = resample_mask(mask, ct.grid)
    numbers = _measured(pet, found, mask)
    return Segmentation(mask, numbers, (*doubts(ct, pet), *_doubts_on_mask(method, numbers)))


def _segment_by_network(ct: Volume, pet: Volume, method: str, settings: SegmentSettings, study: str) -> Segmentation:
    """Numbers: those of the inference; dropped_ml, smaller parts, of models that know single lesions only; baseline_dice, with
    the watershed; volume_promised_low_ml and volume_promised_high_ml, where the model's card promises an interval."""
    from medidiff.segmentation.inference import find_by_ensemble, find_by_unet  # torch is slow to load; thresholds need none
    from medidiff.segmentation.model import assemble_model

    folder = settings.diffusion.model if method == "diffusion" else settings.unet.model
    model = assemble_model(read_prior(folder), kind=method, device=claim_device(settings.windows.device))
    if method == "diffusion":
        found = find_by_ensemble(ct, pet, model, settings, study=study)
    else:
        found = find_by_unet(ct, pet, model, settings)
    on_pet = resample_to(found.probability, pet.grid, fill=0.0)
    probability = on_pet if settings.grid == "pet" else resample_to(found.probability, ct.grid, fill=0.0)
    lesions, dropped_ml = _cut(on_pet, settings.threshold, found.single_lesion)
    mask = lesions if settings.grid == "pet" else _cut(probability, settings.threshold, found.single_lesion)[0]
    numbers = {**_measured(pet, lesions.array > 0, mask), **found.numbers, "dropped_ml": dropped_ml}
    numbers |= {"baseline_dice": found.baseline_dice, **_promised(numbers["mtv_ml"], found.volume_ratio)}
    implausible = doubts(ct, pet)
    warnings = (*implausible, *_doubts_on_mask(method, numbers), *_doubts_on_parts(method, dropped_ml), *found.warnings)
    return Segmentation(mask, numbers, warnings, probability, found.maps, _light(numbers, implausible, found.strange))


def _promised(volume_ml: float, ratio: float | None) -> dict[str, float]:
    """The interval that the model's card promises to hold the true volume."""
    interval = volume_interval(volume_ml, ratio)
    return {} if interval is None else dict(zip(("volume_promised_low_ml", "volume_promised_high_ml"), interval))


def _light(numbers: dict[str, float | int | None], implausible: tuple[str, ...], strange: tuple[str, ...]) -> Light:
    return judge(
        Evidence(
            implausible,
            strange,
            volume_ml=numbers["mtv_ml"],
            is_one_step=bool(numbers.get("is_one_step")),
            **{name: numbers.get(name) for name in ("baseline_dice", "volume_gap", "volume_low_ml", "volume_high_ml")},
        )
    )


def _cut(probability: Volume, threshold: float, single_lesion: bool) -> tuple[Volume, float]:
    """The mask from a threshold on, and the millilitres of what was left out because the model knows single lesions only."""
    all_parts = probability.array >= threshold
    kept = largest_component(all_parts) if single_lesion else all_parts
    dropped = int(all_parts.sum()) - int(kept.sum())
    return probability.with_array(kept.astype(np.uint8)), dropped * probability.grid.voxel_ml


def _measured(pet: Volume, found: np.ndarray, mask: Volume) -> dict[str, float | int | None]:
    volume_ml = float(mask.array.sum(dtype=np.int64)) * mask.grid.voxel_ml
    return {"volume_ml": volume_ml, **measure_uptake(pet, found)}


def _find_lesions(pet: Volume, method: str, settings: SegmentSettings) -> np.ndarray:
    if method.startswith("suv"):
        return above_suv(pet.array, float(method.removeprefix("suv")))
    if method.startswith("percent"):
        return largest_component(above_fraction(pet.array, float(method.removeprefix("percent")) / 100))
    if method == "watershed":
        return flood_lesions(pet, **settings.watershed.model_dump())
    raise ConfigError(f"segment.methods: unknown method {method!r}; expected suvX, percentN, watershed, unet or diffusion.")


def _doubts_on_parts(method: str, dropped_ml: float) -> Iterator[str]:
    if dropped_ml > 0.5:
        yield (
            f"{method}: {dropped_ml:.2f} ml in smaller parts were left out, since the model was trained on single lesions;"
            " the probability still shows them."
        )


def _doubts_on_mask(method: str, numbers: dict[str, float | int | None]) -> Iterator[str]:
    before, after = numbers["mtv_ml"], numbers["volume_ml"]
    if before == 0:
        yield f"{method} finds no lesion: the mask is empty."
    elif abs(after - before) > max(0.05 * before, 0.5):
        yield f"{method}: the mask has {before:.2f} ml on the PET grid and {after:.2f} ml on the CT grid; small parts were lost."
