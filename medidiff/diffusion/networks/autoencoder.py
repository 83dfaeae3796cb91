"""A small variational autoencoder of signals, images and volumes, for priors in a smaller space."""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn

from medidiff.diffusion.networks.unet import conv, normalise


class Autoencoder(nn.Module):
    """Images (b, channels, *space) to codes (b, codes, *space / 2**halvings) and back.

    dims       1 signals, 2 images, 3 volumes
    channels   of the images
    codes      channels of the codes
    width      features at full resolution, doubled at every halving
    halvings   how often every side is halved
    seed       of the initial weights
    """

    def __init__(self, *, dims: int, channels: int, codes: int, width: int = 32, halvings: int = 2, seed: int = 0):
        super().__init__()
        widths = [width * 2**i for i in range(halvings + 1)]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            down = [conv(dims, channels, width, size=3)]
            for fine, coarse in pairwise(widths):
                down += [normalise(fine), nn.SiLU(), conv(dims, fine, coarse, size=3, stride=2)]
            down += [normalise(widths[-1]), nn.SiLU(), conv(dims, widths[-1], 2 * codes, size=3)]
            up = [conv(dims, codes, widths[-1], size=3)]
            for coarse, fine in pairwise(reversed(widths)):
                up += [normalise(coarse), nn.SiLU(), nn.Upsample(scale_factor=2), conv(dims, coarse, fine, size=3)]
            up += [normalise(width), nn.SiLU(), conv(dims, width, channels, size=3)]
        self.down, self.up = nn.Sequential(*down), nn.Sequential(*up)

    def forward(self, x: Tensor, draw: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Reconstruction, mean and log variance of the codes; `draw` makes white noise like its argument."""
        mean, log_variance = self.down(x).chunk(2, dim=1)
        log_variance = log_variance.clamp(-20, 10)
        return self.decode(mean + torch.exp(log_variance / 2) * draw(mean)), mean, log_variance

    def encode(self, x: Tensor) -> Tensor:
        """The mean code."""
        return self.down(x).chunk(2, dim=1)[0]

    def decode(self, z: Tensor) -> Tensor:
        """The image of a code."""
        return self.up(z)
