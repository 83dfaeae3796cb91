"""Controllers of Burgers' equation, all judged by the same solver: learned, feedback, random, none, and the adjoint optimum."""

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.operator_classical import SOLVERS, frame_times
from benchmarks.operator_methods import timed
from medidiff.operators.model import Operator
from medidiff.operators.problem import Controlled as Found
from medidiff.operators.problem import Problem, Solved
from medidiff.operators.settings import ControlSettings
from medidiff.operators.task import control
from physics.pde.control import BurgersControl

GAINS = tuple(itertools.product((0.3, 1.0, 3.0), (0.0, 0.3)))  # proportional, integral


@dataclass(frozen=True, eq=False)
class Controlled:
    """Objectives (b,) of one controller."""

    actual: Tensor
    seconds: float  # of the processor, per instance
    predicted: Tensor | None = None


def controllers(model: Operator, cases: Solved, tuning: Solved, *, weight: float, iterations: int) -> dict[str, Controlled]:
    """Every controller on the cases, whose targets are the last frames of trajectories under random forces.

    tuning       other cases, on which the gains of feedback are chosen
    weight       of the force in the objective
    iterations   of L-BFGS
    """
    task, count = _task(model, cases, weight), len(cases)
    found = {"zero force": _timed(lambda: task.objective(torch.zeros_like(cases.problem.forcing).double()), count)}
    found["force that made the target"] = _timed(lambda: task.objective(cases.problem.forcing.double()), count)
    found["random force"], found["best of 8 random forces"] = _random(task, cases, tuning)
    found["feedback"] = _feedback(model, task, tuning, weight, count)
    for draws in (1, 8):
        found[f"model, {draws} draw" + "s" * (draws > 1)] = _learned(model, cases, weight, draws)
    found["adjoint optimum"] = _timed(lambda: task.optimise(iterations=iterations).objective, count)
    return found


def _task(model: Operator, cases: Solved, weight: float) -> BurgersControl:
    problem = cases.problem
    times = torch.tensor(frame_times(model.card), dtype=torch.float64)
    viscosity = float(problem.parameters[0, 0])
    return BurgersControl(problem.initial.double(), cases.states[:, :, -1].double(), times, viscosity, weight)


def _timed(run, count: int) -> Controlled:
    found, spent = timed(run)
    return Controlled(found.detach(), spent / count)


def _random(task: BurgersControl, cases: Solved, others: Solved) -> tuple[Controlled, Controlled]:
    """Forces of the training's law, which know nothing of the target."""
    forces = others.problem.forcing.double()
    tries = [forces[torch.arange(len(cases)) + 8 * shift] for shift in range(8)]
    all_ = _timed(lambda: torch.stack([task.objective(force) for force in tries]), len(cases))
    return Controlled(all_.actual[0], all_.seconds / 8), Controlled(all_.actual.amin(0), all_.seconds)


def _feedback(model: Operator, task: BurgersControl, tuning: Solved, weight: float, count: int) -> Controlled:
    training = _task(model, tuning.at(slice(0, 8)), weight)
    scores = {gains: float(training.objective(training.feedback(*gains)).mean()) for gains in GAINS}
    best = min(scores, key=scores.get)
    return _timed(lambda: task.objective(task.feedback(*best)), count)


def _learned(model: Operator, cases: Solved, weight: float, draws: int) -> Controlled:
    solver = SOLVERS["burgers"]["ETDRK4"]
    settings = ControlSettings(energy_weight=weight, draws=draws)

    def solve(problem: Problem) -> Tensor:
        return solver(problem, frame_times(model.card))

    def run() -> Found:
        return control(model, cases.problem, cases.states[:, :, -1], solver=solve, settings=settings)

    found, spent = timed(run)
    return Controlled(found.actual, spent / len(cases), found.predicted)
