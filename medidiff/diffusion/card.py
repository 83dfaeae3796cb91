"""The card of a trained prior: what it was trained on, how well it denoises, and where it may be used."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields

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


def card_text(card: Card) -> str:
    """The card as JSON, the same text for the same content."""
    return json.dumps(asdict(card), indent=1, sort_keys=True) + "\n"


def read_card(text: str) -> Card:
    """The card from its JSON.

    Raises DataError that lists missing and unknown keys.
    """
    try:
        content = json.loads(text)
    except ValueError as error:
        raise DataError(f"card.json is not JSON ({error}); fetch the prior again") from error
    known = {field.name for field in fields(Card)}
    optional = {"level_edges", "loss", "gate", "asymmetry", "hallucination_window", "scores"}
    missing, unknown = sorted(known - optional - content.keys()), sorted(content.keys() - known)
    if missing or unknown:
        raise DataError(
            f"card.json: missing keys {missing}, unknown keys {unknown}; it was written by another version, train again"
        )
    return Card(**{key: tuple(value) if isinstance(value, list) else value for key, value in content.items()})


def check_window(card: Card, window: Sequence[float], units: str) -> None:
    """Nothing, when a study is asked for the values that the prior knows.

    Raises DataError that gives both windows.
    """
    if (tuple(window), units) != (tuple(card.window), card.units):
        raise DataError(
            f"prior {card.name} was trained on [{card.window[0]:g}, {card.window[1]:g}] {card.units}, "
            f"the study asks [{window[0]:g}, {window[1]:g}] {units}; change the window or choose another prior"
        )
