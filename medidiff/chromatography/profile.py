"""Profile likelihood: how far each parameter can move while all others follow, without leaving the data."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from medidiff.chromatography.fit import Fit
from medidiff.chromatography.levenberg import minimise
from medidiff.chromatography.problem import Problem, evaluate
from medidiff.chromatography.uncertainty import residual_deviation

LEVEL = 1.96  # standard deviations: 95 %
PIN = 1e-3  # of a standard deviation: how tightly a parameter is held
ROUNDS, CLOSE = 8, 0.01
FARTHEST = 30.0  # standard deviations: an interval that has not closed there is open
ITERATIONS = 60


@dataclass(frozen=True)
class Profile:
    """Intervals of theta and areas; infinite where the likelihood does not fall enough within 30 standard deviations."""

    low: Tensor  # (p + component,)
    high: Tensor  # (p + component,)


def profile_likelihood(fit: Fit, *, level: float = LEVEL) -> Profile:
    """Ends of the interval in which sqrt(2 (cost - best cost)) <= level, all parameters and both sides in one batch.

    level   standard deviations of a normal parameter; 1.96 gives 95 %

    A parameter is held by a narrow prior, the others are fitted again; the signed root is close to a straight line, so the
    end is found by repeated proportion.
    """
    count = len(fit.theta[0]) + len(fit.areas)
    best, deviations = fit.values[:count], fit.uncertainty.deviations[0, :count]
    rows = torch.arange(2 * count)
    which, side = rows % count, torch.where(rows < count, -1.0, 1.0).to(best.dtype)
    scale = residual_deviation(fit.problem, evaluate(fit.problem, fit.theta))
    whitened = replace(fit.problem, weights=fit.problem.weights / scale.unsqueeze(1))
    cost = evaluate(whitened, fit.theta).cost
    many = whitened.rows(torch.zeros(len(rows), dtype=torch.int64))
    many = replace(many, parameters=fit.problem.parameters)
    distance = level * deviations[which]
    theta, factor = fit.theta.expand(len(rows), -1), torch.ones_like(distance)
    for _ in range(ROUNDS):
        value = best[which] + side * factor * distance
        theta, rise = _pinned(many, fit, (which, value), theta)
        root = (2 * (rise - cost).clamp_min(1e-12)).sqrt()
        if bool(((root / level - 1).abs() < CLOSE).all()):
            break
        factor = (factor * (level / root).clamp(0.3, 3.0)).clamp_max(FARTHEST / level)
    end = best[which] + (value - best[which]) * level / root  # the last proportion
    end = torch.where((root / level - 1).abs() < 10 * CLOSE, end, side * torch.inf)
    return Profile(end[:count], end[count:])


def _pinned(problem: Problem, fit: Fit, pins: tuple[Tensor, Tensor], theta: Tensor) -> tuple[Tensor, Tensor]:
    """Best theta (rows, p) with parameter `which` of each row at its value, and the cost without the pin (rows,)."""
    which, value = pins
    nonlinear, rows = theta.shape[1], torch.arange(len(which))
    tight = 1 / (PIN * fit.uncertainty.deviations[0, which])
    centre, root = (each.clone() for each in problem.prior)
    known, weight = (each.clone() for each in problem.known)
    own = which < nonlinear
    before = 0.5 * ((centre[rows[own], which[own]] - value[own]) * root[rows[own], which[own]]) ** 2
    centre[rows[own], which[own]], root[rows[own], which[own]] = value[own], tight[own]
    known[rows[~own], which[~own] - nonlinear], weight[rows[~own], which[~own] - nonlinear] = value[~own], tight[~own]
    held = replace(problem, prior=(centre, root), known=(known, weight))
    start = theta.clone()
    start[rows[own], which[own]] = value[own]
    bounds = tuple(bound.expand(len(rows), -1) for bound in fit.bounds)
    found, _, _ = minimise(held, torch.maximum(torch.minimum(start, bounds[1]), bounds[0]), bounds, ITERATIONS)
    rise = evaluate(held, found).cost
    rise[own] += before
    return found, rise
