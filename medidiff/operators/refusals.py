"""What an operator refuses before it computes: another grid, other frames, values it has not seen."""

import math
from itertools import pairwise

import torch
from torch import Tensor

from medidiff.errors import ConfigError, DataError
from medidiff.operators.model import Operator
from medidiff.operators.problem import Problem

UNIFORM = 1e-3  # largest relative difference of frame intervals


def check_problem(model: Operator, problem: Problem, times: tuple[float, ...] = ()) -> None:
    """Nothing, for a problem of the model's own system, grid and frames. DataError that says what differs, and what to do."""
    _check_fields(model, problem)
    card = model.card
    _check_cells(model, problem, f"the model was trained on {_grid(card.cells)}")
    _check_values(model, problem)
    _check_times(times, card.dt_s, card.frames)


def check_refinement(model: Operator, problem: Problem) -> int:
    """The number of doublings to the grid of the problem. DataError where there is none, ConfigError without a refiner."""
    if "refiner" not in model.networks:
        raise ConfigError(f"{model.card.name}: has no refiner; ask for the grid of {_grid(model.card.cells)}, or train one.")
    _check_fields(model, problem)
    cells = model.card.cells[0]
    doublings = math.log2(problem.sizes[1] / cells)
    if doublings != int(doublings) or doublings < 1:
        finer = ", ".join(str(cells * 2**k) for k in (1, 2, 3))
        raise DataError(f"{model.card.name}: {problem.sizes[1]} cells, the refiner makes {finer}. Resample to one of them.")
    return int(doublings)


def check_control(model: Operator, problem: Problem, target: Tensor) -> None:
    """Nothing, where model, problem and target fit."""
    if "direct" not in model.networks or not model.encoding.forces or len(model.card.cells) != 1:
        raise ConfigError(f"{model.card.name}: cannot control; it has no joint model of state and force. Use operator-burgers.")
    check_problem(model, problem)
    if target.shape != problem.initial.shape:
        raise DataError(
            f"target has shape {tuple(target.shape)}, expected that of the initial states {tuple(problem.initial.shape)}."
        )
    _check_finite("target", target)


def check_mass(model: Operator, problem: Problem) -> None:
    """Nothing, where the system keeps its mass: a ring without force. ConfigError for walls and open ends."""
    if model.card.boundary != "periodic" or model.encoding.forces:
        raise ConfigError(
            f"operate.conserve: {model.card.system} with {model.card.boundary} ends does not keep its mass; "
            "set conserve to false, or use a periodic system without force."
        )


def _check_fields(model: Operator, problem: Problem) -> None:
    fields, forces = model.encoding.layout.fields, model.encoding.forces
    if problem.initial.shape[1] != len(fields) or problem.forcing.shape[1] != len(forces):
        raise DataError(
            f"{model.card.name}: {problem.initial.shape[1]} fields and {problem.forcing.shape[1]} forces, "
            f"expected {', '.join(fields)} and {', '.join(forces) or 'no force'}. Give the fields of {model.card.system}."
        )
    if problem.forcing.shape[3:] != problem.initial.shape[2:]:
        raise DataError(
            f"force has {_grid(problem.forcing.shape[3:])}, the initial state {_grid(problem.initial.shape[2:])}; "
            "give both on one grid."
        )
    frames, found = model.card.frames, problem.forcing.shape[2]
    if found == frames + 1:
        raise DataError(f"force has {found} intervals, {frames} frames are asked. Drop the padding row.")
    if found != frames:
        raise DataError(f"{model.card.name}: {found} frames, the model gives {frames}. Ask for these.")
    for name, value in (("initial state", problem.initial), ("force", problem.forcing)):
        _check_finite(name, value)


def _check_cells(model: Operator, problem: Problem, trained: str) -> None:
    found = tuple(problem.initial.shape[2:])
    model.encoding.layout.grid(problem.sizes)
    if found != model.card.cells:
        refined = ", ".join(str(model.card.cells[0] * 2**k) for k in (1, 2)) if "refiner" in model.networks else ""
        also = f" (refiner: {refined})" if refined else ""
        raise DataError(f"{model.card.name}: {_grid(found)}, {trained}{also}. Resample, or train at {_grid(found)}.")


def _check_values(model: Operator, problem: Problem) -> None:
    names, values = model.card.parameters, problem.parameters
    if values.shape[1] != len(names):
        raise DataError(f"{model.card.name}: {values.shape[1]} parameters, expected {', '.join(names) or 'none'}.")
    for index, (name, (low, high)) in enumerate(names.items()):
        column = values[:, index]
        slack = 1e-6 * max(abs(low), abs(high), 1e-30)
        outside = torch.nonzero((column < low - slack) | (column > high + slack))
        if len(outside):
            first = int(outside[0])
            raise DataError(
                f"trajectory {first}: {name} is {float(column[first]):.4g}, the model was trained on {low:g} to {high:g}. "
                "Use the solver, or train a model for it."
            )


def _check_times(times: tuple[float, ...], dt: float, frames: int) -> None:
    if not times:
        return
    steps = [after - before for before, after in pairwise((0.0, *times))]
    for index, step in enumerate(steps[1:], 1):
        if abs(step - steps[0]) > UNIFORM * abs(steps[0]):
            raise DataError(
                f"t jumps from {times[index - 1]:.4g} to {times[index]:.4g} after frame {index}; uniform frames are needed."
            )
    if abs(steps[0] - dt) > UNIFORM * dt:
        raise DataError(
            f"frames are {steps[0]:.4g} s apart, the model expects {dt:.4g} s. "
            "Give every second frame only to a model trained so."
        )
    if len(times) != frames:
        raise DataError(f"{len(times)} frames, the model gives {frames}. Ask for these.")


def _check_finite(name: str, values: Tensor) -> None:
    wrong = torch.nonzero(~torch.isfinite(values))
    if len(wrong):
        item, *place = wrong[0].tolist()
        count = int((wrong[:, 0] == item).sum())
        plural = "values of the {} are" if count > 1 else "value of the {} is"
        raise DataError(f"trajectory {item}: {count} {plural.format(name)} not finite, first at index {tuple(place)}.")


def _grid(cells) -> str:
    return " x ".join(str(int(size)) for size in cells) + " points"
