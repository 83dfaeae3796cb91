"""Initial states, forces and parameters in, trajectories or forces and what says how far to trust them out."""

import time
from collections.abc import Callable

import torch
from torch import Tensor

from medidiff.diffusion.halving import in_halves
from medidiff.diffusion.noise import Noise
from medidiff.operators.calibration import half_width, inflated
from medidiff.operators.control import FinalTarget, steered_forces
from medidiff.operators.model import Operator
from medidiff.operators.problem import Controlled, Problem, Trajectories
from medidiff.operators.projection import Mass
from medidiff.operators.refine import refined_once
from medidiff.operators.refusals import check_control, check_mass, check_problem, check_refinement
from medidiff.operators.restrict import coarser
from medidiff.operators.sampler import Drawing, draw
from medidiff.operators.settings import ControlSettings, SamplerSettings

Solver = Callable[[Problem], Tensor]  # a classical solver: problem -> states (b, field, t, x)
ENSEMBLE = SamplerSettings()
ANSWER = SamplerSettings(method="restart", steps=4, sigma_min=0.3)
CONTROL = ControlSettings()
DRAWING = Drawing()


def simulate(
    model: Operator,
    problem: Problem,
    *,
    members: int = 8,
    sampler: SamplerSettings = ENSEMBLE,
    conserve: bool = False,
    drawing: Drawing = DRAWING,
) -> Trajectories:
    """Trajectories drawn from p(u | forcing, initial), in the units of the fields.

    model      a trained operator
    problem    initial (b, field, x), forcing (b, force, t, x), parameters (b, p)
    members    of each ensemble; a model of form `regression` has one answer, whatever is asked
    sampler    from noise to a sample; `ANSWER` for the best single one
    conserve   keep the mass of every frame at that of the initial state, exactly
    drawing    seed, batch, frame times
    returns    states (b, member, field, t, x) at t_1 .. t_nt; their spread; numbers: seconds, network_calls per trajectory

    Raises DataError for another grid, other frame times, values that are not finite, or parameters outside the training's;
    ConfigError where mass is asked of a system that does not conserve it.
    """
    check_problem(model, problem, drawing.times)
    if conserve:
        check_mass(model, problem)
    started = time.perf_counter()
    members = 1 if model.card.form == "regression" else members

    def some(first: int, last: int) -> Tensor:
        part = problem.at(slice(first, last)).to(model.device)
        mass = Mass(part.initial) if conserve else None
        drawn = draw(model, part, members=members, sampler=sampler, noise=_noise(drawing.seed, first, len(part)), mass=mass)
        drawn = inflated(drawn, model)
        return mass.restored(drawn) if mass else drawn

    states = _in_batches(some, len(problem), drawing)
    calls = model.calls(sampler)
    numbers = {"seconds": time.perf_counter() - started, "network_calls": calls, "members": members, "form": model.card.form}
    return Trajectories(states, half_width(states, model.card.interval_factor), numbers)


def super_resolve(
    model: Operator,
    problem: Problem,
    *,
    members: int = 1,
    sampler: SamplerSettings = ANSWER,
    drawing: Drawing = DRAWING,
) -> Trajectories:
    """Trajectories on the grid of the problem, which is 2, 4, 8 ... times finer than the one the model was trained on.

    problem    initial (b, field, n x) and forcing (b, force, t, n x) at the target resolution
    returns    states (b, member, field, t, n x), whose cell averages on the trained grid are exactly those of `simulate`

    The coarse trajectory is drawn first; then one network, trained on coarser pairs, adds the detail of each doubling
    ("Wavelet Diffusion Neural Operator" 2025, section on super-resolution; details only). Raises DataError for a grid that is
    not a power of two times the model's.
    """
    doublings = check_refinement(model, problem)
    started = time.perf_counter()
    coarse = coarser(problem, 2**doublings)
    found = simulate(model, coarse, members=members, sampler=sampler, drawing=drawing)
    states = found.states.flatten(0, 1)
    for level in range(doublings - 1, -1, -1):
        finer = coarser(problem, 2**level).repeated(found.states.shape[1])

        def refined(first: int, last: int, coarse: Tensor = states, finer: Problem = finer) -> Tensor:
            piece = slice(first, last)
            return refined_once(model, coarse[piece], finer.at(piece).to(model.device))

        states = _in_batches(refined, len(states), drawing)
    states = states.unflatten(0, found.states.shape[:2])
    numbers = {**found.numbers, "seconds": time.perf_counter() - started, "doublings": doublings}
    return Trajectories(states, half_width(states, model.card.interval_factor), numbers)


def control(
    model: Operator,
    problem: Problem,
    target: Tensor,
    *,
    solver: Solver,
    settings: ControlSettings = CONTROL,
    drawing: Drawing = DRAWING,
) -> Controlled:
    """Forces that lead from the initial states to a target, the best of several draws by the solver's own objective.

    problem   its forcing gives the grid alone; its values are not looked at
    target    (b, field, x)    wanted at the last frame
    solver    the classical solver that has the last word
    returns   forces, the solver's states under them, predicted and actual objective of every draw

        J(u, f) = integral |u(T) - target|^2 dx + energy_weight integral |f|^2 dx dt

    The gap between predicted and actual is how far the draw exploits errors of the model. Raises ConfigError for a model without
    a joint network of state and force, DataError for a target of another shape.
    """
    check_control(model, problem, target)
    started = time.perf_counter()
    objective = FinalTarget(target.to(model.device), settings.energy_weight, model.cell_volume, model.card.dt_s)
    forcing, states = steered_forces(
        model, problem.to(model.device), objective, settings, noise=_noise(drawing.seed, 0, len(problem))
    )
    drawn = time.perf_counter() - started
    repeated = problem.repeated(settings.draws)
    truth = solver(Problem(repeated.initial, forcing.flatten(0, 1).to(problem.initial), repeated.parameters))
    truth = truth.to(forcing).unflatten(0, forcing.shape[:2])
    predicted, actual = objective.value(states, forcing), objective.value(truth, forcing)
    best = actual.argmin(1)
    row = torch.arange(len(best), device=best.device)
    numbers = {"seconds": time.perf_counter() - started, "seconds_model": drawn, "draws": settings.draws}
    return Controlled(forcing[row, best], truth[row, best], predicted[row, best], actual[row, best], predicted, actual, numbers)


def _in_batches(work: Callable[[int, int], Tensor], count: int, drawing: Drawing) -> Tensor:
    """work(first, last) of batch after batch, smaller ones where the card's memory asks for them."""
    cut = ((first, min(first + drawing.batch, count)) for first in range(0, count, drawing.batch))
    return torch.cat([in_halves(work, *batch, advice="Lower operate.members, or set operate.device to cpu.") for batch in cut])


def _noise(seed: int, first: int, count: int) -> Noise:
    """Noise of trajectories number `first` and on: the same whatever the batch."""
    return Noise(seed, tuple(range(first, first + count)))
