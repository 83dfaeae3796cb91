"""A training state as named bytes and back: safetensors and JSON, never pickle. Where the bytes go is the caller's business."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from medidiff.documents import json_object
from medidiff.errors import DataError

Weights = Mapping[str, Tensor]


@dataclass(frozen=True)
class Checkpoint:
    """All that a training run is after `step` updates; random numbers are a hash of seed and step, so they need no state."""

    step: int  # updates made
    model: Weights
    averages: Mapping[float, Weights]  # by relative width
    optimizer: Weights  # "{parameter}.{quantity}"
    card: Mapping[str, object] = field(default_factory=dict)  # JSON: losses, versions, settings


def pack(checkpoint: Checkpoint) -> dict[str, bytes]:
    """The checkpoint as files: name to bytes, equal bytes for equal content.

    returns   model.safetensors, ema-{width}.safetensors, optimizer.safetensors, card.json
    """
    files = {"model.safetensors": tensor_bytes(checkpoint.model), "optimizer.safetensors": tensor_bytes(checkpoint.optimizer)}
    for width, weights in checkpoint.averages.items():
        files[f"ema-{width:g}.safetensors"] = tensor_bytes(weights)
    files["card.json"] = (json.dumps({**checkpoint.card, "step": checkpoint.step}, indent=1, sort_keys=True) + "\n").encode()
    return files


def unpack(files: Mapping[str, bytes]) -> Checkpoint:
    """The checkpoint from what `pack` made.

    Raises DataError that names the file when one is missing or is not safetensors or JSON.
    """
    card = _read(files, "card.json", json_object)
    averages = {
        float(name.removeprefix("ema-").removesuffix(".safetensors")): read_tensors(files, name)
        for name in sorted(files)
        if name.startswith("ema-")
    }
    return Checkpoint(
        step=int(card["step"]),
        model=read_tensors(files, "model.safetensors"),
        averages=averages,
        optimizer=read_tensors(files, "optimizer.safetensors"),
        card={key: value for key, value in card.items() if key != "step"},
    )


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's running quantities, "{parameter index}.{quantity}"; its settings are the caller's."""
    state = optimizer.state_dict()["state"]
    return {f"{index}.{name}": torch.as_tensor(value) for index, kept in state.items() for name, value in kept.items()}


def load_optimizer(optimizer: torch.optim.Optimizer, tensors: Weights) -> None:
    """Puts what `optimizer_tensors` gave back into an optimiser of the same parameters."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = value.clone()
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def network_with(build: Callable[[], nn.Module], weights: Weights) -> nn.Module:
    """The network that `build` makes, with these weights.

    Its sizes are compared with those of the weights before any memory is reserved for it, since a card may state any. Raises
    DataError as `load_weights` does.
    """
    with torch.device("meta"):
        check_weights(build(), weights)
    network = build()
    load_weights(network, weights)
    return network


def load_weights(network: nn.Module, weights: Weights) -> None:
    """Puts weights into a network. Raises DataError as `check_weights` does."""
    check_weights(network, weights)
    network.load_state_dict(dict(weights))


def check_weights(network: nn.Module, weights: Weights) -> None:
    """Raises DataError that lists names and shapes when weights belong to another network."""
    expected = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in weights.items()}
    if expected != found:
        names = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
        first = names[0]
        raise DataError(
            f"weights are of another network: {len(names)} of {len(expected)} tensors differ, first {first}: found "
            f"{found.get(first, 'nothing')}, expected {expected.get(first, 'nothing')}; use the network shape of their card"
        )


def weights_hash(weights: Weights) -> str:
    """SHA-256 of names, shapes, types and values: equal for equal weights."""
    return hashlib.sha256(tensor_bytes(weights)).hexdigest()


def settings_hash(settings: Mapping[str, object]) -> str:
    """SHA-256 of settings as sorted JSON; a checkpoint of other settings is refused by it."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()


def tensor_bytes(weights: Weights) -> bytes:
    """Weights as the bytes of a safetensors file, sorted by name."""
    return save_tensors({name: value.detach().cpu().contiguous() for name, value in sorted(weights.items())})


def read_tensors(files: Mapping[str, bytes], name: str) -> dict[str, Tensor]:
    """The tensors of one safetensors file among these; DataError when it is missing or damaged."""
    return _read(files, name, load_tensors)


def _read(files: Mapping[str, bytes], name: str, reader):
    if name not in files:
        raise DataError(
            f"no {name} among {', '.join(sorted(files)) or 'no files'}; use an older checkpoint, or fetch the prior again"
        )
    try:
        return reader(files[name])
    except (SafetensorError, ValueError) as error:
        raise DataError(f"{name} is damaged ({error}); use an older checkpoint, or fetch the prior again") from error
