"""A trained segmentation model: weights, and the card without which they must not be used."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields

from torch import Tensor, nn

from medidiff.diffusion.checkpoint import network_with, read_tensors, tensor_bytes, weights_hash
from medidiff.diffusion.networks.unet import UNet, UNetShape
from medidiff.documents import json_object, with_tuples
from medidiff.errors import ConfigError, DataError
from medidiff.segmentation.calibration import Calibration
from medidiff.segmentation.conditioning import Conditioning
from medidiff.segmentation.denoiser import LAMBDA_MAX, LAMBDA_MIN
from medidiff.segmentation.planes import Planes


@dataclass(frozen=True)
class MaskCard:
    """What a model is, what it was trained on, and how well it did on patients it has not seen."""

    name: str
    kind: str  # diffusion, or unet: the same network without diffusion
    network: dict  # arguments of UNetShape
    conditioning: dict  # arguments of Conditioning: modalities, spacing, windows
    weights_sha256: str
    title: str = ""  # what it finds, in one line
    neighbours: int = 0  # slices beside each that a network of slices sees
    patch: tuple[int, int, int] = (48, 48, 48)  # voxels of a training patch
    single_lesion: bool = False  # every study of the training had one lesion: the mask is its largest part
    lambda_range: tuple[float, float] = (LAMBDA_MIN, LAMBDA_MAX)  # levels of training
    training: dict = field(default_factory=dict)  # settings
    steps: int = 0  # updates of the weights
    weights: str = ""  # which of the run's weights: raw, or ema-{width}
    hours: float = 0.0  # of the run
    versions: dict = field(default_factory=dict)  # of the packages
    history: str = ""  # what happened to the run that its settings do not tell
    data: tuple[dict, ...] = ()  # of each data set: title, licence, citation, files with their SHA-256
    split: dict = field(default_factory=dict)  # names of the studies: train, validation
    scores: dict = field(default_factory=dict)  # on the validation studies, and how settings were chosen
    not_for: str = ""  # what it must not be used for
    calibration: dict = field(default_factory=dict)  # arguments of Calibration; empty where none was fitted
    familiar: dict = field(default_factory=dict)  # features of the training's studies, each with its low and high


@dataclass(frozen=True, eq=False)
class MaskModel:
    """A network ready for use."""

    card: MaskCard
    network: nn.Module  # of volumes (b, c, i, j, k), in evaluation mode
    conditioning: Conditioning
    multiple: int  # every side of an input must be a multiple of this
    device: str = "cpu"
    calibration: Calibration = Calibration()  # noqa: RUF009  (frozen)


def pack_model(card: MaskCard, weights: Mapping[str, Tensor]) -> dict[str, bytes]:
    """A model as files: `model.safetensors` and `card.json`, equal bytes for equal content. The card gets the weights' hash."""
    content = {**asdict(card), "weights_sha256": weights_hash(weights)}
    return {
        "model.safetensors": tensor_bytes(weights),
        "card.json": (json.dumps(content, indent=1, sort_keys=True) + "\n").encode(),
    }


def assemble_model(files: Mapping[str, bytes], *, kind: str, device: str = "cpu") -> MaskModel:
    """The model from its files.

    kind     what it must be: diffusion or unet
    device   where its network runs, as `claim_device` says: cpu or cuda

    Raises DataError, before anything is computed, for a damaged file, weights that are not those of the card, a network that does
    not fit the card's channels or levels, and a model of another kind.
    """
    card = read_card(files["card.json"])
    if card.kind != kind:
        raise DataError(f"model {card.name} is of kind {card.kind!r}, the method needs {kind!r}; choose another model or method")
    weights = read_tensors(files, "model.safetensors")
    if (found := weights_hash(weights)) != card.weights_sha256:
        raise DataError(
            f"weights of {card.name} have SHA-256 {found[:8]}, its card says {card.weights_sha256[:8]}; fetch it again"
        )
    conditioning, shape, calibration = _checked(card)
    network = network_with(lambda: UNet(shape), weights)
    network.eval().requires_grad_(False).to(device)
    volumes = network if shape.dims == 3 else Planes(network, card.neighbours)
    return MaskModel(card, volumes, conditioning, shape.multiple, device, calibration)


def read_card(content: bytes) -> MaskCard:
    """The card from its JSON; DataError that lists missing and unknown keys."""
    try:
        found = json_object(content)
    except ValueError as error:
        raise DataError(f"card.json is not JSON ({error}); fetch the model again") from error
    known, needed = {f.name for f in fields(MaskCard)}, {"name", "kind", "network", "conditioning", "weights_sha256"}
    missing, unknown = sorted(needed - found.keys()), sorted(found.keys() - known)
    if missing or unknown:
        raise DataError(f"card.json: missing keys {missing}, unknown keys {unknown}; it was written by another version")
    return MaskCard(**with_tuples(found))


def _checked(card: MaskCard) -> tuple[Conditioning, UNetShape, Calibration]:
    try:
        conditioning = Conditioning(**with_tuples(card.conditioning))
        shape = UNetShape(**with_tuples(card.network))
        calibration = Calibration(**with_tuples(card.calibration))
    except (TypeError, AttributeError, ValueError, ConfigError) as error:
        raise DataError(f"card of {card.name}: {error}; it was written by another version") from error
    channels = len(conditioning.modalities) * (1 + 2 * card.neighbours)
    if shape.condition != channels or shape.channels != 1 or shape.dims not in (2, 3):
        raise DataError(
            f"card {card.name}: {' and '.join(conditioning.modalities)} with {card.neighbours} neighbours: {channels} channels,"
            f" but its network takes {shape.condition}, and a state of {shape.channels} in {shape.dims}-D; train again"
        )
    if tuple(card.lambda_range) != (LAMBDA_MIN, LAMBDA_MAX):
        raise DataError(
            f"card of {card.name}: trained at levels {tuple(card.lambda_range)}, the sampler's are {(LAMBDA_MIN, LAMBDA_MAX)};"
            " train again"
        )
    return conditioning, shape, calibration
