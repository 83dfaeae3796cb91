"""Settings of the digital chest: its grid and its seed; standard library and pydantic only."""

from pydantic import Field

from medidiff.settings import Settings

RESULT_VERSION = 1  # raise when the same settings give other voxels


class ChestPhantom(Settings):
    """A random chest CT with known truth. Anatomy is in millimetres: another grid samples the same patient."""

    seed: int = Field(0, ge=0, lt=2**31, description="of the patient")
    slices: int = Field(32, ge=1, le=1024, description="along z")
    rows: int = Field(64, ge=8, le=1024, description="along y")
    columns: int = Field(64, ge=8, le=1024, description="along x")
    pixel_mm: float = Field(6.0, gt=0.2, le=12, description="edge of a square pixel, mm")
    slice_mm: float = Field(6.0, gt=0.2, le=12, description="distance between slices, mm")
    lesions: int = Field(0, ge=0, le=20, description="nodules in the lungs, at places the chest tells")
