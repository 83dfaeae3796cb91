"""A study of the workflow that is a system of equations: which trajectories, and what is done with them."""

from typing import Self

from pydantic import Field, model_validator

from medidiff.operators.settings import OperateSettings
from medidiff.operators.systems import SystemSettings
from medidiff.settings import Settings


class OperatorStudy(Settings):
    """Test trajectories of one system, simulated by an operator and by the classical solver."""

    system: SystemSettings = Field(description="whose trajectories; cells and frames are those of the model")
    trajectories: int = Field(16, ge=1, le=100_000, description="of the test split, 1 to 100000")
    controlled: int = Field(0, ge=0, le=1000, description="how many of them are steered to their last states, 0 to 1000")
    operate: OperateSettings = Field(OperateSettings(), description="model, members, refinement, control")

    @model_validator(mode="after")
    def _grids_fit(self) -> Self:
        cells = self.system.cells * 2**self.operate.doublings
        if self.system.solver_cells % cells:
            raise ValueError(
                f"operate.doublings {self.operate.doublings}: {cells} cells do not divide solver_cells {self.system.solver_cells}"
            )
        if self.controlled and self.system.system != "burgers":
            raise ValueError(f"controlled {self.controlled}: {self.system.system} has no force to steer with; set it to 0")
        return self

    @property
    def generated(self) -> SystemSettings:
        """The system on the finest grid that is asked for."""
        return self.system.model_copy(update={"cells": self.system.cells * 2**self.operate.doublings})
