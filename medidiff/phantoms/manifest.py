"""What a written patient consists of: settings, truth in numbers, and the hash of every file."""

import hashlib
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from medidiff.phantoms.settings import PetCtPhantom


class LesionFacts(BaseModel):
    """One tumour as it was drawn."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: str  # GTVp or GTVn
    centre_ras_mm: tuple[float, float, float]
    radii_mm: tuple[float, float, float]
    volume_ml: float  # of the ellipsoid
    suv: float  # before blur and noise
    probability: float  # share of readers who call it tumour


class Manifest(BaseModel):
    """`manifest.json` of a written patient; it is written last, so that its presence says the folder is whole."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    settings: PetCtPhantom
    ct_series: str  # SeriesInstanceUID
    pet_series: str
    lesions: tuple[LesionFacts, ...]
    truth_ml: dict[str, dict[str, float]]  # grid -> label -> volume of the mask of the median reader
    rounding_hu: float  # CT values are stored within this
    rounding_suv: dict[str, float]  # PET file -> its values are stored within this
    files: dict[str, str]  # path inside the folder -> sha256


def hash_files(folder: Path) -> dict[str, str]:
    """sha256 of every file below the folder, by its path inside it, sorted."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
