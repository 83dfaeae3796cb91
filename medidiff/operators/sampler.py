"""Samples of a model of any form: what is diffused, from which level, by which method of the engine."""

from dataclasses import dataclass

import torch
from torch import Tensor

from medidiff.diffusion.denoiser import Denoiser
from medidiff.diffusion.grid import karras, trailing, uniform_lambda, with_zero
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.onestep import euler, heun
from medidiff.diffusion.sample import Step, sample, start
from medidiff.diffusion.stochastic import renoise
from medidiff.operators.encoding import along_channels
from medidiff.operators.model import Operator
from medidiff.operators.problem import Problem
from medidiff.operators.projection import Mass, Projected
from medidiff.operators.published import cosine_table
from medidiff.operators.residual import with_guess
from medidiff.operators.settings import SamplerSettings


@dataclass(frozen=True)
class Drawing:
    """What a run is drawn with."""

    seed: int = 0
    batch: int = 64  # trajectories in one call of the network
    times: tuple[float, ...] = ()  # frame times of the problem, s; empty: those of the model


def level_grid(settings: SamplerSettings) -> Tensor:
    """Falling levels, ending in 0; a single step goes from the first level to the answer."""
    if settings.method == "ddim":
        return with_zero(trailing(settings.steps, cosine_table()))
    low, high = settings.sigma_min, settings.sigma_max
    if settings.steps == 1:
        return torch.tensor([high, 0.0], dtype=torch.float64)
    kind = karras if settings.method == "heun" else uniform_lambda
    return with_zero(kind(settings.steps, smin=low, smax=high))


def method(settings: SamplerSettings) -> Step:
    """The engine's step; restart forgets the noise after every look, as consistency models do."""
    fresh, ddim = renoise(eta=1.0, rule="fresh"), renoise(eta=1.0, rule="ancestral")
    return {"euler": euler, "heun": heun, "restart": fresh, "ddim": ddim}[settings.method]


@torch.no_grad()
def draw(
    model: Operator, problem: Problem, *, members: int, sampler: SamplerSettings, noise: Noise, mass: Mass | None = None
) -> Tensor:
    """States (b, member, field, t, x) of a batch of problems, in physical units.

    noise   with one item per problem; members have noise of their own, so that batches do not matter
    mass    that every frame must hold
    """
    encoding = model.encoding
    condition, parameters = encoding.condition(problem), encoding.parameters(problem)
    guess = None
    if model.card.form != "direct":
        guess = model.regressor("regression")(condition, parameters)
        if model.card.form == "regression":
            return encoding.physical(guess, problem.sizes).unsqueeze(1)
        condition = with_guess(condition, guess)
    z = _sampled(model, problem, condition, guess, members=members, sampler=sampler, noise=noise, mass=mass)
    return encoding.physical(z, problem.sizes).unflatten(0, (len(problem), members))


def _sampled(model, problem, condition, guess, *, members, sampler, noise, mass) -> Tensor:
    """z (b member, states, *grid)."""
    many = {
        "condition": condition.repeat_interleave(members, 0),
        "parameters": model.encoding.parameters(problem).repeat_interleave(members, 0),
    }
    scale = along_channels(model.card.residual_scale, condition) if guess is not None else torch.ones_like(condition[:1, :1])
    offset = guess.repeat_interleave(members, 0) if guess is not None else torch.zeros_like(many["condition"][:, :1])
    denoiser = model.denoiser("direct" if guess is None else "residual")
    if mass is not None:
        constraint = mass.of(model.encoding, problem.sizes, members=members)
        denoiser = Projected(denoiser, constraint, offset, scale, model.encoding.states)
    channels = model.encoding.states + (model.encoding.force_channels if guess is None else 0)
    names = tuple(f"{item}-{member}" for item in noise.items for member in range(members))
    grid = level_grid(sampler)
    u = start((len(names), channels, *condition.shape[2:]), float(grid[0]), noise=noise.of(*names)).to(condition.device)
    y = sample(denoiser, u, grid, method(sampler), noise=noise.of(*names), **many)
    return offset + scale * y[:, : model.encoding.states]


def sample_joint(model: Operator, denoiser: Denoiser, problem: Problem, *, sampler: SamplerSettings, noise: Noise, **handed):
    """(state, force) channels of the joint model, through any wrapper of its denoiser."""
    count = len(handed["condition"])
    channels = model.encoding.states + model.encoding.force_channels
    shape = (count, channels, *model.encoding.layout.grid(problem.sizes))
    grid = level_grid(sampler)
    u = start(shape, float(grid[0]), noise=noise).to(handed["condition"].device)
    return sample(denoiser, u, grid, method(sampler), noise=noise, **handed)
