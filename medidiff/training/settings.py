"""Settings of a training run, as a file of configs/priors says them; standard library, pydantic and `documents` only."""

import json
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, model_validator

from medidiff.dehazing.training_settings import EchoFile
from medidiff.documents import yaml_mapping
from medidiff.errors import ConfigError
from medidiff.operators.training_settings import OperatorFile
from medidiff.phantoms.chest_settings import ChestPhantom
from medidiff.segmentation.training_settings import MaskFile
from medidiff.settings import ModelFile, Settings


class CtCrops(Settings):
    """Axial slices of a public set of CT volumes, cut to the tissue."""

    kind: Literal["ct"] = Field("ct", description="CT in HU")
    dataset: str = Field(description="public data set, one folder for each patient")
    file: str = Field("ct.nii.gz", description="the volume in each folder")
    axes: tuple[int, int, int] = Field((2, 1, 0), description="which voxel axes are slice, row and column")
    coarser: tuple[Annotated[int, Field(ge=1, le=8)], ...] = Field(
        (1,), min_length=1, description="crops from pixels of 1, 2, ... times the edge, in this order"
    )
    crops: int = Field(120, ge=1, description="of each patient at each size of pixels")
    jitter: int = Field(10, ge=0, le=32, description="pixels by which a crop may reach over the box of the tissue")
    held_out: tuple[str, ...] = Field((), description="patients that are never trained on")
    validation: tuple[str, ...] = Field((), description="those of them whose crops measure the loss")

    @model_validator(mode="after")
    def _validation_is_held_out(self) -> Self:
        if lost := sorted(set(self.validation) - set(self.held_out)):
            raise ValueError(f"validation: {', '.join(lost)} is not held out; name it in held_out too")
        return self


class MrCrops(Settings):
    """Slices along all three axes of MR volumes, turned, scaled and with other contrast at random."""

    kind: Literal["mr"] = Field("mr", description="MR magnitudes, to which a smooth random phase is given")
    dataset: str = Field(description="public data set")
    train: tuple[str, ...] = Field(min_length=1, description="volumes to learn from, paths in the set")
    validation: tuple[str, ...] = Field((), description="volumes that measure the loss")
    crops: int = Field(2500, ge=1, description="of each volume")
    pixel_mm: tuple[float, float] = Field((1.5, 3.0), description="smallest and largest pixel, mm")


class ChestSlices(Settings):
    """All axial slices of digital chests."""

    kind: Literal["chest"] = Field("chest", description="digital chests in HU")
    first_seed: int = Field(0, ge=0, description="of the patients to learn from")
    patients: int = Field(160, ge=1, description="with consecutive seeds")
    first_validation_seed: int = Field(500_000, ge=0, description="of the patients that measure the loss")
    validation_patients: int = Field(0, ge=0, description="with consecutive seeds")
    chest: ChestPhantom = Field(ChestPhantom(), description="grid and nodules of each")

    @model_validator(mode="after")
    def _nobody_is_in_both(self) -> Self:
        train = range(self.first_seed, self.first_seed + self.patients)
        validation = range(self.first_validation_seed, self.first_validation_seed + self.validation_patients)
        if set(train) & set(validation):
            raise ValueError("first_validation_seed: validation patients are among those to learn from; choose a larger one")
        return self


TrainingSet = Annotated[CtCrops | MrCrops | ChestSlices, Field(discriminator="kind")]


class PriorNetwork(Settings):
    """The U-Net of slices."""

    width: int = Field(48, ge=4, description="features behind the stem")
    multipliers: tuple[int, ...] = Field((1, 2, 2), min_length=1, description="features per resolution, multiples of the width")
    blocks: int = Field(1, ge=1, description="residual blocks on each way through each resolution")
    attention: int = Field(0, ge=0, description="how many of the coarsest resolutions attend over all places")
    stem: int = Field(2, ge=1, description="space-to-depth factor in front")


class PriorTraining(Settings):
    """How a prior of slices is trained."""

    sets: tuple[TrainingSet, ...] = Field(min_length=1, description="what it is trained on")
    channels: Literal[1, 2] = Field(1, description="1: real images in a window; 2: real and imaginary part")
    window: tuple[float, float] = Field((-1000.0, 1000.0), description="values that become -1 and 1")
    units: str = Field("HU", description="of the window")
    crop: int = Field(64, ge=16, le=512, description="edge of a training image, pixels")
    mirrored: bool = Field(False, description="whether left and right are exchanged at random")
    axes: str = Field(
        "", pattern="^([LRAPIS]{2})?$", description="where columns and rows lead: LP to the left and back; empty: every way"
    )
    network: PriorNetwork = Field(PriorNetwork(), description="the U-Net")
    sd: float = Field(0.5, gt=0, description="standard deviation of the images in network units")
    level_mean: float = Field(-0.8, description="mean of ln sigma of the training noise")
    level_std: float = Field(1.4, gt=0, description="standard deviation of ln sigma")
    steps: int = Field(3000, ge=1, description="updates of the weights")
    batch: int = Field(16, ge=1, description="images per update")
    learning_rate: float = Field(1e-3, gt=0, description="after the warm-up")
    final_rate: float = Field(1e-6, ge=0, description="at the last step, reached along a cosine")
    warmup: int = Field(100, ge=0, description="steps in which the rate rises")
    ema_widths: tuple[float, ...] = Field((0.05, 0.1), description="relative widths of the averages of the weights")
    look_every: int = Field(250, ge=1, description="steps between validations")
    save_every: int = Field(250, ge=1, description="steps between checkpoints")
    seed: int = Field(0, ge=0, description="of crops, weights, order and noise")
    gate: float | None = Field(None, gt=0, description="largest validation loss with which the prior is worth shipping")

    @model_validator(mode="after")
    def _images_fit(self) -> Self:
        multiple = self.network.stem * 2 ** (len(self.network.multipliers) - 1)
        if self.crop % multiple:
            raise ValueError(f"crop {self.crop}: expected a multiple of {multiple}, which this network needs")
        wanted = {"ct": 1, "chest": 1, "mr": 2}
        if wrong := sorted({s.kind for s in self.sets if wanted[s.kind] != self.channels}):
            raise ValueError(f"channels {self.channels}: the sets {', '.join(wrong)} have another number; ct and chest 1, mr 2")
        for s in self.sets:
            if s.kind == "chest" and (s.chest.rows, s.chest.columns) != (self.crop, self.crop):
                raise ValueError(f"crop {self.crop}: expected rows and columns of the chest, {s.chest.rows} x {s.chest.columns}")
        return self


class TrainingFile(ModelFile):
    """One trained model."""

    device: Literal["auto", "cpu", "cuda"] = Field("cpu", description="auto: CUDA where there is a card")
    prior: PriorTraining = Field(description="a prior of slices, for reconstruction")


def read_training(path: str | Path) -> TrainingFile | MaskFile | EchoFile | OperatorFile:
    """The checked settings of a YAML file: of a prior, or, by its section, of masks, of echoes or of an operator.

    Raises ConfigError that lists all mistakes.
    """
    path = Path(path)
    try:
        found, _ = yaml_mapping(path.read_text(encoding="utf-8"))
        sections = {"mask": MaskFile, "echo": EchoFile, "operator": OperatorFile}
        kind = next((sections[key] for key in sections if key in found), TrainingFile)
        return kind.model_validate_json(json.dumps(found))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}).") from error
    except ValidationError as error:
        lines = [f"  {'.'.join(map(str, e['loc'])) or 'top level'}: {e['msg']}" for e in error.errors()]
        raise ConfigError("\n".join([f"{path}:", *lines])) from None
    except (TypeError, ValueError) as error:  # YAML has dates, which no setting is
        raise ConfigError(f"{path}: {error}. Correct the file.") from error
