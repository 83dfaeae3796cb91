"""Settings of training a mask model, as a file of configs/priors says them."""

from typing import Literal, Self

from pydantic import Field, model_validator

from medidiff.settings import Settings


class InputSettings(Settings):
    """What the network sees."""

    modalities: tuple[Literal["ct", "pet"], ...] = Field(("ct", "pet"), min_length=1, description="channels, in this order")
    spacing_mm: float = Field(4.0, gt=0, le=20, description="cubic voxels of the network's grid, mm")
    ct_window_hu: tuple[float, float] = Field((-250.0, 250.0), description="HU that become -1 and 1")
    suv_max: float = Field(30.0, gt=0, description="SUV that becomes 1, on a logarithmic scale from 0")


class MaskNetwork(Settings):
    """The U-Net."""

    dims: Literal[2, 3] = Field(3, description="3: volumes; 2: slices")
    neighbours: int = Field(0, ge=0, le=8, description="with dims 2: slices on each side as further channels (2.5-D)")
    width: int = Field(32, ge=4, description="features behind the stem")
    multipliers: tuple[int, ...] = Field((1, 2, 3), min_length=1, description="features per resolution, multiples of the width")
    blocks: int = Field(1, ge=1, description="residual blocks on each way through each resolution")
    stem: int = Field(2, ge=1, description="space-to-depth factor in front")

    @model_validator(mode="after")
    def _volumes_have_no_neighbours(self) -> Self:
        if self.dims == 3 and self.neighbours:
            raise ValueError("neighbours are for dims 2; a network of volumes sees the slices beside anyway")
        return self


class MaskTraining(Settings):
    """How a mask model is trained."""

    kind: Literal["diffusion", "unet"] = Field("diffusion", description="diffusion, or the same network without it")
    objective: Literal["calibrated", "overlap"] = Field(
        "overlap", description="of diffusion: calibrated probabilities, or overlap in few steps"
    )
    at_start: float = Field(0.4, ge=0, le=1, description="share of the items at the level that holds nothing but noise")
    recycled: float = Field(0.3, ge=0, le=1, description="of overlap: share of the items that carry the network's own answer")
    start: str = Field("", description="folder of a plain model whose weights a diffusion model starts from; empty: from nothing")
    input: InputSettings = Field(InputSettings(), description="what the network sees")
    network: MaskNetwork = Field(MaskNetwork(), description="the U-Net")
    patch: int = Field(48, ge=8, le=256, description="voxels along each side of a training patch")
    foreground: float = Field(2 / 3, ge=0, le=1, description="share of the patches near a lesion voxel")
    initial_share: float = Field(0.12, gt=0, lt=1, description="share of lesion that an untrained network says everywhere")
    steps: int = Field(2000, ge=1, description="updates of the weights")
    batch: int = Field(2, ge=1, description="patches per update; slices with dims 2")
    learning_rate: float = Field(2e-3, gt=0, description="after the warm-up")
    final_rate: float = Field(1e-5, ge=0, description="at the last step")
    warmup: int = Field(100, ge=0, description="steps in which the rate rises")
    weight_decay: float = Field(1e-4, ge=0, description="of AdamW")
    seed: int = Field(0, ge=0, description="of weights, patches and levels")
    save_every: int = Field(250, ge=1, description="steps between checkpoints")
    average: float = Field(0.1, gt=0, lt=0.3, description="relative width of the average of the weights that is kept")

    @model_validator(mode="after")
    def _shares_fit(self) -> Self:
        if self.at_start + self.recycled > 1:
            raise ValueError(f"at_start {self.at_start:g} and recycled {self.recycled:g} are more than 1 together")
        if self.kind == "unet" and self.start:
            raise ValueError("start is for diffusion models; a plain model starts from nothing")
        return self
