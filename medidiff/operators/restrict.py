"""The same problem on fewer cells: averages of neighbours along every axis of space."""

from torch import Tensor
from torch.nn.functional import interpolate

from medidiff.operators.problem import Problem, Solved


def cell_average(u: Tensor, factor: int, *, dims: int = 1) -> Tensor:
    """Averages of `factor` neighbouring cells along the last `dims` axes."""
    for axis in range(-dims, 0) if factor > 1 else ():
        u = u.unflatten(axis, (-1, factor)).mean(axis)
    return u


def coarser(problem: Problem, factor: int) -> Problem:
    """A problem on `factor` times fewer cells along every axis, at the same frames."""
    dims = problem.dims
    return Problem(
        cell_average(problem.initial, factor, dims=dims), cell_average(problem.forcing, factor, dims=dims), problem.parameters
    )


def coarser_solved(solved: Solved, factor: int) -> Solved:
    """A solved problem on `factor` times fewer cells along every axis."""
    return Solved(coarser(solved.problem, factor), cell_average(solved.states, factor, dims=solved.problem.dims))


def interpolated(states: Tensor, cells: int) -> Tensor:
    """States (b, field, t, x[, y]) on `cells` cells along x, as many times finer along every axis, by linear interpolation."""
    dims = states.ndim - 3
    flat = states.flatten(0, 2).unsqueeze(1)
    fine = interpolate(flat, scale_factor=cells / states.shape[-dims], mode="linear" if dims == 1 else "bilinear")
    return fine.reshape(*states.shape[:3], *fine.shape[2:])
