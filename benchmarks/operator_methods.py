"""Operators and their references, each trained for the same processor time on the same trajectories by the same loop."""

import copy
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from medidiff.diffusion.train import best_weights, train
from medidiff.operators.encoding import Encoding, measure
from medidiff.operators.layout import OperatorLayout
from medidiff.operators.model import Operator, OperatorCard
from medidiff.operators.training import Prepared, Sets, prepare_part
from medidiff.operators.training_settings import OperatorTraining, Stage
from medidiff.training.run import MeanLoss

FNO_MODES = (12, 16)
FNO_WIDTH = 19  # 0.31 M real numbers, as many as the U-Nets have


@dataclass(frozen=True)
class Method:
    """One row of the comparison."""

    label: str
    form: str
    shares: Mapping[str, float]  # of the time, for each part
    has_wavelets: bool = True
    is_fno: bool = False


METHODS = {
    "residual": Method("wavelet regression and diffusion of its residual", "residual", {"regression": 0.6, "residual": 0.4}),
    "regression": Method("wavelet regression", "regression", {"regression": 1.0}),
    "direct": Method("wavelet diffusion (WDNO)", "direct", {"direct": 1.0}),
    "unet": Method("U-Net in physical space", "regression", {"regression": 1.0}, has_wavelets=False),
    "diffusion": Method("diffusion without wavelets", "direct", {"direct": 1.0}, has_wavelets=False),
    "fno": Method("FNO", "regression", {"regression": 1.0}, has_wavelets=False, is_fno=True),
}


class Fno(nn.Module):
    """The published FNO in the place of a U-Net: it sees the condition alone."""

    def __init__(self, channels: int, condition: int):
        super().__init__()
        from neuralop.models import FNO

        self.inner = FNO(
            n_modes=FNO_MODES,
            in_channels=condition,
            out_channels=channels,
            hidden_channels=FNO_WIDTH,
            n_layers=4,
            domain_padding=0.125,  # neither time nor a domain with walls is periodic
        )

    def forward(self, x: Tensor, level: Tensor, condition: Tensor) -> Tensor:
        return self.inner(condition)

    def state_dict(self, *arguments, **named):
        """The tensors alone: the published class adds a dictionary to them."""
        found = super().state_dict(*arguments, **named)
        return {name: value for name, value in found.items() if isinstance(value, Tensor)}


@dataclass(frozen=True, eq=False)
class Made:
    """A trained method and what it took."""

    operator: Operator
    steps: dict[str, int]
    parameters: int  # real numbers


def make(name: str, settings: OperatorTraining, sets: Sets, *, card: OperatorCard, seconds: float, seed: int) -> Made:
    """A method after `seconds` of processor time, its parts together.

    card   of the shipped operator of the system, for the grid and the names of fields and forces
    """
    method = METHODS[name]
    encoding = _encoding(card, settings, sets, method)
    chosen = settings.model_copy(update={"seed": seed, "warmup": 20})
    networks, steps, scale = {}, {}, ()
    for part, share in method.shares.items():
        stage = Stage(part=part, dropout=0.0, steps=1000)
        prepared = prepare_part(chosen, stage, sets, encoding, networks)
        if method.is_fno:
            torch.manual_seed(seed)
            prepared = replace(prepared, network=Fno(encoding.states, encoding.conditions))
        steps[part] = train_for(prepared, share * seconds)
        networks[part] = prepared.network.eval().requires_grad_(False)
        scale = prepared.residual_scale or scale
    own = replace(card, form=method.form, encoding=asdict(encoding), residual_scale=scale, inflation=(), interval_factor=1.645)
    numbers = sum(p.numel() * (2 if p.is_complex() else 1) for network in networks.values() for p in network.parameters())
    return Made(Operator(own, networks), steps, numbers)


def train_for(prepared: Prepared, seconds: float) -> int:
    """The number of updates that fit into the processor time; the network holds the best of raw and averaged weights."""
    settings = replace(prepared.training, warmup=2, steps=6)
    trial = copy.deepcopy(prepared.network)
    _loop(replace(prepared, network=trial), settings)
    _, spent = timed(_loop, replace(prepared, network=trial), settings)
    steps = max(30, round(seconds * settings.steps / spent))
    full = replace(prepared.training, steps=steps, look_every=steps, save_every=steps)
    checkpoint = _loop(prepared, full)
    prepared.network.eval()
    score = MeanLoss(prepared.objective, prepared.held_out)
    best_weights(prepared.network, checkpoint, adapter=prepared.adapter, score=score)
    return steps


def timed(run: Callable[..., Any], *arguments: Any) -> tuple[Any, float]:
    """What a call gives, and its seconds of the processor, so that others on the machine do not count."""
    begin = time.process_time()
    found = run(*arguments)
    return found, time.process_time() - begin


def _loop(prepared: Prepared, settings):
    return train(prepared.network, prepared.data, objective=prepared.objective, adapter=prepared.adapter, settings=settings)


def _encoding(card: OperatorCard, settings: OperatorTraining, sets: Sets, method: Method) -> Encoding:
    layout = settings.layout.model_dump() | ({} if method.has_wavelets else {"levels": 0})
    return measure(OperatorLayout(tuple(card.encoding["layout"]["fields"]), **layout), tuple(card.encoding["forces"]), sets.train)
