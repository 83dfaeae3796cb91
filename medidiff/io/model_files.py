"""Trained models on disk: a folder of weights and their card."""

from collections.abc import Mapping
from pathlib import Path

from medidiff.errors import DataError
from medidiff.io.atomic import write_bytes

_FILES = ("model.safetensors", "card.json")


def read_model_files(folder: str | Path) -> dict[str, bytes]:
    """Name to bytes of the two files of a model; what they must hold is the model's business.

    Raises DataError that names the missing file.
    """
    folder = Path(folder)
    for name in _FILES:
        if not (folder / name).is_file():
            raise DataError(f"{folder}: has no {name}. Give the folder of a trained model, or train one (`medidiff train`).")
    return {name: (folder / name).read_bytes() for name in _FILES}


def write_model_files(folder: str | Path, files: Mapping[str, bytes]) -> None:
    """Put a model into a folder, the card last: a folder without a card is not a model."""
    for name in _FILES:
        write_bytes(Path(folder) / name, files[name])
