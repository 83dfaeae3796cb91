"""Settings of the segmentation room: which methods, on which grid, with which thresholds."""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from medidiff.settings import Settings

RESULT_VERSION = 1  # raise when a method gives other voxels or numbers for the same input

_METHODS = re.compile(r"suv(\d+(\.\d+)?)|percent([1-9]\d?)|watershed")


def _known_method(name: str) -> str:
    if not _METHODS.fullmatch(name):
        raise ValueError(f"unknown method {name!r}, expected suv2, suv2.5, suv4 (any number), percent41 (1 to 99) or watershed")
    return name


Method = Annotated[str, AfterValidator(_known_method)]


class WatershedSettings(Settings):
    """Marker-controlled watershed on the gradient magnitude of the smoothed PET."""

    smoothing_mm: float = Field(3.0, ge=0, le=20, description="Gaussian standard deviation before the gradient, mm, 0 to 20")
    background_suv: float = Field(1.0, ge=0, le=100, description="smoothed SUV below which a voxel is background, 0 to 100")
    hot_suv: float = Field(2.0, gt=0, le=100, description="smoothed SUV above which connected voxels are one hot part, 0 to 100")
    seed_fraction: float = Field(0.3, gt=0, le=1, description="of a hot part's maximum, from which on it is lesion, 0 to 1")

    @model_validator(mode="after")
    def _markers_are_apart(self) -> Self:
        if self.background_suv >= self.hot_suv:
            raise ValueError(f"background_suv {self.background_suv:g} is not below hot_suv {self.hot_suv:g}")
        return self


class SegmentSettings(Settings):
    """What `medidiff segment` does with one PET/CT study."""

    methods: tuple[Method, ...] = Field(
        ("suv2", "suv2.5", "suv4", "percent41", "watershed"),
        min_length=1,
        description="suvX: PET above X SUV; percentN: above N % of the maximum, largest component; watershed",
    )
    grid: Literal["pet", "ct"] = Field("pet", description="grid of the written masks: pet or ct")
    watershed: WatershedSettings = Field(WatershedSettings(), description="marker-controlled watershed")
