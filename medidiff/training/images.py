"""Training images of priors from public data sets and digital patients, with what the card has to say of them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.random import Generator

from medidiff.datasets import Dataset, dataset, locate
from medidiff.errors import ConfigError, DataError
from medidiff.io.nifti import read_nifti
from medidiff.phantoms.chest import make_chests
from medidiff.reconstruction.training_slices import coarser, ct_crops, mr_crops
from medidiff.training.settings import ChestSlices, CtCrops, MrCrops, PriorTraining

CHESTS_AT_ONCE = 16
CT_VALIDATION_CROPS = 40  # of each validation patient
MR_VALIDATION_CROPS = 200  # of each validation volume


@dataclass(eq=False)
class Images:
    """Images for training and validation, (n, row, column) int16 HU or float16 magnitudes, and where they come from."""

    train: list[np.ndarray] = field(default_factory=list)
    validation: list[np.ndarray] = field(default_factory=list)
    sources: list[dict] = field(default_factory=list)  # of each set: name, title, licence, citation
    split: dict[str, dict] = field(default_factory=dict)  # of each set: train, validation, held out
    sha256: list[str] = field(default_factory=list)  # of every file that was read

    def stacked(self, part: str) -> np.ndarray:
        """All images of `train` or `validation`. Raises DataError where there is none."""
        images = [one for one in getattr(self, part) if len(one)]
        if not images:
            raise DataError(f"training: found no image for {part}, expected at least one; look at the sets of the file")
        return np.concatenate(images)


def training_images(settings: PriorTraining) -> Images:
    """The images of all sets, the same for the same seed and files.

    Raises ConfigError with the command that gets a missing data set, and for a patient or volume that a set does not have.
    """
    found = Images()
    draw = {"train": np.random.default_rng(settings.seed), "validation": np.random.default_rng(settings.seed + 1)}
    for one in settings.sets:
        add = {"ct": _add_ct, "mr": _add_mr, "chest": _add_chests}[one.kind]
        add(found, one, settings.crop, draw)
    return found


def _add_ct(found: Images, one: CtCrops, size: int, draw: dict[str, Generator]) -> None:
    entry = dataset(one.dataset)
    _check_names(entry, one.held_out, entry.members)
    train = sorted(set(entry.members) - set(one.held_out), key=_by_number)
    folder = locate(one.dataset, subset=[*train, *one.validation])
    for part, names, factors, crops in (
        ("train", train, one.coarser, one.crops),
        ("validation", one.validation, one.coarser[:1], CT_VALIDATION_CROPS),
    ):
        for name in names:
            hu = np.rint(read_nifti(folder / name / one.file).array).astype(np.int16).transpose(one.axes)
            for factor in factors:
                pixels = hu if factor == 1 else coarser(hu, factor)
                getattr(found, part).append(ct_crops(pixels, crops, draw[part], size=size, jitter=one.jitter))
    _tell(found, entry, [f"{name}/{one.file}" for name in (*train, *one.validation)])
    found.split[one.dataset] = {"train": train, "validation": list(one.validation), "held_out": list(one.held_out)}


def _add_mr(found: Images, one: MrCrops, size: int, draw: dict[str, Generator]) -> None:
    entry = dataset(one.dataset)
    _check_names(entry, (*one.train, *one.validation), [file.path for file in entry.files])
    folder = locate(one.dataset)
    for part, names, crops in (("train", one.train, one.crops), ("validation", one.validation, MR_VALIDATION_CROPS)):
        for name in names:
            volume = read_nifti(folder / name)
            spacing = volume.grid.spacing_mm
            made = mr_crops(volume.array, spacing, crops, draw[part], size=size, pixel_mm=one.pixel_mm)
            getattr(found, part).append(made)
    _tell(found, entry, [*one.train, *one.validation])
    found.split[one.dataset] = {"train": list(one.train), "validation": list(one.validation), "held_out": []}


def _add_chests(found: Images, one: ChestSlices, size: int, draw: dict[str, Generator]) -> None:
    train = range(one.first_seed, one.first_seed + one.patients)
    validation = range(one.first_validation_seed, one.first_validation_seed + one.validation_patients)
    for part, seeds in (("train", train), ("validation", validation)):
        for first in range(0, len(seeds), CHESTS_AT_ONCE):
            chests = make_chests(seeds[first : first + CHESTS_AT_ONCE], one.chest)
            getattr(found, part).append(np.rint(chests).astype(np.int16).reshape(-1, size, size))
    title = f"digital chests with {one.chest.lesions} nodules each"
    found.sources.append({"name": "digital chests", "title": title, "licence": "of this project", "citation": []})
    name = f"digital chests, {one.chest.lesions} nodules"
    found.split[name] = {"train": _seeds(train), "validation": _seeds(validation), "held_out": []}


def _tell(found: Images, entry: Dataset, paths: Iterable[str]) -> None:
    digests = {file.path: file.sha256 for file in entry.files}
    found.sha256 += [digests[path] for path in paths]
    found.sources.append({"name": entry.name, "title": entry.title, "licence": entry.licence, "citation": list(entry.citation)})


def _check_names(entry: Dataset, names: Iterable[str], known: Iterable[str]) -> None:
    if unknown := sorted(set(names) - set(known)):
        raise ConfigError(f"{entry.name} has no {', '.join(unknown)}; `medidiff data show {entry.name}` tells of the set")


def _by_number(name: str) -> tuple[int, str]:
    digits = re.findall(r"\d+", Path(name).name)
    return int(digits[-1]) if digits else 0, name


def _seeds(seeds: range) -> list[str]:
    return [f"seeds {seeds.start} to {seeds.stop - 1}"] if seeds else []
