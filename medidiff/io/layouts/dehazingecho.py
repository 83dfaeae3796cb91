"""The folder of DehazingEcho2025: hazy frames as MetaImages, and regions as PNG of the same names where they are given."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from medidiff.errors import DataError
from medidiff.io.layouts.challenge import unique_names
from medidiff.io.ultrasound.mha import frames_beside, read_mha
from medidiff.studies import Study

NAME = "dehazingecho2025"
HAZY = "hazy-cardiac-ultrasound"  # folder of the input, wherever it lies
LARGEST_PNG = 1 << 24  # pixels


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame of the challenge.

    hazy      (row, column) uint8
    dehazed   the prediction; None where there is none
    regions   255 septum, 128 ventricle, 0 elsewhere; all 0 where none are given
    """

    name: str
    hazy: np.ndarray
    dehazed: np.ndarray | None
    regions: np.ndarray


def list_frames(folder: Path) -> list[Path]:
    """Every hazy frame below a folder. Raises DataError where there is none."""
    found = sorted(path for path in Path(folder).rglob("*.mha") if path.parent.name == HAZY)
    if not found:
        raise DataError(f"{Path(folder).name}: found no {HAZY}/*.mha, expected the folder of the challenge. Unpack it here.")
    return found


def echo_studies(folder: Path) -> list[Study]:
    """One study for each clip: its first frame stands for all frames of that name."""
    firsts = [path for path in list_frames(folder) if path == frames_beside(path)[0]]
    names = unique_names(path.stem.rpartition("-frame-")[0] or path.stem for path in firsts)
    return [Study(name, "us", str(path.resolve())) for name, path in zip(names, firsts)]


def read_frames(folder: Path, predictions: Path) -> Iterator[Frame]:
    """Every hazy frame with its prediction and its regions, found by name anywhere below their folders.

    Raises DataError where two predictions have one name, or regions have another size.
    """
    made, regions = _by_name(predictions, "*.mha", but=HAZY), _by_name(folder, "*.png")
    for path in list_frames(folder):
        hazy = read_mha(path).values[0]
        prediction = made.get(path.stem)
        dehazed = None if prediction is None else read_mha(prediction).values[0]
        yield Frame(path.stem, hazy, dehazed, _regions(regions.get(path.stem), hazy.shape))


def _by_name(folder: Path, pattern: str, *, but: str = "") -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(Path(folder).rglob(pattern)):
        if path.parent.name == but:
            continue
        if path.stem in found:
            raise DataError(
                f"{path.name}: found it twice below {Path(folder).name}, expected one. Name the folder of one result."
            )
        found[path.stem] = path
    return found


def _regions(path: Path | None, shape: tuple[int, ...]) -> np.ndarray:
    if path is None:
        return np.zeros(shape, np.uint8)
    try:
        with Image.open(path) as opened:
            if opened.size[::-1] != shape or opened.width * opened.height > LARGEST_PNG:
                raise DataError(f"{path.name}: found {opened.height} x {opened.width} pixels, expected {shape[0]} x {shape[1]}.")
            return np.asarray(opened.convert("L"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"{path.name}: not readable as PNG ({' '.join(str(error).split())[:120]}). Copy it again.") from error
