"""A small perceptron on vectors, for low-dimensional priors and for tests against closed forms."""

import torch
from torch import Tensor, nn

from medidiff.diffusion.networks.embedding import LevelEmbedding


class MLP(nn.Module):
    """A network (b, size) -> (b, size) that knows its noise level; its output is zero until it is trained.

    size     number of coordinates of the input and of the output
    width    features of each hidden layer
    depth    number of hidden layers
    levels   noise levels per item, see `LevelEmbedding`
    seed     of the initial weights
    """

    def __init__(self, size: int, *, width: int = 64, depth: int = 3, levels: int = 1, seed: int = 0):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.embedding = LevelEmbedding(width, levels=levels)
            self.enter = nn.Linear(size, width)
            self.hidden = nn.ModuleList([nn.Linear(width, width) for _ in range(depth)])
            self.film = nn.ModuleList([nn.Linear(width, 2 * width) for _ in range(depth)])
            self.leave = nn.Linear(width, size)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def forward(self, x: Tensor, noise_level: Tensor) -> Tensor:
        embedded = self.embedding(noise_level)
        h = self.enter(x.to(self.embedding.frequency.dtype))
        for layer, film in zip(self.hidden, self.film, strict=True):
            scale, shift = film(embedded).chunk(2, dim=1)
            h = h + nn.functional.silu(layer(h) * (1 + scale) + shift)
        return self.leave(h)
