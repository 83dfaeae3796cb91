"""A training run of one part of an operator: what the engine's loop needs, from settings, trajectories and earlier parts."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial

import torch
from torch import Tensor, nn

from medidiff.diffusion.networks.unet import UNet
from medidiff.diffusion.train import Training
from medidiff.operators.denoiser import Regressor, StateDenoiser, network_shape
from medidiff.operators.direct import Direct
from medidiff.operators.encoding import Encoding, measure, root_mean_square
from medidiff.operators.layout import OperatorLayout
from medidiff.operators.problem import Solved
from medidiff.operators.published import NoisePrediction, rounded_maximum
from medidiff.operators.refine import Refinement, Refining, measure_refinement
from medidiff.operators.regression import Regression, answers
from medidiff.operators.residual import Residual
from medidiff.operators.training_settings import OperatorTraining, Stage


@dataclass(frozen=True, eq=False)
class Encoded:
    """Trajectories as batches of the networks: `x0`, `forcing`, `condition`, `parameters`, and `guess` where there is one.

    All is computed batch by batch from the physical arrays, which take a third of the memory.
    """

    solved: Solved
    encoding: Encoding
    guess: Tensor | None = None  # (n, states, *grid), of a regression

    def __len__(self) -> int:
        return len(self.solved)

    def __getitem__(self, indices: Tensor) -> dict[str, Tensor]:
        part, encoding = self.solved.at(indices), self.encoding
        batch = {
            "x0": encoding.state(part.states),
            "forcing": encoding.force(part.problem.forcing),
            "condition": encoding.condition(part.problem),
            "parameters": encoding.parameters(part.problem),
        }
        return batch if self.guess is None else {**batch, "guess": self.guess[indices]}


@dataclass(frozen=True, eq=False)
class Physical:
    """Trajectories as batches of the refiner, in physical units."""

    solved: Solved
    encoding: Encoding

    def __len__(self) -> int:
        return len(self.solved)

    def __getitem__(self, indices: Tensor) -> dict[str, Tensor]:
        part = self.solved.at(indices)
        problem = part.problem
        told = self.encoding.parameters(problem)
        return {
            "states": part.states,
            "forcing": problem.forcing,
            "initial": problem.initial,
            "parameters": problem.parameters,
            "told": told,
        }


@dataclass(frozen=True, eq=False)
class Prepared:
    """The arguments of the engine's loop for one part."""

    network: UNet
    data: Encoded | Physical
    held_out: Mapping[str, Tensor]
    objective: Callable
    adapter: Callable[[nn.Module], Callable]
    training: Training
    residual_scale: tuple[float, ...] = ()
    refinement: Refinement | None = None


@dataclass(frozen=True, eq=False)
class Sets:
    """Trajectories by what they are for."""

    train: Solved
    held_back: Solved | None
    validation: Solved


def prepare_part(
    settings: OperatorTraining, stage: Stage, sets: Sets, encoding: Encoding, networks: Mapping[str, nn.Module]
) -> Prepared:
    """Network, data and objective of one stage.

    networks   the parts trained before, in evaluation mode; the residual needs the regression
    """
    make = {"regression": _regression, "residual": _residual, "direct": _direct, "refiner": _refiner}[stage.part]
    return make(settings, stage, sets, encoding, networks)


def encoding_for(settings: OperatorTraining, layout: OperatorLayout, forces: tuple[str, ...], train: Solved) -> Encoding:
    """The encoding of a training set with the scales that the recipe asks for."""
    return measure(layout, forces, train, size=rounded_maximum if settings.recipe.scale == "maximum" else None)


def training_of(settings: OperatorTraining, stage: Stage) -> Training:
    """The numbers of the engine's loop."""
    names = ("final_rate", "warmup", "weight_decay", "ema_widths", "seed", "save_every")
    given = {name: getattr(settings, name) for name in names}
    return Training(steps=stage.steps, batch=stage.batch, learning_rate=stage.learning_rate, look_every=stage.steps, **given)


def _regression(settings, stage, sets: Sets, encoding: Encoding, networks) -> Prepared:
    network = _network(settings, encoding, channels=encoding.states, condition=encoding.conditions)
    adapter = partial(Regressor, channels=encoding.states)
    data, held_out = Encoded(sets.train, encoding), _all(Encoded(sets.validation, encoding))
    return Prepared(network, data, held_out, Regression(), adapter, training_of(settings, stage))


def _direct(settings, stage, sets: Sets, encoding: Encoding, networks) -> Prepared:
    channels = encoding.states + encoding.force_channels
    network = _network(settings, encoding, channels=channels, condition=encoding.conditions)
    noise = settings.recipe.noise
    adapter = partial(StateDenoiser, states=encoding.states, given_channel=encoding.given_channel, noise=noise)
    data, held_out = Encoded(sets.train, encoding), _all(Encoded(sets.validation, encoding))
    objective = Direct(encoding.given_channel, stage.dropout)
    if noise == "cosine":
        weights = encoding.channel_scales("state") + encoding.channel_scales("force")
        objective = Direct(encoding.given_channel, stage.dropout, NoisePrediction(weights))
    return Prepared(network, data, held_out, objective, adapter, training_of(settings, stage))


def _residual(settings, stage, sets: Sets, encoding: Encoding, networks) -> Prepared:
    regressor = Regressor(networks["regression"], encoding.states)
    data, validation = (_guessed(one, encoding, regressor) for one in (sets.held_back, sets.validation))
    scale = root_mean_square(encoding.state(sets.held_back.states) - data.guess)
    network = _network(settings, encoding, channels=encoding.states, condition=encoding.conditions + encoding.states)
    adapter = partial(StateDenoiser, states=encoding.states)
    training = training_of(settings, stage)
    return Prepared(network, data, _all(validation), Residual(scale), adapter, training, residual_scale=scale)


def _refiner(settings, stage, sets: Sets, encoding: Encoding, networks) -> Prepared:
    refinement = measure_refinement(encoding.layout.fields, encoding.forces, sets.train)
    network = _network(settings, encoding, channels=refinement.channels, condition=refinement.conditions, attention=0)
    adapter = partial(Regressor, channels=refinement.channels)
    data, held_out = Physical(sets.train, encoding), _all(Physical(sets.validation, encoding))
    training = training_of(settings, stage)
    return Prepared(network, data, held_out, Refining(refinement), adapter, training, refinement=refinement)


def _network(settings: OperatorTraining, encoding: Encoding, *, channels: int, condition: int, **other: int) -> UNet:
    size = {**settings.network.model_dump(), **other}
    parameters, dims = len(encoding.parameter_scale), len(encoding.layout.names)
    shape = network_shape(size, dims=dims, channels=channels, condition=condition, parameters=parameters)
    network = UNet(shape, seed=settings.seed)
    return network.to(memory_format=torch.channels_last) if dims == 2 else network


def _guessed(solved: Solved, encoding: Encoding, regressor: Regressor) -> Encoded:
    pieces = [solved.problem.at(slice(first, first + 64)) for first in range(0, len(solved), 64)]
    guess = torch.cat([answers(regressor, encoding.condition(one), encoding.parameters(one)) for one in pieces])
    return Encoded(solved, encoding, guess)


def _all(data: Encoded | Physical) -> dict[str, Tensor]:
    return dict(data[torch.arange(len(data))])


def shapes(networks: Mapping[str, UNet]) -> dict[str, dict]:
    """Arguments of every part's network, as a card keeps them."""
    return {part: asdict(network.shape) for part, network in networks.items()}
