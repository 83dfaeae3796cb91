"""Settings of the training of models of echoes; standard library and pydantic only."""

from typing import Literal, Self

from pydantic import Field, model_validator

from medidiff.dehazing.settings import Kind, Share
from medidiff.settings import ModelFile, Settings


class EchoNetwork(Settings):
    """The U-Net of frames."""

    width: int = Field(32, ge=4, description="features behind the stem")
    multipliers: tuple[int, ...] = Field((1, 2, 3), min_length=1, description="features per resolution, multiples of the width")
    blocks: int = Field(1, ge=1, description="residual blocks on each way through each resolution")
    stem: int = Field(2, ge=1, description="space-to-depth factor in front")


class EchoTraining(Settings):
    """How a model of generated echoes is trained: on mixtures of the tissue of one and the haze of another."""

    kind: Kind = Field(description="joint: priors of tissue and haze; regress: tissue from the mixture; conditional: diffusion")
    family: Literal["g1", "g2"] = Field("g1", description="of the generator")
    first_seed: int = Field(0, ge=0, le=9999, description="of the echoes to learn from")
    echoes: int = Field(400, ge=2, le=10_000, description="with consecutive seeds, 2 to 10000")
    first_validation_seed: int = Field(10_000, ge=10_000, le=10_099, description="of the echoes that measure the loss")
    validation_echoes: int = Field(12, ge=2, le=100, description="with consecutive seeds, 2 to 100")
    htr_db: tuple[float, float] = Field((-22.0, -6.0), description="haze over tissue of the mixtures, smallest and largest, dB")
    gain_db: float = Field(3.0, ge=0, le=20, description="largest error of the gain in training, dB")
    targets: Share = Field(0.0, description="share of the echoes that have a small weak structure in the ventricle")
    target_db: tuple[float, float] = Field((-35.0, -10.0), description="its level over myocardium, smallest and largest, dB")
    mu: float = Field(255.0, gt=0, le=1e5, description="of the companding")
    headroom: float = Field(2.0, ge=1, le=100, description="of the gain")
    frame: tuple[int, int] = Field((256, 128), description="samples and lines of an echo")
    crop: tuple[int, int] = Field((128, 64), description="samples and lines of a training item")
    network: EchoNetwork = Field(EchoNetwork(), description="the U-Net")
    level_mean: float = Field(-2.0, description="mean of ln sigma of the training noise")
    level_std: float = Field(1.4, gt=0, description="standard deviation of ln sigma")
    steps: int = Field(5000, ge=1, description="updates of the weights")
    batch: int = Field(4, ge=2, description="items per update")
    learning_rate: float = Field(1e-3, gt=0, description="after the warm-up")
    final_rate: float = Field(1e-6, ge=0, description="at the last step, reached along a cosine")
    warmup: int = Field(50, ge=0, description="steps in which the rate rises")
    ema_widths: tuple[float, ...] = Field((0.05, 0.1), description="relative widths of the averages of the weights")
    save_every: int = Field(250, ge=1, description="steps between checkpoints")
    seed: int = Field(0, ge=0, description="of mixtures, weights, order and noise")

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        multiple = self.network.stem * 2 ** (len(self.network.multipliers) - 1)
        if any(side % multiple for side in self.crop):
            raise ValueError(f"crop {list(self.crop)}: expected multiples of {multiple}, which this network needs")
        if any(part > whole for part, whole in zip(self.crop, self.frame, strict=True)):
            raise ValueError(f"crop {list(self.crop)}: expected at most the frame, {list(self.frame)}")
        return self


class EchoFile(ModelFile):
    """One trained model of echoes."""

    device: Literal["cpu"] = Field("cpu", description="where it is trained")
    echo: EchoTraining = Field(description="the model")
