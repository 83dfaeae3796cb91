"""The same problem on fewer cells: averages of neighbours."""

from torch import Tensor

from medidiff.operators.problem import Problem, Solved


def cell_average(u: Tensor, factor: int) -> Tensor:
    """Averages of `factor` neighbouring cells along the last axis."""
    return u if factor == 1 else u.unflatten(-1, (-1, factor)).mean(-1)


def coarser(problem: Problem, factor: int) -> Problem:
    """A problem on `factor` times fewer cells, at the same frames."""
    return Problem(cell_average(problem.initial, factor), cell_average(problem.forcing, factor), problem.parameters)


def coarser_solved(solved: Solved, factor: int) -> Solved:
    """A solved problem on `factor` times fewer cells."""
    return Solved(coarser(solved.problem, factor), cell_average(solved.states, factor))
