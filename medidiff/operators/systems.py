"""The systems of which we make trajectories ourselves: grids, times and parameters; standard library and pydantic only."""

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import Field, model_validator

from medidiff.settings import Settings

CHUNK = 64  # trajectories that are made at once, and that share one seed
SPLITS = ("train", "held_back", "validation", "test")
FIELDS = {
    "burgers": ("velocity",),
    "advection": ("tracer",),
    "smoke": ("smoke", "velocity_x", "velocity_y"),
} | dict.fromkeys(("shock", "shock-pdebench"), ("density", "velocity", "pressure"))
EQUATIONS = {
    "advection": "u_t + beta u_x = 0, periodic",
    "burgers": "u_t + (u^2/2)_x = nu u_xx + f, u = 0 at both ends",
    "shock": "Euler's equations of an ideal gas, outflow at both ends",
    "shock-pdebench": "Euler's equations of an ideal gas, outflow at both ends",
    "smoke": "Navier-Stokes, incompressible, with smoke that is carried, among walls with seven exits",
    "era5": "the atmosphere, as a reanalysis has it",
}
UNITS = {
    "velocity": "m/s",
    "velocity_x": "m/s",
    "velocity_y": "m/s",
    "smoke": "1",
    "tracer": "1",
    "density": "kg/m^3",
    "pressure": "Pa",
    "f": "m/s^2",
    "t": "s",
    "x": "m",
    "y": "m",
    "viscosity": "m^2/s",
    "buoyancy": "m/s^2",
    "speed": "m/s",
    "gamma": "1",
}


class SystemSettings(Settings):
    """One system on one grid. The same seed gives the same trajectories on every grid that divides the solver's."""

    system: Literal["advection", "burgers", "shock", "shock-pdebench", "smoke", "era5"] = Field(
        description="equation and law of the draws; era5: cut out of the file `source`"
    )
    cells: int = Field(64, ge=8, description="kept along x, and along y of smoke, 8 or more; a divisor of solver_cells")
    cells_y: int = Field(0, ge=0, description="of era5, latitudes that are kept; 0: as many as cells")
    frames: int = Field(32, ge=2, description="kept, 2 or more; a divisor of solver_frames")
    solver_cells: int = Field(256, ge=8, description="of the solver, or places at which an exact solution is averaged")
    solver_frames: int = Field(256, ge=2, description="of the solver, in each of which the force is constant")
    duration_s: float = Field(8.0, gt=0, description="time of the last frame")
    viscosity: float = Field(0.01, gt=0, description="of Burgers' equation and of smoke, kinematic, m^2/s")
    buoyancy: float = Field(0.25, ge=0, description="of smoke, upward acceleration of its unit, m/s^2")
    dynamics: Literal["navier-stokes", "frozen"] = Field(
        "navier-stokes",
        description="of smoke; frozen: no momentum equation, the control is the velocity of the rim, as published",
    )
    source: str = Field("", description="of era5, NetCDF file or zarr folder")
    variables: tuple[str, ...] = Field((), description="of era5, which of the file, in the order of the fields")
    level: float | None = Field(None, description="of era5, where the variables have levels: which")
    gamma: float = Field(5 / 3, gt=1, lt=2, description="ratio of heat capacities of a gas, between 1 and 2")
    seed: int = Field(0, ge=0, description="of all draws")

    @model_validator(mode="after")
    def _grids_divide(self) -> Self:
        for kept, solver in (("cells", "solver_cells"), ("frames", "solver_frames")):
            if getattr(self, solver) % getattr(self, kept):
                raise ValueError(f"{kept} {getattr(self, kept)} does not divide {solver} {getattr(self, solver)}")
        if self.cells % self.smallest_grid:
            raise ValueError(f"cells {self.cells}: the walls of the smoke's chamber need a multiple of {self.smallest_grid}")
        if (self.system == "era5") != bool(self.source and self.variables):
            raise ValueError(f"source {self.source!r}, variables {self.variables}: era5 needs both, the others have none")
        return self

    @property
    def fields(self) -> tuple[str, ...]:
        """In the order of the field axis."""
        return FIELDS.get(self.system, self.variables)

    @property
    def grid(self) -> tuple[int, ...]:
        """Cells kept along x[, y]."""
        if self.system in ("smoke", "era5"):
            return (self.cells, self.cells_y or self.cells)
        return (self.cells,)

    @property
    def smallest_grid(self) -> int:
        """Cells of which every grid has a multiple."""
        return 32 if self.system == "smoke" else 1

    @property
    def has_solver(self) -> bool:
        """Whether we can compute trajectories ourselves."""
        return self.system != "era5"

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
        return {"burgers": "walls", "advection": "periodic", "smoke": "walls with exits", "era5": "a band of the sphere"}.get(
            self.system, "outflow"
        )


DEMO: Mapping[str, SystemSettings] = {
    "advection": SystemSettings(system="advection", duration_s=2.0),
    "burgers": SystemSettings(system="burgers"),
    "shock": SystemSettings(system="shock", cells=128, frames=64, solver_cells=1024, solver_frames=64, duration_s=0.4),
    "smoke": SystemSettings(
        system="smoke", cells=32, frames=16, solver_cells=64, solver_frames=16, duration_s=4.0, viscosity=0.001
    ),
    "shock-pdebench": SystemSettings(
        system="shock-pdebench", cells=128, frames=64, solver_cells=256, solver_frames=64, duration_s=0.4
    ),
}
