"""Settings of training an operator, as a file of configs/priors says them; standard library and pydantic only."""

from typing import Literal, Self

from pydantic import Field, model_validator

from medidiff.operators.settings import Form
from medidiff.operators.systems import SystemSettings
from medidiff.settings import ModelFile, Settings

Part = Literal["regression", "residual", "direct", "refiner"]


class LayoutSettings(Settings):
    """The transform."""

    family: str = Field("bior2.4", description="PyWavelets' name: haar, db4, bior2.4, ...")
    mode: Literal["zero", "symmetric", "periodization"] = Field("periodization", description="what stands beyond the ends")
    levels: int = Field(1, ge=0, le=3, description="halvings of the grid, 1 to 3; 0: physical space, no wavelets")
    axes: str = Field("tx", description="transformed axes, some of t, x, y in this order")
    padded: tuple[int, ...] = Field(
        (), description="grid of the channels, filled up with zeros; empty: as the transform leaves it"
    )


class OperatorData(Settings):
    """Trajectories of the system's own solver; splits never share a random number."""

    train: int = Field(4096, ge=1, description="trajectories that the regression, the joint model and the refiner learn from")
    held_back: int = Field(2048, ge=0, description="further ones, from whose residuals the residual model learns")
    validation: int = Field(256, ge=1, description="that choose weights and fit the spread")
    test: int = Field(256, ge=1, description="that the scores of the card are of")
    test_refined: int = Field(
        1, ge=1, le=16, description="times as many cells of test trajectories, by which the refiner is scored"
    )


class OperatorNetwork(Settings):
    """The U-Net of every part."""

    width: int = Field(16, ge=4, description="features on the grid of the channels")
    multipliers: tuple[int, ...] = Field((1, 2, 4), min_length=1, description="features per resolution, multiples of the width")
    blocks: int = Field(1, ge=1, description="residual blocks on each way through each resolution")
    attention: int = Field(1, ge=0, description="how many of the coarsest resolutions attend over all places; never the refiner")


class Stage(Settings):
    """One part and how long it is trained."""

    part: Part = Field(description="regression, residual (of the regression before it), direct or refiner")
    steps: int = Field(10_000, ge=1, description="updates of the weights")
    batch: int = Field(16, ge=1, description="trajectories per update")
    learning_rate: float = Field(1e-3, gt=0, description="after the warm-up")
    dropout: float = Field(0.5, ge=0, le=1, description="of direct: how often the force is unknown; 0: it is always given")


class Recipe(Settings):
    """The two choices of the published code that change what a network learns; the defaults are ours."""

    noise: Literal["edm", "cosine"] = Field(
        "edm", description="of form direct; cosine: 1000 steps, noise predicted, answers clipped"
    )
    scale: Literal["field", "maximum"] = Field(
        "field",
        description="field: root mean square; maximum: largest value of each channel, rounded up, which also weighs the loss",
    )

    @model_validator(mode="after")
    def _clipped_data_fit(self) -> Self:
        if self.noise == "cosine" and self.scale == "field":
            raise ValueError("noise cosine clips answers to [-1, 1]: it needs scale maximum, which puts the data there")
        return self


class OperatorTraining(Settings):
    """How an operator is trained."""

    system: SystemSettings = Field(description="equation, law of the draws, grid and solver")
    form: Form = Field("residual", description="how it simulates")
    layout: LayoutSettings = Field(LayoutSettings(), description="the transform")
    data: OperatorData = Field(OperatorData(), description="trajectories")
    network: OperatorNetwork = Field(OperatorNetwork(), description="the U-Net")
    recipe: Recipe = Field(Recipe(), description="ours, or as published")
    stages: tuple[Stage, ...] = Field(min_length=1, description="parts in the order in which they are trained")
    final_rate: float = Field(1e-5, ge=0, description="learning rate at the last step, reached along a cosine")
    warmup: int = Field(100, ge=0, description="steps in which the rate rises")
    weight_decay: float = Field(0.0, ge=0, description="of AdamW")
    ema_widths: tuple[float, ...] = Field((0.05, 0.1), description="relative widths of the averages of the weights")
    save_every: int = Field(500, ge=1, description="steps between checkpoints")
    calibration_members: int = Field(8, ge=2, le=64, description="members from which the spread is fitted and scored")
    seed: int = Field(0, ge=0, description="of weights, order and noise")

    @model_validator(mode="after")
    def _stages_fit(self) -> Self:
        parts = [stage.part for stage in self.stages]
        needed = {"direct": ["direct"], "regression": ["regression"], "residual": ["regression", "residual"]}[self.form]
        if len(set(parts)) != len(parts):
            raise ValueError(f"stages: found {', '.join(parts)}, each part may be there once")
        if missing := [part for part in needed if part not in parts]:
            raise ValueError(f"stages: form {self.form} needs {', '.join(missing)}; add it")
        if "residual" in parts and ("regression" not in parts or parts.index("residual") < parts.index("regression")):
            raise ValueError("stages: residual comes after regression, from whose answers it learns")
        if "residual" in parts and not self.data.held_back:
            raise ValueError("data.held_back: residual learns from trajectories that the regression has not seen; give 1 or more")
        if self.recipe.noise == "cosine" and "residual" in parts:
            raise ValueError("recipe.noise cosine is of form direct alone; the residual's noise is EDM's")
        if self.warmup > min(stage.steps for stage in self.stages):
            raise ValueError(f"warmup {self.warmup}: longer than a stage")
        return self


class OperatorFile(ModelFile):
    """One trained operator."""

    device: Literal["cpu", "cuda"] = Field("cpu", description="where it is trained")
    operator: OperatorTraining = Field(description="how it is trained")
