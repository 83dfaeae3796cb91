"""An operator beside the classical solver on trajectories of known truth: simulated, refined, steered."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from medidiff.errors import DataError
from medidiff.metrics.ensemble import coverage, crps, rank_chi2, spread_skill
from medidiff.metrics.pde import mean_square, pdebench_metrics, relative_l2
from medidiff.metrics.shock import shock_metrics
from medidiff.metrics.spectrum import spectral_distance
from medidiff.operators.classical import classical_solver
from medidiff.operators.control import FinalTarget
from medidiff.operators.model import Operator
from medidiff.operators.problem import Problem, Solved
from medidiff.operators.restrict import cell_average, coarser, coarser_solved, interpolated
from medidiff.operators.sampler import Drawing
from medidiff.operators.settings import OperateSettings
from medidiff.operators.systems import SystemSettings
from medidiff.operators.task import ANSWER, control, simulate, super_resolve
from physics.pde.control import BurgersControl

OPTIMISER_ITERATIONS = 30  # of L-BFGS


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Arrays (b, field, t, x[, y]) by name, numbers that belong to the result, and seconds, which belong to the run."""

    arrays: dict[str, np.ndarray]
    numbers: dict[str, object]
    seconds: dict[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def evaluate(model: Operator, test: Solved, *, system: SystemSettings, settings: OperateSettings) -> Evaluation:
    """The operator's single answer and its ensemble, and the classical solver on half, the same and more cells.

    test   on the operator's grid or on one 2, 4, 8 ... times finer, which then also serves the classical solver
    """
    factor = factor_of(model, test)
    coarse, drawing = coarser_solved(test, factor), Drawing(settings.seed, settings.batch)
    problem, truth = coarse.problem, coarse.states
    arrays, seconds = {"truth": truth}, {}
    arrays["operator"], seconds["operator"] = _timed(
        lambda: simulate(model, problem, members=1, sampler=ANSWER, drawing=drawing).states[:, 0], len(test)
    )
    numbers: dict[str, object] = {"trajectories": len(test), "form": model.card.form, "system": system.system}
    if settings.members > 1 and model.card.form != "regression":
        begun = time.process_time()
        drawn = simulate(
            model, problem, members=settings.members, sampler=settings.sampler, conserve=settings.conserve, drawing=drawing
        )
        seconds["ensemble mean"] = (time.process_time() - begun) / len(test)
        arrays |= {"ensemble mean": drawn.mean, "spread": drawn.spread}
        numbers["ensemble"] = _ensemble(drawn.states.numpy(), drawn.spread.numpy(), truth.numpy())
    cells, solver = truth.shape[3], classical_solver(system)
    for size in _sizes(cells, factor, system):
        given = coarser(test.problem, cells * factor // size)
        states, spent = _timed(lambda given=given: solver(given), len(test))
        arrays[f"solver, {size} cells"], seconds[f"solver, {size} cells"] = _on_grid(states, cells).to(truth), spent
    methods = [name for name in arrays if name not in ("truth", "spread")]
    found = {name: values.cpu().numpy() for name, values in arrays.items()}
    numbers["methods"] = {name: measures(found[name], found["truth"], system.length) for name in methods}
    return Evaluation(found, numbers, seconds)


def evaluate_refinement(model: Operator, test: Solved, *, system: SystemSettings, settings: OperateSettings) -> Evaluation:
    """The operator refined to the test's grid, beside linear interpolation of the same coarse answer."""
    factor, drawing = factor_of(model, test), Drawing(settings.seed, settings.batch)
    refined, spent = _timed(lambda: super_resolve(model, test.problem, sampler=ANSWER, drawing=drawing).states[:, 0], len(test))
    coarse = cell_average(refined, factor, dims=test.problem.dims)
    cells = test.problem.sizes[1]
    arrays = {"truth": test.states, "refined": refined, "interpolated": _on_grid(coarse, cells)}
    found = {name: values.cpu().numpy() for name, values in arrays.items()}
    scores = {name: measures(found[name], found["truth"], system.length) for name in ("refined", "interpolated")}
    numbers = {"factor": factor, "cells": cells, "trajectories": len(test), "methods": scores}
    return Evaluation(found, numbers, {"refined": spent})


def evaluate_control(model: Operator, test: Solved, *, system: SystemSettings, settings: OperateSettings) -> Evaluation:
    """Forces of the operator to the last states of the test, beside no force, the force that made them, and the optimum.

    The optimum is that of L-BFGS through the differentiable solver. All objectives are the solver's, but `predicted`.
    """
    coarse = coarser_solved(test, factor_of(model, test))
    problem, target = coarse.problem, coarse.states[:, :, -1]
    chosen, solver = settings.control, classical_solver(system)
    drawing = Drawing(settings.seed, settings.batch)
    found = control(model, problem, target, solver=solver, settings=chosen, drawing=drawing)
    objective = FinalTarget(target.double(), chosen.energy_weight, model.cell_volume, model.card.dt_s)
    none = torch.zeros_like(problem.forcing)
    rows = {
        "none": _objective(solver, objective, problem, none),
        "as made": _objective(solver, objective, problem, problem.forcing),
    }
    times = torch.arange(1, problem.sizes[0] + 1, dtype=torch.float64) * model.card.dt_s
    begun = time.process_time()
    best = BurgersControl(
        problem.initial.double(), target.double(), times, float(problem.parameters[0, 0]), chosen.energy_weight
    ).optimise(iterations=OPTIMISER_ITERATIONS)
    seconds = {"adjoint optimum": (time.process_time() - begun) / len(test), "operator": found.numbers["seconds"] / len(test)}
    rows |= {"operator": found.actual, "operator, one draw": found.all_actual[:, 0], "adjoint optimum": best.objective}
    numbers = {
        "trajectories": len(test),
        "energy_weight": chosen.energy_weight,
        "draws": chosen.draws,
        "objective": {name: float(values.double().mean()) for name, values in rows.items()},
        "predicted": float(found.predicted.mean()),
    }
    unsteered = solver(Problem(problem.initial, none, problem.parameters))
    arrays = {
        "target": target,
        "initial": problem.initial,
        "reached": found.states[:, :, -1],
        "no force": unsteered[:, :, -1],
        "force": found.forcing,
        "optimal force": best.control,
    }
    return Evaluation(
        {name: values.detach().cpu().numpy().astype(np.float32) for name, values in arrays.items()}, numbers, seconds
    )


def measures(predicted: np.ndarray, truth: np.ndarray, length: float) -> dict[str, float]:
    """Everything that compares one prediction with the truth, fields in units of their own root mean square.

    predicted, truth   (b, field, t, x[, y]); shocks are looked for along a single axis of space
    """
    scale, dims = _scale(truth), truth.ndim - 3
    mine, true = predicted / scale, truth / scale
    error = relative_l2(mine, true)
    return {
        "relative_l2": float(error.mean()),
        "relative_l2_median": float(np.median(error)),
        "relative_l2_worst": float(error.max()),
        "mse": mean_square(predicted, truth),
        **pdebench_metrics(mine, true, lengths=(length,) * dims),
        "spectral_distance": spectral_distance(mine, true),
        **(shock_metrics(mine, true) if dims == 1 else {}),
    }


def factor_of(model: Operator, test: Solved) -> int:
    """How many cells of the test make one of the operator. Raises DataError where that is no whole number, or other frames."""
    frames, cells = test.problem.sizes[:2]
    own = model.card.cells[0]
    if cells % own or frames != model.card.frames:
        raise DataError(
            f"{model.card.name}: found {cells} cells and {frames} frames, expected a multiple of {own} cells and "
            f"{model.card.frames} frames. Generate the trajectories for this operator."
        )
    return cells // own


def _sizes(cells: int, factor: int, system: SystemSettings) -> list[int]:
    """Grids of the classical solver: half, the same, and the double where the test has it and was not solved on it.

    Only those on which the walls of a chamber can stand, and none of a system that we have no solver of.
    """
    found = [cells // 2, cells, *([2 * cells] if factor > 1 and 2 * cells < system.solver_cells else [])]
    return [size for size in found if system.has_solver and size % system.smallest_grid == 0]


def _on_grid(states: Tensor, cells: int) -> Tensor:
    """States on another number of cells: averages of finer ones, linear interpolation of coarser ones."""
    size = states.shape[3]
    return cell_average(states, size // cells, dims=states.ndim - 3) if size >= cells else interpolated(states, cells)


def _timed(run: Callable[[], Tensor], count: int) -> tuple[Tensor, float]:
    """What `run` gives, and the processor's seconds per trajectory."""
    begun = time.process_time()
    found = run()
    return found, (time.process_time() - begun) / count


def _objective(solver, objective: FinalTarget, problem: Problem, forcing: Tensor) -> Tensor:
    states = solver(Problem(problem.initial, forcing, problem.parameters))
    return objective.value(states.unsqueeze(1), forcing.double().unsqueeze(1))[:, 0]


def _ensemble(members: np.ndarray, half_width: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    scale = _scale(truth)
    mine, true = members / scale[:, None], truth / scale
    return {
        "members": members.shape[1],
        "crps": crps(mine, true),
        "spread_skill": spread_skill(mine, true),
        "rank_chi2": rank_chi2(mine, true),
        "coverage_90": coverage(members.mean(1), half_width, truth),
    }


def _scale(truth: np.ndarray) -> np.ndarray:
    """The root mean square of every field, shaped to broadcast over (b, field, t, x[, y])."""
    axes = (0, *range(2, truth.ndim))
    return np.sqrt(np.square(truth, dtype=np.float64).mean(axes, keepdims=True))
