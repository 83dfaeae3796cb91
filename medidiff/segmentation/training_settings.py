"""Settings of training a mask model, as a file of configs/priors says them; standard library and pydantic only."""

from typing import Literal, Self

from pydantic import Field, model_validator

from medidiff.settings import ModelFile, Settings


class MaskPatients(Settings):
    """Patients of a public set, one folder each."""

    dataset: str = Field(description="public data set of PET/CT with lesion masks")
    ct: str = Field("ct.nii.gz", description="CT in HU, in each folder")
    pet: str = Field("pet_suv.nii.gz", description="PET in SUV")
    mask: str = Field("gtv_ct.nii.gz", description="lesions, 0 and 1, on any grid")
    held_out: tuple[str, ...] = Field(
        (), description="patients that are never trained on; they choose among averages of the weights"
    )
    single_lesion: bool = Field(False, description="every patient has one lesion, so that masks are their largest part")


class DigitalPatients(Settings):
    """Digital necks of `medidiff.phantoms`, each outlined by several readers who do not agree, with known odds."""

    count: int = Field(ge=1, description="patients to train on")
    validation: int = Field(8, ge=1, description="patients that choose among averages of the weights and fit the temperature")
    first_seed: int = Field(10_000, ge=0, description="number of the first patient; those for validation follow the last")
    difficulties: tuple[Literal["easy", "default", "hard"], ...] = Field(
        ("default", "hard", "easy"), min_length=1, description="of the patients, in turn"
    )
    readers: int = Field(4, ge=1, le=50, description="outlines of each patient, each one training item")
    ct_matrix: int = Field(96, ge=16, le=512, description="rows and columns of the CT")
    ct_spacing_mm: tuple[float, float, float] = Field((2.0, 2.0, 4.0), description="voxels of the CT")
    ct_slices: int = Field(40, ge=8, le=200, description="slices of the CT")
    single_lesion: Literal[False] = Field(False, description="they have up to four lesions")


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
    patients: MaskPatients | DigitalPatients = Field(description="who is learned from")
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
    ema_widths: tuple[float, ...] = Field((0.05, 0.1), description="relative widths of the averages of the weights")

    @model_validator(mode="after")
    def _shares_fit(self) -> Self:
        if self.at_start + self.recycled > 1:
            raise ValueError(f"at_start {self.at_start:g} and recycled {self.recycled:g} are more than 1 together")
        if self.kind == "unet" and self.start:
            raise ValueError("start is for diffusion models; a plain model starts from nothing")
        return self


class MaskFile(ModelFile):
    """One trained model that segments."""

    device: Literal["cpu", "cuda"] = Field("cpu", description="where it is trained")
    mask: MaskTraining = Field(description="how it is trained")
