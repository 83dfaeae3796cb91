"""The systems of which we make trajectories ourselves: grids, times and parameters; standard library and pydantic only."""

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import Field, model_validator

from medidiff.settings import Settings

CHUNK = 64  # trajectories that are made at once, and that share one seed
SPLITS = ("train", "held_back", "validation", "test")
FIELDS = {"burgers": ("velocity",), "advection": ("tracer",)} | dict.fromkeys(
    ("shock", "shock-pdebench"), ("density", "velocity", "pressure")
)
EQUATIONS = {
    "advection": "u_t + beta u_x = 0, periodic",
    "burgers": "u_t + (u^2/2)_x = nu u_xx + f, u = 0 at both ends",
    "shock": "Euler's equations of an ideal gas, outflow at both ends",
    "shock-pdebench": "Euler's equations of an ideal gas, outflow at both ends",
}
UNITS = {
    "velocity": "m/s",
    "tracer": "1",
    "density": "kg/m^3",
    "pressure": "Pa",
    "f": "m/s^2",
    "t": "s",
    "x": "m",
    "viscosity": "m^2/s",
    "speed": "m/s",
    "gamma": "1",
}


class SystemSettings(Settings):
    """One system on one grid. The same seed gives the same trajectories on every grid that divides the solver's."""

    system: Literal["advection", "burgers", "shock", "shock-pdebench"] = Field(description="equation and law of the draws")
    cells: int = Field(64, ge=8, description="kept, 8 or more; a divisor of solver_cells")
    frames: int = Field(32, ge=2, description="kept, 2 or more; a divisor of solver_frames")
    solver_cells: int = Field(256, ge=8, description="of the solver, or places at which an exact solution is averaged")
    solver_frames: int = Field(256, ge=2, description="of the solver, in each of which the force is constant")
    duration_s: float = Field(8.0, gt=0, description="time of the last frame")
    viscosity: float = Field(0.01, gt=0, description="of Burgers' equation, m^2/s")
    gamma: float = Field(5 / 3, gt=1, lt=2, description="ratio of heat capacities of a gas, between 1 and 2")
    seed: int = Field(0, ge=0, description="of all draws")

    @model_validator(mode="after")
    def _grids_divide(self) -> Self:
        for kept, solver in (("cells", "solver_cells"), ("frames", "solver_frames")):
            if getattr(self, solver) % getattr(self, kept):
                raise ValueError(f"{kept} {getattr(self, kept)} does not divide {solver} {getattr(self, solver)}")
        return self

    @property
    def start(self) -> float:
        """Left end of the domain, m."""
        return -1.0 if self.system.startswith("shock") else 0.0

    @property
    def length(self) -> float:
        """Of the domain, m."""
        return 2.0 if self.system.startswith("shock") else 1.0

    @property
    def boundary(self) -> str:
        """As solvers name it."""
        return {"burgers": "walls", "advection": "periodic"}.get(self.system, "outflow")


DEMO: Mapping[str, SystemSettings] = {
    "advection": SystemSettings(system="advection", duration_s=2.0),
    "burgers": SystemSettings(system="burgers"),
    "shock": SystemSettings(system="shock", cells=128, frames=64, solver_cells=1024, solver_frames=64, duration_s=0.4),
    "shock-pdebench": SystemSettings(
        system="shock-pdebench", cells=128, frames=64, solver_cells=256, solver_frames=64, duration_s=0.4
    ),
}
