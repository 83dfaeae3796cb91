"""Profile likelihood: how far each parameter can move while all others follow, without leaving the data."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from medidiff.chromatography.fit import Fit
from medidiff.chromatography.levenberg import minimise
from medidiff.chromatography.parameters import LOGARITHMIC
from medidiff.chromatography.problem import Problem, evaluate
from medidiff.chromatography.uncertainty import residual_deviation
from medidiff.errors import NumericsError

LEVEL = 1.96  # standard deviations: 95 %
PIN = 1e-3  # of a standard deviation: how tightly a parameter is held
ROUNDS, CLOSE = 8, 0.01
FARTHEST = 30.0  # standard deviations: an interval that has not closed there is open
LOOSE = 1 / 3  # of a parameter's size: a deviation above which nothing is determined
ITERATIONS = 30


@dataclass(frozen=True)
class Profile:
    """Intervals of theta and areas; infinite where the likelihood does not fall enough within 30 standard deviations."""

    low: Tensor  # (p + component,)
    high: Tensor  # (p + component,)


def profile_likelihood(fit: Fit, *, level: float = LEVEL) -> Profile:
    """Ends of the interval in which sqrt(2 (cost - best cost)) <= level, all parameters and both sides in one batch.

    level   standard deviations of a normal parameter; 1.96 gives 95 %

    Each is held by a narrow prior while the rest is fitted again; the signed root is close to a straight line, so the end is
    found by repeated proportion. Raises NumericsError where the covariance alone leaves a parameter free by a third of its
    value or more: its valley is long and bent, and has no ends worth the search.
    """
    count = len(fit.theta[0]) + len(fit.areas)
    best, deviations = fit.values[:count], fit.uncertainty.deviations[0, :count]
    loose = torch.nonzero(deviations > LOOSE * _sizes(fit)[:count]).flatten().tolist()
    if loose:
        raise NumericsError(
            f"the data leave {', '.join(fit.names[i] for i in loose)} free by a third or more, so a profile has no ends. "
            "Fix what the statements of the fit name, or give a prior."
        )
    which = torch.arange(count).repeat(2)
    side = torch.ones_like(best[which])
    side[:count] = -1.0
    scale = residual_deviation(fit.problem, evaluate(fit.problem, fit.theta))
    whitened = replace(fit.problem, weights=fit.problem.weights / scale.unsqueeze(1))
    cost = evaluate(whitened, fit.theta).cost
    many = whitened.rows(torch.zeros(len(which), dtype=torch.int64))
    many = replace(many, parameters=fit.problem.parameters)
    distance = level * deviations[which]
    follow = fit.covariance[which, : fit.theta.shape[1]] / fit.covariance[which, which].unsqueeze(1)
    farthest = _reach(fit, which, side)
    factor = torch.ones_like(distance)
    for _ in range(ROUNDS):
        value = best[which] + side * torch.minimum(factor * distance, farthest)
        rise = _pinned(many, fit, (which, value), fit.theta + follow * (value - best[which]).unsqueeze(1))
        root = (2 * (rise - cost).clamp_min(1e-12)).sqrt()
        if bool(((root / level - 1).abs() < CLOSE).all()):
            break
        factor = factor * (level / root).clamp(0.3, 3.0)
    end = best[which] + (value - best[which]) * level / root  # the last proportion
    end = torch.where((root / level - 1).abs() < 10 * CLOSE, end, side * torch.inf)
    return Profile(end[:count], end[count:])


def _sizes(fit: Fit) -> Tensor:
    """What a deviation of each parameter is compared with: 1 for logarithms, the hold-up time for times, the areas."""
    hold_up = float(fit.peaks.hold_up.reshape(-1)[0])
    values = zip(fit.labels, fit.values.tolist())
    sizes = [1.0 if label[0] in LOGARITHMIC else value if label[0] == "area" else hold_up for label, value in values]
    return fit.values.new_tensor(sizes)


def _reach(fit: Fit, which: Tensor, side: Tensor) -> Tensor:
    """How far each parameter may go: to its bound if theta has one, never 30 standard deviations."""
    low, high = (
        torch.nn.functional.pad(bound[0], (0, len(fit.areas)), value=torch.inf) for bound in (-fit.bounds[0], fit.bounds[1])
    )
    room = torch.where(side < 0, low[which] + fit.values[which], high[which] - fit.values[which])
    return torch.minimum(room, FARTHEST * fit.uncertainty.deviations[0, which])


def _pinned(problem: Problem, fit: Fit, pins: tuple[Tensor, Tensor], theta: Tensor) -> Tensor:
    """Cost (rows,), without the pin, at the best theta with parameter `which` of each row at its value; from `theta`."""
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
    bounds = tuple(bound.expand(len(rows), -1) for bound in fit.bounds)
    found, _, _ = minimise(held, torch.maximum(torch.minimum(theta, bounds[1]), bounds[0]), bounds=bounds, iterations=ITERATIONS)
    rise = evaluate(held, found).cost
    rise[own] += before
    return rise
