"""The classical solvers beside which every operator has to stand, on the grid that a problem is given on."""

from functools import partial

import torch
from torch import Tensor

from medidiff.errors import NumericsError
from medidiff.operators.chamber import solve
from medidiff.operators.problem import Problem
from medidiff.operators.systems import SystemSettings
from medidiff.operators.task import Solver
from physics.pde.advection import advect
from physics.pde.burgers import burgers
from physics.pde.euler import Gas, compressible

NAMES = {
    "advection": "Fourier shift",
    "burgers": "ETDRK4",
    "shock": "MUSCL-HLLC",
    "shock-pdebench": "MUSCL-HLLC",
    "smoke": "staggered grid",
}


def classical_solver(system: SystemSettings) -> Solver:
    """The solver of a system: problems (float32 or 64) to states (b, field, t, x[, y]), float64, at the system's frames.

    It works on the cells of the problem, so that its error and its time depend on them; frames are those of the system.
    Raises NumericsError where it leaves the range in which it means something.
    """
    return partial(_solve, system)


def _solve(system: SystemSettings, problem: Problem) -> Tensor:
    frames = problem.sizes[0]
    times = [system.duration_s * (frame + 1) / frames for frame in range(frames)]
    start, parameter = problem.initial.double().cpu(), problem.parameters[:, 0].double().cpu()
    try:
        with torch.inference_mode():
            if system.system == "burgers":
                return burgers(start, problem.forcing.double().cpu(), viscosity=parameter, times=times)
            if system.system == "advection":
                return advect(start, parameter, times=times, length=system.length)
            if system.system == "smoke":
                return solve(system, start, problem.forcing.double().cpu(), times)
            gas = Gas(float(parameter[0]))
            return compressible(start, times, gas=gas, boundary=system.boundary, length=system.length)
    except ValueError as error:
        raise NumericsError(f"{NAMES[system.system]} on {problem.sizes[-1]} cells: {error}") from error
