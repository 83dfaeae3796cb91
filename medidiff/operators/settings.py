"""Settings of the operator room: which model, how its samples are drawn, refined and steered."""

from typing import Literal, Self

from pydantic import Field, model_validator

from medidiff.settings import Settings

RESULT_VERSION = 1  # raise when a model gives other numbers for the same input

Form = Literal["direct", "regression", "residual"]


class SamplerSettings(Settings):
    """From noise to a sample. Few steps give the best single answer, more of them restore the spread of an ensemble."""

    method: Literal["restart", "euler", "heun", "ddim"] = Field(
        "heun",
        description="restart: best single answer; euler, heun: ensembles; heun needs 5 steps or more; ddim: as published, "
        "over the 1000 steps of a model with noise `cosine`, with all the fresh noise that the rule allows",
    )
    steps: int = Field(5, ge=1, le=1000, description="noise levels, 1 to 1000; heun calls the network 2 steps - 1 times")
    sigma_max: float = Field(20.0, gt=0, le=75, description="first noise level, of data with root mean square 1, to 75")
    sigma_min: float = Field(0.02, ge=0.0133, le=10, description="last noise level above 0, 0.0133 to 10")

    @model_validator(mode="after")
    def _levels_fall(self) -> Self:
        if self.sigma_min >= self.sigma_max:
            raise ValueError(f"sigma_min {self.sigma_min:g} is not below sigma_max {self.sigma_max:g}")
        if self.method == "heun" and self.steps < 5:
            raise ValueError(f"steps {self.steps}: heun multiplies the network's error below 5 steps; use restart or euler")
        return self


class ControlSettings(Settings):
    """The force that leads to a target at the end: min |u(T) - target|^2 + energy_weight |f|^2, integrals over space and time."""

    energy_weight: float = Field(0.01, gt=0, le=1e3, description="alpha, price of the force, above 0 to 1000")
    temperature: float = Field(
        1e-4, gt=0, description="tau: a rise of the objective by tau is e times less likely; large: no steering"
    )
    iterations: int = Field(10, ge=1, le=1000, description="conjugate gradients per noise level, 1 to 1000")
    draws: int = Field(8, ge=1, le=1000, description="forces drawn; the solver chooses the best, 1 to 1000")
    sampler: SamplerSettings = Field(
        SamplerSettings(method="euler", steps=16, sigma_min=0.05), description="of the joint model of state and force"
    )


class OperateSettings(Settings):
    """What `medidiff operate` does with the initial states and forces of one study."""

    model: str = Field("models/operator-burgers", description="folder of a trained operator")
    members: int = Field(8, ge=1, le=1000, description="trajectories drawn of each initial state, 1 to 1000; 1 gives no spread")
    sampler: SamplerSettings = Field(SamplerSettings(), description="of simulation")
    doublings: int = Field(0, ge=0, le=4, description="how often the grid is refined to twice the cells, 0 to 4")
    conserve: bool = Field(
        False, description="keep the mass of every frame exactly; periodic or closed systems without force only"
    )
    control: ControlSettings = Field(ControlSettings(), description="of the force that leads to a target")
    batch: int = Field(64, ge=1, le=4096, description="trajectories in one call of the network; bounds the memory")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="where the network runs; auto: CUDA where there is a card")
    seed: int = Field(0, ge=0, le=2**31, description="of all noise")
