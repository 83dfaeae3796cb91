"""The card of a trained prior: what it was trained on, how well it denoises, and where it may be used."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields

from torch import Tensor

from medidiff.diffusion.checkpoint import read_tensors, tensor_bytes, weights_hash
from medidiff.diffusion.denoiser import Limits
from medidiff.documents import json_object, with_tuples
from medidiff.errors import DataError


@dataclass(frozen=True)
class Card:
    name: str
    process: str  # a row of the process table, e.g. "edm" or "flow"
    output: str  # what the network predicts: F, eps, x0, v, velocity, residual
    sd: float  # standard deviation of the training data in network units
    trained_range: tuple[float, float]  # .1 % and 99.9 % quantiles of the noise levels seen
    window: tuple[float, float]  # data values that -1 and 1 stand for
    units: str  # of the window: HU, mm/s, ...
    channels: int
    multiple: int  # every side must be a multiple of this
    network: dict  # arguments of the network's constructor
    weights_sha256: str
    data_sha256: tuple[str, ...]  # one per file of the training set
    seed: int
    steps: int
    threads: int  # of the run; another number may change the last bits
    versions: dict[str, str]
    level_edges: tuple[float, ...] = ()  # bins of the noise level
    loss: tuple[float, ...] = ()  # validation loss per bin, 1 for a network that knows nothing
    gate: tuple[float, ...] = ()  # mean squared error over that of the best linear denoiser, per bin: below 1 is worth using
    asymmetry: tuple[float, ...] = ()  # |J - J^T| / |J| per bin: above .1, rules that need the Jacobian are unsafe
    hallucination_window: tuple[float, float] | None = None  # noise levels where modes have separated
    scores: dict[str, float] | None = None  # of the task, on held-out data
    title: str = ""  # what the images are
    data: tuple[dict, ...] = ()  # of each data set: name, title, licence, citation
    split: dict = field(default_factory=dict)  # of each data set: names that were trained on, held out, measured on
    training: dict = field(default_factory=dict)  # settings of the run, as its file gives them
    weights: str = ""  # which of the last step: raw, or ema-{width}
    validation_loss: float | None = None  # weighted mean squared error, averaged over the levels of the training
    hours: float | None = None  # on the processor it was trained on
    history: str = ""  # what a run with these settings would do otherwise
    not_for: str = ""  # what it must not be used for
    axes: str = ""  # where columns and rows of its slices lead: LP to the left and back; empty: every way, or not known

    @property
    def limits(self) -> Limits:
        """Where the prior may be used, for the adapter around its network."""
        low, high = self.trained_range
        return Limits(sigma_min=low, sigma_max=high, data_std=self.sd, multiple=self.multiple)


def pack_prior(card: Card, weights: Mapping[str, Tensor]) -> dict[str, bytes]:
    """A prior as files: `model.safetensors` and `card.json`, equal bytes for equal content.

    Raises DataError when the card is of other weights.
    """
    _check_hash(card, weights)
    return {"model.safetensors": tensor_bytes(weights), "card.json": card_text(card).encode()}


def unpack_prior(files: Mapping[str, bytes]) -> tuple[Card, dict[str, Tensor]]:
    """Card and weights of a prior.

    Raises DataError when a file is missing or damaged, or when the weights are not those of the card.
    """
    weights = read_tensors(files, "model.safetensors")
    if "card.json" not in files:
        raise DataError(f"prior has no card.json, found {', '.join(sorted(files))}; fetch the prior again")
    card = read_card(files["card.json"].decode(errors="replace"))
    _check_hash(card, weights)
    return card, weights


def _check_hash(card: Card, weights: Mapping[str, Tensor]) -> None:
    found = weights_hash(weights)
    if found != card.weights_sha256:
        raise DataError(
            f"weights of prior {card.name} have SHA-256 {found[:8]}, its card says {card.weights_sha256[:8]}; "
            "fetch the prior again"
        )


def card_text(card: Card) -> str:
    """The card as JSON, the same text for the same content."""
    return json.dumps(asdict(card), indent=1, sort_keys=True) + "\n"


def read_card(text: str) -> Card:
    """The card from its JSON.

    Raises DataError that lists missing and unknown keys.
    """
    try:
        content = json_object(text)
    except ValueError as error:
        raise DataError(f"card.json is not JSON ({error}); fetch the prior again") from error
    known = {f.name for f in fields(Card)}
    needed = {f.name for f in fields(Card) if f.default is MISSING and f.default_factory is MISSING}
    missing, unknown = sorted(needed - content.keys()), sorted(content.keys() - known)
    if missing or unknown:
        raise DataError(
            f"card.json: missing keys {missing}, unknown keys {unknown}; it was written by another version, train again"
        )
    return Card(**with_tuples(content))


def check_window(card: Card, window: Sequence[float], units: str) -> None:
    """Nothing, when a study is asked for the values that the prior knows.

    Raises DataError that gives both windows.
    """
    if (tuple(window), units) != (tuple(card.window), card.units):
        raise DataError(
            f"prior {card.name} was trained on [{card.window[0]:g}, {card.window[1]:g}] {card.units}, "
            f"the study asks [{window[0]:g}, {window[1]:g}] {units}; change the window or choose another prior"
        )
