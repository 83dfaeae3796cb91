"""Datasets in the layout of nnU-Net v2: numbered channels, whose meaning dataset.json states."""

import re
from pathlib import Path

import nibabel

from medidiff.documents import json_object
from medidiff.errors import DataError
from medidiff.io.layouts.segmentation import SegmentationCase, existing, listed
from medidiff.io.volume import Grid

_CT = re.compile(r"\bct\b", re.IGNORECASE)
_PET = re.compile(r"\b(pet|pt|suv)\b", re.IGNORECASE)


def list_nnunet(folder: Path) -> list[SegmentationCase]:
    """Every case of `imagesTr` and `imagesTs` with its labels in `labelsTr` and `labelsTs`.

    folder   `DatasetXXX_Name` with its dataset.json

    Which channel is CT and which PET is read from channel_names, since both orders are in use. Raises DataError where
    dataset.json or its channel_names are absent or name neither, where there is no case, and where the channels of a case and
    its labels lie on different grids (nnU-Net warns of that alone).
    """
    folder = Path(folder)
    stated = _read_dataset(folder)
    channels, end = _channels(stated, folder), stated.get("file_ending", ".nii.gz")
    if end not in (".nii.gz", ".nii"):
        raise DataError(
            f"dataset.json of {folder.name}: file_ending is {str(end)[:20]!r}, expected .nii.gz. Convert the images first."
        )
    cases = []
    for part, split in (("Tr", "train"), ("Ts", "test")):
        for image in (folder / f"images{part}").glob(f"*_0000{end}"):
            name = image.name.removesuffix(f"_0000{end}")
            files = {kind: image.with_name(f"{name}_{number:04d}{end}") for kind, number in channels.items()}
            truth = existing(folder / f"labels{part}" / f"{name}{end}")
            _check_grids(name, [*files.values(), *([truth] if truth else [])])
            cases.append(SegmentationCase(name, name, files.get("ct"), files.get("pet"), truth, split))
    return listed(cases, folder, f"files such as imagesTr/case_0000{end}")


def _read_dataset(folder: Path) -> dict:
    path = folder / "dataset.json"
    try:
        return json_object(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path.name} of {folder.name}: could not be read ({error}), expected that of nnU-Net v2.") from error


def _channels(stated: dict, folder: Path) -> dict[str, int]:
    names = stated.get("channel_names")
    if not isinstance(names, dict) or not all(re.fullmatch(r"\d{1,4}", str(number)) for number in names):
        raise DataError(
            f"dataset.json of {folder.name}: found no channel_names, expected such as "
            '{"0": "CT", "1": "PET"}. Challenges number them differently: add them rather than guess.'
        )
    found: dict[str, int] = {}
    for number, name in names.items():
        plain = str(name).replace("_", " ")
        kinds = [kind for kind, pattern in (("ct", _CT), ("pet", _PET)) if pattern.search(plain)]
        if len(kinds) != 1 or kinds[0] in found:
            raise DataError(f"dataset.json of {folder.name}: channel_names are {names}, expected one CT, one PET, or both.")
        found[kinds[0]] = int(number)
    if not found:
        raise DataError(f"dataset.json of {folder.name}: channel_names is empty, expected one CT, one PET, or both.")
    return found


def _check_grids(name: str, paths: list[Path]) -> None:
    grids = [_grid(path) for path in paths]
    for path, grid in zip(paths, grids):
        if not grid.agrees_with(grids[0]):
            raise DataError(
                f"{name}: {paths[0].name} and {path.name} lie on different grids, expected one to 0.001 mm:\n"
                f"{grids[0].shape}\n{grids[0].affine[:3]}\n{grid.shape}\n{grid.affine[:3]}\nResample one onto the other first."
            )


def _grid(path: Path) -> Grid:
    try:
        image = nibabel.load(path)
        return Grid(image.shape, image.affine)
    except (OSError, nibabel.filebasedimages.ImageFileError) as error:
        raise DataError(f"{path.name}: the header could not be read, expected a NIfTI file. Copy it again.") from error
