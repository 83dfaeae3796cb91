"""Trained priors on disk: a folder of weights, their card, and a page that says the same to people."""

from collections.abc import Mapping
from pathlib import Path

from medidiff.errors import DataError
from medidiff.io.atomic import write_bytes

_NEEDED = ("model.safetensors", "card.json")


def read_prior(folder: str | Path) -> dict[str, bytes]:
    """Name to bytes of the files that make a prior; `medidiff.diffusion.prior.assemble_prior` checks what they hold.

    Raises DataError that names the folder and what it lacks.
    """
    folder = Path(folder)
    if missing := [name for name in _NEEDED if not (folder / name).is_file()]:
        raise DataError(
            f"{folder}: has no {' and no '.join(missing)}, expected the folder of a trained prior such as models/ct-chest. "
            "Name another folder, or train one with `medidiff train`."
        )
    return {name: read_whole(folder / name) for name in _NEEDED}


def read_whole(path: Path) -> bytes:
    """The bytes of one small file that goes with a prior. Raises DataError where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{path.name}: cannot be read ({error.strerror or error}). Check the path and its permissions."
        ) from error


def write_prior(folder: str | Path, files: Mapping[str, bytes]) -> None:
    """The folder that now holds all files, each whole; the card comes last: a folder without one is not a prior."""
    for name in sorted(files, key=lambda name: name == "card.json"):
        write_bytes(Path(folder) / name, files[name])
