"""Settings of the segmentation room: which methods, on which grid, with which thresholds."""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from medidiff.settings import Settings

RESULT_VERSION = 2  # raise when a method gives other voxels or numbers for the same input

NETWORKS = ("unet", "diffusion")  # methods with maps of probability and doubt, and a traffic light

_METHODS = re.compile(r"suv(\d+(\.\d+)?)|percent([1-9]\d?)|watershed|unet|diffusion")


def _known_method(name: str) -> str:
    if not _METHODS.fullmatch(name):
        raise ValueError(
            f"unknown method {name!r}, expected suv2, suv2.5, suv4 (any number), percent41 (1 to 99), watershed, unet, diffusion"
        )
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


class DiffusionSettings(Settings):
    """Several masks drawn by a diffusion model."""

    model: str = Field("models/petct-sarcoma", description="folder of the diffusion model")
    members: int = Field(5, ge=1, le=1000, description="masks drawn of each study, 1 to 1000; with 1 there is no variance")
    steps: int = Field(20, ge=2, le=1000, description="looks of the network per mask, 2 to 1000; 10 is fast, 40 is fine")
    flips: bool = Field(True, description="draw the masks of mirrored studies, each along other axes, and mirror them back")
    seed: int = Field(0, ge=0, description="fixes the noise, together with the name of the study")
    trusted_gap: float = Field(
        0.3, ge=0, description="volume by which ensemble and one-step answer may differ, as a share; above it one step is taken"
    )


class UnetSettings(Settings):
    """The same network without diffusion."""

    model: str = Field("models/petct-sarcoma-unet", description="folder of the plain model")
    flips: int = Field(5, ge=1, le=8, description="mirrored looks that are averaged, 1 to 8")


class WindowSettings(Settings):
    """How a network looks at a volume that is too large for one look."""

    size: int = Field(64, ge=16, le=512, multiple_of=16, description="voxels along each side of a window, a multiple of 16")
    overlap: float = Field(0.25, ge=0, lt=1, description="of neighbouring windows, as a share of their size, 0 to below 1")
    batch: int = Field(1, ge=1, description="windows in one look")
    max_memory_gb: float = Field(2.0, gt=0, description="for volumes and the network; above it volumes go to temporary files")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="where the network runs; auto: CUDA where there is a card")


class SegmentSettings(Settings):
    """What `medidiff segment` does with one PET/CT study."""

    methods: tuple[Method, ...] = Field(
        ("suv2", "suv2.5", "suv4", "percent41", "watershed"),
        min_length=1,
        description="suvX: PET above X SUV; percentN: above N % of the maximum, largest component; watershed; unet; diffusion",
    )
    grid: Literal["pet", "ct"] = Field("pet", description="grid of the written masks: pet or ct")
    watershed: WatershedSettings = Field(WatershedSettings(), description="marker-controlled watershed")
    threshold: float = Field(0.5, gt=0, lt=1, description="probability from which on a voxel is lesion, for unet and diffusion")
    diffusion: DiffusionSettings = Field(DiffusionSettings(), description="masks drawn by a diffusion model")
    unet: UnetSettings = Field(UnetSettings(), description="the same network without diffusion")
    windows: WindowSettings = Field(WindowSettings(), description="windows of unet and diffusion")
