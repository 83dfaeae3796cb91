"""Networks of slices as denoisers of volumes: 2-D (each slice by itself) and 2.5-D (each slice with its neighbours)."""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from medidiff.segmentation.conditioning import FILL


@dataclass(frozen=True)
class Planes:
    """A network of volumes (b, c, i, j, k) that works slice by slice along k.

    network      (x, c_noise, condition) of images
    neighbours   slices on each side that are further channels of the condition, slice by slice from -neighbours on; 0 is 2-D
    """

    network: nn.Module = field(repr=False)
    neighbours: int = 0

    @property
    def shape(self):
        """Of the network of slices."""
        return self.network.shape

    def __call__(self, x: Tensor, noise_level: Tensor, condition: Tensor) -> Tensor:
        count = x.shape[-1]
        images = self.network(
            as_images(x), noise_level.repeat_interleave(count, 0), as_images(neighbourhood(condition, self.neighbours))
        )
        return images.unflatten(0, (len(x), count)).movedim(1, -1)


def neighbourhood(volume: Tensor, neighbours: int) -> Tensor:
    """Each slice with those beside it as channels, (b, (1 + 2 neighbours) c, i, j, k); beyond the ends lies FILL."""
    count = volume.shape[-1]
    padded = pad(volume, (neighbours, neighbours), value=FILL)
    return torch.cat([padded[..., shift : shift + count] for shift in range(2 * neighbours + 1)], dim=1)


def as_images(volume: Tensor) -> Tensor:
    """(b, c, i, j, k) as (b k, c, i, j)."""
    return volume.movedim(-1, 1).flatten(0, 1)
