"""A trained model of echoes: weights, and the card without which they must not be used."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields

import torch
from torch import Tensor, nn

from medidiff.dehazing.amortised import Regression
from medidiff.dehazing.denoiser import ClassDenoiser
from medidiff.dehazing.settings import Kind
from medidiff.diffusion.checkpoint import network_with, read_tensors, tensor_bytes, weights_hash
from medidiff.diffusion.denoiser import Denoiser, Limits, edm
from medidiff.diffusion.networks.unet import UNet, UNetShape
from medidiff.documents import json_object, with_tuples
from medidiff.errors import ConfigError, DataError
from physics.ultrasound.polar import PolarGrid

CONDITIONS = {"joint": 1, "regress": 1, "conditional": 3}  # channels besides the state: depth, and y for the conditional model


@dataclass(frozen=True)
class EchoCard:
    """What a model is, what signals it was trained on, and how well it did on others."""

    name: str
    kind: Kind
    network: dict  # arguments of UNetShape
    sd: tuple[float, ...]  # of tissue, and of haze in the joint model; companded units
    mu: float  # of the companding
    range_step_m: float  # of the training grid
    angle_step_rad: float
    demodulation_hz: float
    htr_db: tuple[float, float]  # haze over tissue of the training mixtures
    trained_range: tuple[float, float]  # noise levels, companded units; (0, 0) of a regression
    weights_sha256: str = ""
    title: str = ""
    training: dict = field(default_factory=dict)  # settings of the run
    steps: int = 0
    weights: str = ""  # which of the run's weights: raw, or ema-{width}
    hours: float = 0.0
    versions: dict = field(default_factory=dict)
    history: str = ""  # what happened to the run that its settings do not tell
    data: tuple[dict, ...] = ()
    split: dict = field(default_factory=dict)
    gate: dict = field(default_factory=dict)  # error over that of the best linear denoiser: class to noise level to ratio
    validation_loss: float = 0.0
    scores: dict = field(default_factory=dict)  # on seeds that were not trained on
    not_for: str = ""


@dataclass(frozen=True, eq=False)
class EchoModel:
    """A model ready for use."""

    card: EchoCard
    denoiser: Denoiser = field(repr=False)
    multiple: int  # every side of an input must be a multiple of this


@dataclass(frozen=True, eq=False)
class Priors:
    """The models that a run has; `methods` say which one they need."""

    joint: EchoModel | None = None
    regress: EchoModel | None = None
    conditional: EchoModel | None = None

    def need(self, kind: Kind, method: str) -> EchoModel:
        """The model of this kind. ConfigError where there is none."""
        model = getattr(self, kind)
        if model is None:
            raise ConfigError(f"method {method} needs a model, found none; name its folder in dehaze.{kind}, or use wiener.")
        return model


def assemble_priors(files: Mapping[Kind, Mapping[str, bytes]]) -> Priors:
    """All models of a run from their files.

    files   kind (joint, regress, conditional) to the files that `medidiff.io.prior_files.read_prior` gives

    Raises DataError for a damaged file, other weights than the card's, or a model of another kind.
    """
    return Priors(**{kind: assemble_model(found, kind=kind) for kind, found in files.items()})


def pack_model(card: EchoCard, weights: Mapping[str, Tensor]) -> dict[str, bytes]:
    """A model as files: `model.safetensors` and `card.json`, equal bytes for equal content."""
    content = asdict(card)
    return {
        "model.safetensors": tensor_bytes(weights),
        "card.json": (json.dumps(content, indent=1, sort_keys=True) + "\n").encode(),
    }


def assemble_model(files: Mapping[str, bytes], *, kind: Kind) -> EchoModel:
    """The model from its files, its denoiser limited to the levels and sizes that it was trained for.

    Raises DataError for a damaged file, other weights than the card's, or a model of another kind.
    """
    card = read_card(files["card.json"])
    if card.kind != kind:
        raise DataError(f"model {card.name} is of kind {card.kind!r}, dehaze.{kind} needs {kind!r}; name another folder")
    weights = read_tensors(files, "model.safetensors")
    if (found := weights_hash(weights)) != card.weights_sha256:
        raise DataError(
            f"weights of {card.name} have SHA-256 {found[:8]}, its card says {card.weights_sha256[:8]}; fetch it again"
        )
    network = _network(card, weights)
    network.eval().requires_grad_(False).to(memory_format=torch.channels_last)
    return EchoModel(card, denoiser_of(network, card), network.shape.multiple)


def denoiser_of(network: nn.Module, card: EchoCard) -> Denoiser:
    """What the card says that the network is."""
    if card.kind == "regress":
        return Regression(network)
    low, high = card.trained_range
    limits = Limits(sigma_min=low, sigma_max=high, data_std=max(card.sd), multiple=network.shape.multiple)
    return ClassDenoiser(network, card.sd, limits) if card.kind == "joint" else edm(network, card.sd[0], limits)


def read_card(content: bytes) -> EchoCard:
    """The card from its JSON; DataError that lists missing and unknown keys."""
    try:
        found = json_object(content)
    except ValueError as error:
        raise DataError(f"card.json is not JSON ({error}); fetch the model again") from error
    known = {f.name for f in fields(EchoCard)}
    needed = {f.name for f in fields(EchoCard)[:11]}
    missing, unknown = sorted(needed - found.keys()), sorted(found.keys() - known)
    if missing or unknown:
        raise DataError(f"card.json: missing keys {missing}, unknown keys {unknown}; expected the card of a model of echoes")
    return EchoCard(**with_tuples(found))


def check_signal(card: EchoCard, grid: PolarGrid, *, mu: float, tolerance: float) -> None:
    """Nothing, where a recording is what the model was trained on.

    tolerance   largest relative difference of range and angle steps

    Raises DataError that gives both values.
    """
    if card.mu != mu:
        raise DataError(f"model {card.name} was trained with mu {card.mu:g}, dehaze.signal.mu is {mu:g}; make them equal")
    for what, trained, found in (
        ("range step", card.range_step_m * 1e3, grid.range_step_m * 1e3),
        ("angle step", card.angle_step_rad * 1e3, grid.angle_step_rad * 1e3),
    ):
        if abs(found / trained - 1) > tolerance:
            unit = "mm" if what == "range step" else "mrad"
            raise DataError(
                f"model {card.name} was trained with a {what} of {trained:.4g} {unit}, this recording has {found:.4g} {unit}. "
                f"Resample the recording, train a model for it, or raise dehaze.signal.grid_tolerance (now {tolerance:g})."
            )


def _network(card: EchoCard, weights: Mapping[str, Tensor]) -> UNet:
    try:
        shape = UNetShape(**with_tuples(card.network))
    except (TypeError, AttributeError, ValueError, ConfigError) as error:
        raise DataError(f"model {card.name}: its card describes no network of this version ({error}); fetch it again") from error
    wanted = (2, CONDITIONS[card.kind], 2 if card.kind == "joint" else 0)
    if (shape.channels, shape.condition, shape.classes) != wanted:
        raise DataError(
            f"model {card.name}: expected {wanted[0]} channels, {wanted[1]} conditions and {wanted[2]} classes, its network has "
            f"{shape.channels}, {shape.condition} and {shape.classes}; train it anew with `medidiff train`"
        )
    try:
        return network_with(lambda: UNet(shape), weights)
    except (TypeError, ConfigError) as error:
        raise DataError(f"model {card.name}: its card describes no network of this version ({error}); fetch it again") from error
