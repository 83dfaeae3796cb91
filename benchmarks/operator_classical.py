"""The classical solvers as methods: the same problems on fewer cells, in the same processor time."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from medidiff.operators.model import OperatorCard
from medidiff.operators.problem import Problem
from medidiff.operators.restrict import cell_average, coarser
from physics.pde.advection import advect
from physics.pde.burgers import burgers, burgers_fv
from physics.pde.euler import Gas, compressible

Solve = Callable[[Problem, tuple[float, ...]], Tensor]


def _etdrk4(problem: Problem, times: tuple[float, ...]) -> Tensor:
    return burgers(problem.initial.double(), problem.forcing.double(), viscosity=_only(problem), times=times)


def _muscl(problem: Problem, times: tuple[float, ...]) -> Tensor:
    return burgers_fv(problem.initial.double(), problem.forcing.double(), viscosity=_only(problem), times=times)


def _hllc(problem: Problem, times: tuple[float, ...]) -> Tensor:
    return compressible(problem.initial.double(), times, gas=Gas(_only(problem)), boundary="outflow", length=2.0)


def _shifted(problem: Problem, times: tuple[float, ...]) -> Tensor:
    return advect(problem.initial.double(), problem.parameters[:, 0].double(), times=times)


SOLVERS: dict[str, dict[str, Solve]] = {
    "burgers": {"ETDRK4": _etdrk4, "MUSCL": _muscl},
    "shock": {"MUSCL-HLLC": _hllc},
    "advection": {"Fourier shift": _shifted},
}


def frame_times(card: OperatorCard) -> tuple[float, ...]:
    """Of the operator's frames, s."""
    return tuple(card.dt_s * (frame + 1) for frame in range(card.frames))


@torch.no_grad()
def solved_on(solve: Solve, problem: Problem, card: OperatorCard, *, cells: int) -> Tensor:
    """States on the operator's grid (b, field, t, x) of a problem that the solver sees on `cells` cells."""
    found = solve(coarser(problem, problem.sizes[-1] // cells), frame_times(card)).float()
    wanted = card.cells[0]
    if cells >= wanted:
        return cell_average(found, cells // wanted)
    flat = interpolate(found.flatten(0, 2).unsqueeze(1), size=wanted, mode="linear")
    return flat.reshape(*found.shape[:3], wanted)


def _only(problem: Problem) -> float:
    """The one value of a parameter that all trajectories share."""
    return float(problem.parameters[0, 0])
