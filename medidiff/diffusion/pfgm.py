"""PFGM++ (Xu 2023): the noise of a charge in N + D dimensions. Its deterministic samplers are those of every other process.

The kernel is heavy-tailed for finite D, so scores, posterior covariances, likelihoods and stochastic rules do not hold; as D
grows it becomes Gaussian, and the denoiser goes to EDM's as 1/D.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from medidiff.diffusion.noise import Noise
from medidiff.diffusion.process import per_item
from medidiff.errors import ConfigError


@dataclass(frozen=True)
class HeavyTailedNoise:
    """PFGM++'s perturbation, for starts and for training: u = x0 + R direction (Xu 2023, eq. 6).

        R = sigma sqrt(D) sqrt(q / (1 - q)),    q ~ Beta(N/2, D/2),    direction uniform on the unit sphere of R^N
        E R^2 = N D sigma^2 / (D - 2)

    N is the number of elements of one item.
    """

    extra_dimensions: float  # D; 128 to 2048 for images
    noise: Noise

    def __post_init__(self):
        if not self.extra_dimensions > 0:
            raise ConfigError(f"extra_dimensions {self.extra_dimensions:g}: expected above 0")

    def __call__(self, step: int, like: Tensor, sigma: Tensor, draw: int | str = 0) -> Tensor:
        """Noise of level sigma (b,) in the shape of `like`, (b, *any), data unit."""
        z = self.noise(step, like, draw)
        direction = z / per_item(z.flatten(1).norm(dim=1), z)
        q = self.squared_share(step, like, draw)
        radius = sigma.to(q) * math.sqrt(self.extra_dimensions) * torch.sqrt(q / (1 - q))
        return per_item(radius, z) * direction

    def squared_share(self, step: int, like: Tensor, draw: int | str) -> Tensor:
        """q = |z|^2 / (|z|^2 + chi^2_D), (b,), its two parts from stateless generators of their own."""
        names = self.noise.items or range(len(like))
        shares = []
        for name in names:
            seed = self.noise.generator(step, name, f"radius-{draw}").initial_seed()
            shares.append(np.random.default_rng(seed % 2**64).beta(like[0].numel() / 2, self.extra_dimensions / 2))
        return torch.tensor(shares, dtype=torch.float64, device=like.device)
