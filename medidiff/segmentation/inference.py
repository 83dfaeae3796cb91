"""From a PET/CT study to probabilities and doubt on the grid of its PET."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from medidiff.io.resample import resample_to
from medidiff.io.slab_file import Slabs, slab_store
from medidiff.io.volume import Grid, Volume
from medidiff.segmentation.calibration import tempered_probability
from medidiff.segmentation.conditioning import AIR_HU, FILL, network_grid
from medidiff.segmentation.denoiser import SIGMA_MAX, MaskDenoiser
from medidiff.segmentation.ensemble import FLIPS, Ensemble, Make, Sampling, draw_ensemble
from medidiff.segmentation.familiarity import features, strange
from medidiff.segmentation.memory import plan_memory
from medidiff.segmentation.model import MaskModel
from medidiff.segmentation.settings import SegmentSettings, WindowSettings
from medidiff.segmentation.sliding import PlainLook, Scene, look_once
from medidiff.segmentation.thresholds import largest_component
from medidiff.segmentation.trust import DOUBTFUL_GAP, baseline_dice
from medidiff.segmentation.uncertainty import entropy
from medidiff.segmentation.windows import Windows, padding, window_size

_DEPTH = 32  # slices handled at a time


@dataclass(frozen=True, eq=False)
class Found:
    """What a network says of a study."""

    probability: Volume  # on the network's grid
    maps: dict[str, Volume]  # doubt, on the grid of the PET, float32
    single_lesion: bool  # the model knows studies of one lesion only
    strange: tuple[str, ...] = ()  # how the study differs from those of the training
    baseline_dice: float | None = None  # of the answer with the watershed, on the network's grid
    volume_ratio: float | None = None  # the truth's volume lies within volume / ratio and volume · ratio
    numbers: dict[str, float | int | None] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Stage:
    """A study prepared for a network: where it lies, and where results go meanwhile."""

    scene: Scene
    grid: Grid  # of the network, without the padding
    inside: tuple[slice, slice, slice]  # the grid's part of the padded volume
    make: Make
    suv: Volume  # of the PET, on the grid
    features: dict[str, float]  # of the channels

    def whole(self, read: Callable[[int, int], NDArray[np.float32]]) -> Volume:
        """A map (first, last) -> slices as a volume without the padding."""
        result = np.empty(self.grid.shape, np.float32)
        offset = self.inside[0].start
        for first in range(0, len(result), _DEPTH):
            last = min(first + _DEPTH, len(result))
            result[first:last] = read(first + offset, last + offset)[:, *self.inside[1:]]
        return Volume(result, self.grid.affine)


def find_by_ensemble(ct: Volume, pet: Volume, model: MaskModel, settings: SegmentSettings, *, study: str) -> Found:
    """The mean of several masks drawn by a diffusion model, or its one-step answer where the two disagree.

    ct, pet    HU and SUV, each on its grid
    study      name that, with the seed, decides the noise
    returns    maps: one_step, entropy, trajectory; with two members or more variance, mutual_information
               numbers: members, network_looks, gap, volume_gap, is_one_step; volume_low_ml and volume_high_ml, the 5 and 95 %
               quantiles over members, with two or more
    """
    chosen = settings.diffusion
    sampling = Sampling(chosen.members, chosen.steps, chosen.flips, chosen.seed, study, settings.threshold)
    with _staged(ct, pet, model, settings.windows) as stage:
        ensemble = draw_ensemble(stage.scene, MaskDenoiser(model.network), sampling, stage.make)
        agreement = ensemble.agreement()
        is_one_step = not agreement.is_trusted(chosen.trusted_gap)
        once = _tempered(stage.whole(_reader(ensemble, "one_step")), model)
        probability = once if is_one_step else _tempered(stage.whole(_reader(ensemble, "mean")), model)
        others = (name for name in ensemble.names if name not in ("mean", "one_step", "entropy"))
        named = {name: _on(pet, stage.whole(_reader(ensemble, name))) for name in others} | {"one_step": _on(pet, once)}
        numbers = {
            "members": chosen.members,
            "network_looks": chosen.members * chosen.steps,
            "gap": agreement.gap,
            "volume_gap": agreement.volume_gap,
            "is_one_step": int(is_one_step),
            **_volume_interval(ensemble, stage.grid.voxel_ml),
        }
    return _found(Answer(probability, named, numbers), stage, pet, model, settings)


def find_by_unet(ct: Volume, pet: Volume, model: MaskModel, settings: SegmentSettings) -> Found:
    """Probabilities by a plain network, the mean over mirrored looks; maps: entropy."""
    with _staged(ct, pet, model, settings.windows) as stage:
        result = stage.make(stage.scene.windows.shape)

        def observe(step: int, first: int, probability: Tensor) -> None:
            result.write(first, probability.numpy())

        look = PlainLook(model.network, FLIPS[: settings.unet.flips])
        look_once(stage.scene, look, SIGMA_MAX, state=stage.make(stage.scene.windows.shape), observe=observe)
        probability = _tempered(stage.whole(result.read), model)
    return _found(Answer(probability, {}, {"network_looks": settings.unet.flips}), stage, pet, model, settings)


@dataclass(frozen=True, eq=False)
class Answer:
    """What a network says."""

    probability: Volume  # on its grid
    maps: dict[str, Volume]  # on that of the PET
    numbers: dict[str, float | int | None]


def _found(answer: Answer, stage: Stage, pet: Volume, model: MaskModel, settings: SegmentSettings) -> Found:
    """The answer with its doubt on the grid of the PET, and what speaks for and against it."""
    probability, single = answer.probability, model.card.single_lesion
    maps = {**answer.maps, "entropy": _on(pet, _by_slabs(entropy, probability))}
    voxels = probability.array >= settings.threshold
    mask = probability.with_array((largest_component(voxels) if single else voxels).astype(np.uint8))
    return Found(
        probability,
        maps,
        single,
        strange=tuple(strange(stage.features, model.card.familiar)),
        baseline_dice=baseline_dice(mask, stage.suv, settings.watershed, single_lesion=single),
        volume_ratio=model.calibration.volume_ratio,
        numbers=answer.numbers,
        warnings=tuple(_doubts_on_ensemble(answer.numbers, settings.diffusion.trusted_gap)),
    )


def _tempered(probability: Volume, model: MaskModel) -> Volume:
    return _by_slabs(lambda p: tempered_probability(p, model.calibration.temperature), probability)


def _by_slabs(change: Callable[[NDArray], NDArray], volume: Volume) -> Volume:
    """A pointwise function of a volume, a few slices at a time, since it works in float64."""
    result = np.empty(volume.array.shape, np.float32)
    for first in range(0, len(result), _DEPTH):
        result[first : first + _DEPTH] = change(volume.array[first : first + _DEPTH])
    return volume.with_array(result)


def _on(pet: Volume, volume: Volume) -> Volume:
    return resample_to(volume, pet.grid, fill=0.0)


@contextmanager
def _staged(ct: Volume, pet: Volume, model: MaskModel, settings: WindowSettings) -> Iterator[Stage]:
    """The study on the network's grid, padded with air so that a window fits; scratch volumes live as long as the block."""
    grid = network_grid(pet.grid, model.conditioning.spacing_mm)
    size = window_size(grid.shape, roi=(settings.size,) * 3, least=model.card.patch, multiple=model.multiple)
    margins = padding(grid.shape, size)
    shape = tuple(side + before + after for side, (before, after) in zip(grid.shape, margins))
    windows = Windows(shape, size, settings.overlap, settings.batch)
    network = model.card.network
    channels = len(model.conditioning.modalities)
    plan = plan_memory(
        windows, channels=channels, width=network["width"], stem=network.get("stem", 1), budget_gb=settings.max_memory_gb
    )
    inside = tuple(slice(before, before + side) for side, (before, _) in zip(grid.shape, margins))
    with slab_store(in_memory=plan.in_memory) as make:
        condition = make((shape[0], channels, *shape[1:]))
        suv, known = resample_to(pet, grid, fill=0.0), {}
        for channel, name in enumerate(model.conditioning.modalities):
            on_grid = suv.array if name == "pet" else resample_to(ct, grid, fill=AIR_HU).array
            scale = getattr(model.conditioning, name)
            known |= features(scale(on_grid)[None], (name,))
            _put_channel(condition, channel, scale, on_grid, inside)
        yield Stage(Scene(condition, windows, model.device), grid, inside, make, suv, known)


def _put_channel(
    condition: Slabs, channel: int, scaled: Callable[[NDArray], NDArray], values: NDArray, inside: tuple[slice, ...]
) -> None:
    for first in range(0, condition.shape[0], _DEPTH):
        slab = condition.read(first, min(first + _DEPTH, condition.shape[0]))
        slab[:, channel] = FILL
        start, stop = max(first, inside[0].start), min(first + len(slab), inside[0].stop)
        if start < stop:
            part = scaled(values[start - inside[0].start : stop - inside[0].start])
            slab[start - first : stop - first, channel, *inside[1:]] = part
        condition.write(first, slab)


def _reader(ensemble: Ensemble, name: str) -> Callable[[int, int], NDArray[np.float32]]:
    return lambda first, last: ensemble.slab(name, first, last)


def _volume_interval(ensemble: Ensemble, voxel_ml: float) -> dict[str, float]:
    if len(ensemble.masks) < 2:
        return {}
    volumes = [float(np.bitwise_count(mask).sum(dtype=np.int64)) * voxel_ml for mask in ensemble.masks]
    low, high = np.percentile(volumes, [5, 95])
    return {"volume_low_ml": float(low), "volume_high_ml": float(high)}


def _doubts_on_ensemble(numbers: dict[str, float | int | None], limit: float) -> Iterator[str]:
    if "volume_gap" in numbers and (numbers["is_one_step"] or abs(numbers["volume_gap"]) > DOUBTFUL_GAP):
        taken = "the one-step answer" if numbers["is_one_step"] else "the ensemble's"
        yield (
            f"The ensemble's volume differs from the one-step answer by {100 * numbers['volume_gap']:+.0f} %, expected at most"
            f" {100 * min(limit, DOUBTFUL_GAP):.0f} %: the model is unsure here. The mask is {taken}; look at the maps."
        )
