"""The trajectories that an operator is trained, calibrated and scored on, made by the system's solver and kept as files."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from medidiff.io.pde.trajectories import TrajectorySet, read_trajectories
from medidiff.operators.generate import generate_split
from medidiff.operators.problem import Problem, Solved
from medidiff.operators.systems import SystemSettings
from medidiff.operators.training import Sets
from medidiff.operators.training_settings import OperatorTraining


@dataclass(frozen=True, eq=False)
class OperatorSets:
    """All splits of a run."""

    sets: Sets
    test: Solved  # on a grid `test_refined` times as fine
    kind: TrajectorySet  # any of them, for names, grid and times
    source: Mapping[str, object]  # JSON, for the card and for resuming

    @property
    def forces(self) -> tuple[str, ...]:
        """Names of the forces: one, or one along each axis of space."""
        count = 0 if self.kind.f is None else self.kind.f.shape[1]
        return ("f",) if count == 1 else tuple(f"f_{axis}" for axis in "xy"[:count])


def operator_sets(settings: OperatorTraining, folder: str | Path) -> OperatorSets:
    """The trajectories of the settings; splits that their folder holds already are read, others are made.

    Raises NumericsError where the solver fails, DataError for a damaged file.
    """
    data, system, folder = settings.data, settings.system, Path(folder)
    counts = {"train": data.train, "held_back": data.held_back, "validation": data.validation}
    found = {split: _split(system, split, folder, count) for split, count in counts.items() if count}
    fine = system.model_copy(
        update={
            "cells": system.cells * data.test_refined,
            "solver_cells": max(system.solver_cells, system.cells * data.test_refined),
        }
    )
    test = solved_of(_split(fine, "test", folder, data.test))
    sets = Sets(**{split: solved_of(one) for split, one in found.items()}, **({} if data.held_back else {"held_back": None}))
    source = {**counts, "test": data.test, **system.model_dump(mode="json"), "solver": found["train"].facts["solver"]}
    return OperatorSets(sets, test, found["train"], source)


def solved_of(found: TrajectorySet) -> Solved:
    """Trajectories of a file as what an operator learns from."""
    no_force = (len(found), 0, *found.u.shape[2:])
    forcing = np.zeros(no_force, np.float32) if found.f is None else found.f
    theta = np.zeros((len(found), 0), np.float32) if found.theta is None else found.theta
    problem = Problem(*(torch.from_numpy(np.ascontiguousarray(values)) for values in (found.u0, forcing, theta)))
    return Solved(problem, torch.from_numpy(np.ascontiguousarray(found.u)))


def _split(system: SystemSettings, split: str, folder: Path, count: int) -> TrajectorySet:
    path = folder / f"{split}.h5"
    if path.exists():
        found = read_trajectories(path)
        if len(found) == count and found.facts["settings"] == system.model_dump(mode="json"):
            return found
    return generate_split(system, split, path, count=count)
