"""A trained prior ready for use: its card, and the denoiser that the card describes."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from medidiff.diffusion.card import Card, unpack_prior
from medidiff.diffusion.checkpoint import network_with
from medidiff.diffusion.denoiser import Denoiser, edm
from medidiff.diffusion.networks.unet import UNet, UNetShape
from medidiff.documents import with_tuples
from medidiff.errors import ConfigError, DataError


@dataclass(frozen=True, eq=False)
class Prior:
    """What a solver needs of a trained network."""

    card: Card
    denoiser: Denoiser = field(repr=False)  # u (b, card.channels, *space) in network units, sides multiples of card.multiple


def assemble_prior(files: Mapping[str, bytes]) -> Prior:
    """The prior from its files, its denoiser limited to the noise levels and sizes that it was trained for.

    files   name to bytes, as `medidiff.io.prior_files.read_prior` gives them

    Raises DataError when a file is missing or damaged, when the weights are not those of the card, and when the card describes
    another kind of network than this version can build.
    """
    card, weights = unpack_prior(files)
    network = _network(card, weights)
    network.eval().requires_grad_(False)
    if network.shape.dims == 2:
        network.to(memory_format=torch.channels_last)  # the faster order of values in memory on processors
    return Prior(card, edm(network, card.sd, card.limits))


def _network(card: Card, weights: Mapping[str, Tensor]) -> nn.Module:
    if (card.process, card.output) != ("edm", "F"):
        raise DataError(
            f"prior {card.name}: found process {card.process!r} with output {card.output!r}, expected 'edm' with 'F'; "
            "train it anew with `medidiff train`"
        )
    try:
        shape = UNetShape(**with_tuples(card.network))
        multiple = shape.multiple
    except (TypeError, AttributeError, ValueError, ConfigError) as error:
        raise DataError(f"prior {card.name}: its card describes no network of this version ({error}); fetch it again") from error
    if (shape.channels, multiple) != (card.channels, card.multiple):
        raise DataError(
            f"prior {card.name}: its card says {card.channels} channels and multiples of {card.multiple}, its network has "
            f"{shape.channels} and {multiple}; fetch it again"
        )
    try:
        return network_with(lambda: UNet(shape), weights)
    except (TypeError, ConfigError) as error:
        raise DataError(f"prior {card.name}: its card describes no network of this version ({error}); fetch it again") from error
