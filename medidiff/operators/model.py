"""A trained operator: the weights of its networks, and the card without which they must not be used."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property

import torch
from torch import Tensor, nn

from medidiff.diffusion.checkpoint import network_with, read_tensors, tensor_bytes, weights_hash
from medidiff.diffusion.networks.unet import UNet, UNetShape
from medidiff.documents import json_object, with_tuples
from medidiff.errors import ConfigError, DataError
from medidiff.operators.denoiser import Regressor, StateDenoiser
from medidiff.operators.encoding import Encoding
from medidiff.operators.layout import OperatorLayout
from medidiff.operators.refine import Refinement
from medidiff.operators.settings import SamplerSettings

PARTS = {"direct": ("direct",), "regression": ("regression",), "residual": ("regression", "residual")}  # that a form needs


@dataclass(frozen=True)
class OperatorCard:
    """What an operator is, what it was trained on, and how well it does on trajectories that it has not seen."""

    name: str
    title: str
    system: str
    form: str  # direct, regression or residual: how it simulates
    encoding: dict  # fields of Encoding
    networks: dict  # of each part: arguments of UNetShape
    frames: int  # of a trajectory, after the initial state
    cells: tuple[int, ...]  # along every axis of space
    dt_s: float  # between frames
    length: float  # of the first axis of space
    boundary: str  # periodic, walls, outflow
    weights_sha256: str = ""
    parameters: dict = field(default_factory=dict)  # name: smallest and largest value of the training
    residual_scale: tuple[float, ...] = ()  # of each channel, form residual
    refinement: dict = field(default_factory=dict)  # fields of Refinement, where there is a refiner
    noise: str = "edm"  # edm, or cosine: the published diffusion, whose answers are clipped
    inflation: tuple[float, ...] = ()  # of each channel's deviation from the ensemble's mean
    interval_factor: float = 1.645  # standard deviations that hold 90 %
    training: dict = field(default_factory=dict)  # settings
    weights: dict = field(default_factory=dict)  # of each part: raw, or ema-{width}
    hours: dict = field(default_factory=dict)  # of each part
    versions: dict = field(default_factory=dict)
    data: dict = field(default_factory=dict)  # how many trajectories of which seed and chunks, and what of
    scores: dict = field(default_factory=dict)  # on test trajectories
    history: str = ""  # what happened to the run that its settings do not tell
    not_for: str = ""


@dataclass(frozen=True, eq=False)
class Operator:
    """An operator ready for use."""

    card: OperatorCard
    networks: Mapping[str, nn.Module]  # by part: direct, regression, residual, refiner
    device: str = "cpu"

    @cached_property
    def encoding(self) -> Encoding:
        """How it sees its system."""
        return encoding_of(self.card.encoding)

    @cached_property
    def refinement(self) -> Refinement:
        """How its refiner sees a doubling of the cells."""
        content = dict(self.card.refinement)
        return Refinement(**with_tuples({**content, "layout": OperatorLayout(**with_tuples(content["layout"]))}))

    @property
    def cell_volume(self) -> float:
        """Of one cell of the first axis."""
        return self.card.length / self.card.cells[0]

    def denoiser(self, part: str) -> StateDenoiser:
        """Of the part `direct` or `residual`."""
        encoding, noise = self.encoding, self.card.noise
        return StateDenoiser(self.networks[part], encoding.states, encoding.given_channel, noise, noise == "cosine")

    def regressor(self, part: str) -> Regressor:
        """Of the part `regression` or `refiner`."""
        channels = self.encoding.states if part == "regression" else self.refinement.channels
        return Regressor(self.networks[part], channels)

    def calls(self, sampler: SamplerSettings) -> int:
        """Network calls for one trajectory."""
        sampled = 2 * sampler.steps - 1 if sampler.method == "heun" else sampler.steps
        return {"regression": 1, "residual": 1 + sampled, "direct": sampled}[self.card.form]


def encoding_of(content: Mapping) -> Encoding:
    """The encoding that a card tells."""
    return Encoding(**with_tuples({**content, "layout": OperatorLayout(**with_tuples(content["layout"]))}))


def pack_operator(card: OperatorCard, networks: Mapping[str, nn.Module]) -> dict[str, bytes]:
    """An operator as files, equal bytes for equal content: all parts in one file of weights, and the card with their hash."""
    weights = joined_weights({part: network.state_dict() for part, network in networks.items()})
    content = {**asdict(card), "weights_sha256": weights_hash(weights)}
    return {
        "model.safetensors": tensor_bytes(weights),
        "card.json": (json.dumps(content, indent=1) + "\n").encode(),  # parameters keep their order
    }


def assemble_operator(files: Mapping[str, bytes], *, device: str = "cpu") -> Operator:
    """The operator from its files.

    device   as `claim_device` says: cpu or cuda

    Raises DataError, before anything is computed, for a damaged file, weights that are not those of the card, or networks that do
    not fit it.
    """
    card = read_card(files["card.json"])
    weights = read_tensors(files, "model.safetensors")
    if (found := weights_hash(weights)) != card.weights_sha256:
        raise DataError(
            f"weights of {card.name} have SHA-256 {found[:8]}, its card says {card.weights_sha256[:8]}; fetch it again"
        )
    if missing := [part for part in PARTS[card.form] if part not in card.networks]:
        raise DataError(f"{card.name}: form {card.form} needs the part {', '.join(missing)}; train it anew")
    networks = {part: _network(card, part, weights, device) for part in card.networks}
    return Operator(card, networks, device)


def joined_weights(parts: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """All weights in one mapping, named `{part}.{name}`."""
    return {f"{part}.{name}": value for part, values in parts.items() for name, value in values.items()}


def read_card(content: bytes) -> OperatorCard:
    """The card from its JSON; DataError that lists missing and unknown keys."""
    try:
        found = json_object(content)
    except ValueError as error:
        raise DataError(f"card.json is not JSON ({error}); fetch the model again") from error
    known = {f.name for f in fields(OperatorCard)}
    needed = {"name", "system", "form", "encoding", "networks", "frames", "cells", "dt_s", "weights_sha256"}
    missing, unknown = sorted(needed - found.keys()), sorted(found.keys() - known)
    if missing or unknown or found["form"] not in PARTS:
        raise DataError(f"card.json: missing keys {missing}, unknown keys {unknown}; it is of no operator of this version")
    return OperatorCard(**with_tuples(found))


def _network(card: OperatorCard, part: str, weights: Mapping[str, Tensor], device: str) -> nn.Module:
    try:
        shape = UNetShape(**with_tuples(card.networks[part]))
        prefix = f"{part}."
        own = {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
        network = network_with(lambda: UNet(shape), own)
    except (TypeError, AttributeError, ValueError, ConfigError) as error:
        raise DataError(f"card of {card.name}: {part} is no network of this version ({error}); train it anew") from error
    network.eval().requires_grad_(False).to(device)
    return network.to(memory_format=torch.channels_last) if network.shape.dims == 2 else network
