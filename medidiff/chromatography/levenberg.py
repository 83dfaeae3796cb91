"""Levenberg-Marquardt on many problems at once: one batch of evaluations per step, finished ones leave it."""

import torch
from torch import Tensor

from medidiff.chromatography.parameters import LOGARITHMIC
from medidiff.chromatography.problem import Problem, evaluate

TOLERANCE = 1e-10  # relative gain of the cost: done below
DAMPING = 1e-3
LOST = 1e12  # damping at which no step helps
LARGEST = 0.7  # change of a logarithm in one step, a factor of 2


def minimise(problem: Problem, theta: Tensor, *, bounds: tuple[Tensor, Tensor], iterations: int) -> tuple[Tensor, Tensor, Tensor]:
    """The best theta (b, p) of every problem, whether each converged (b,), and its steps (b,).

    theta        (b, p)   where to start
    bounds       (b, p)   each; a step ends there, and a parameter that pushes outwards is held
    iterations            at most

    (J^T J + lambda diag(J^T J)) step = - J^T r, with lambda by the ratio of actual to predicted gain (Nielsen 1999).
    """
    theta = theta.clone()
    converged, steps = torch.zeros(len(theta), dtype=torch.bool), torch.zeros(len(theta), dtype=torch.int64)
    rows, part = torch.arange(len(theta)), problem
    logarithms = theta.new_tensor([quantity in LOGARITHMIC for quantity, _ in problem.parameters.labels])
    here = evaluate(problem, theta)
    cost, gradient, normal = here.cost, *_normal(here.jacobian, here.residual)
    damping, growth = torch.full_like(cost, DAMPING), torch.full_like(cost, 2.0)
    for _ in range(iterations):
        low, high = bounds[0][rows], bounds[1][rows]
        step = _step(normal, gradient, damping, _held(theta[rows], gradient, low, high))
        step = step / ((step.abs() * logarithms).amax(dim=1, keepdim=True) / LARGEST).clamp_min(1.0)
        trial = torch.maximum(torch.minimum(theta[rows] + step, high), low)
        step = trial - theta[rows]
        there = evaluate(part, trial)
        predicted = -(step * (gradient + 0.5 * (normal @ step.unsqueeze(-1)).squeeze(-1))).sum(dim=1)
        gain = cost - there.cost
        better = gain > 0
        ratio = gain / predicted.clamp_min(1e-300)
        done = (better & (gain <= TOLERANCE * cost)) | (predicted <= TOLERANCE * cost)
        damping = damping * torch.where(better, (1 - (2 * ratio - 1) ** 3).clamp(1 / 3, 2.0), growth)
        growth = torch.where(better, torch.full_like(growth, 2.0), 2 * growth)
        moved, bent = _normal(there.jacobian, there.residual)
        theta[rows[better]], steps[rows] = trial[better], steps[rows] + 1
        cost = torch.where(better, there.cost, cost)
        gradient = torch.where(better.unsqueeze(1), moved, gradient)
        normal = torch.where(better[:, None, None], bent, normal)
        converged[rows[done]] = True
        kept = ~(done | (damping > LOST))
        if not bool(kept.any()):
            break
        if not bool(kept.all()):
            rows, part = rows[kept], part.rows(kept)
            cost, gradient, normal, damping, growth = (each[kept] for each in (cost, gradient, normal, damping, growth))
    return theta, converged, steps


def _normal(jacobian: Tensor, residual: Tensor) -> tuple[Tensor, Tensor]:
    """Gradient J^T r (b, p) and Gauss-Newton matrix J^T J (b, p, p)."""
    return (jacobian @ residual.unsqueeze(-1)).squeeze(-1), jacobian @ jacobian.mT


def _held(theta: Tensor, gradient: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Parameters (b, p) at a bound that the gradient pushes against."""
    return ((theta <= low) & (gradient > 0)) | ((theta >= high) & (gradient < 0))


def _step(normal: Tensor, gradient: Tensor, damping: Tensor, held: Tensor) -> Tensor:
    """The damped Gauss-Newton step (b, p), 0 for held parameters."""
    scale = torch.diagonal(normal, dim1=1, dim2=2).sqrt()
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))
    unit = normal / (scale.unsqueeze(1) * scale.unsqueeze(2))
    loose = (~held).to(unit.dtype)
    unit = unit * loose.unsqueeze(1) * loose.unsqueeze(2) + torch.diag_embed(damping.unsqueeze(1) + held.to(unit.dtype))
    return -torch.linalg.solve(unit, (gradient / scale * loose).unsqueeze(-1)).squeeze(-1) / scale
