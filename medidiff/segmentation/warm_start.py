"""A diffusion model that starts as the plain network it will be compared with."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from medidiff.diffusion.networks.unet import UNet
from medidiff.segmentation.denoiser import START_LEVEL


def from_plain(weights: Mapping[str, Tensor], network: UNet) -> dict[str, Tensor]:
    """Weights with which a diffusion model gives the plain network's logits at every level, whatever its noisy mask holds.

    weights   of a plain network that was trained with an empty state at START_LEVEL
    network   of the same shape; it is used to read the embedding and is left with the plain weights

    The first convolution does not see the mask at first (zero weights), and the level is embedded as START_LEVEL everywhere (the
    embedding's last layer has zero weights and the old output as its bias). Both get gradients from the first step on.
    """
    network.load_state_dict(dict(weights))
    with torch.no_grad():
        embedded = level_output(network, START_LEVEL)
    started = {name: value.clone() for name, value in weights.items()}
    # space-to-depth keeps the cells of one channel together, and the state is the first channel
    started["first.weight"][:, : network.shape.stem**network.shape.dims * network.shape.channels] = 0
    started["embedding.second.weight"].zero_()
    started["embedding.second.bias"] = embedded
    return started


def level_output(network: UNet, level: float) -> Tensor:
    """What the last linear layer of the level embedding gives at c_noise = level, before its activation, (width,)."""
    embedding = network.embedding
    phase = level * embedding.frequency
    features = torch.cat([phase.cos(), phase.sin()])
    return embedding.second(nn.functional.silu(embedding.first(features)))
