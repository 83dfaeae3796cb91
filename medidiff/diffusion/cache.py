"""Reusing the deep features of a U-Net for a few steps of a sampler; fewer levels at equal time often beat it (`speed`)."""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from medidiff.diffusion.convert import edm_factors
from medidiff.diffusion.denoiser import Denoiser
from medidiff.diffusion.distil import heun_step, noisy_pair
from medidiff.diffusion.networks.unet import Block, UNet
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.objectives import Batch
from medidiff.diffusion.process import per_item
from medidiff.errors import ConfigError


class Cached:
    """A U-Net, called as ever, that works out its deep features on every `every`-th call only.

    network    a `UNet`
    every      1 = always; m = the features of one call serve the next m - 1
    depth      features of this resolution and all coarser ones are kept; 0 keeps everything but the last layer
    feedback   (feature, embedded) -> feature, which brings a kept feature to the present level; none: it is used as it is

    A call whose noise level does not fall, or whose shape is another, begins a new path and computes everything. So batches of
    one volume that are worked through one after the other at the same level gain nothing. A-SDM's feature inheritance
    (arXiv 2406.00210), as DeepCache (arXiv 2312.00858).
    """

    def __init__(self, network: UNet, *, every: int = 2, depth: int = 1, feedback: nn.Module | None = None):
        if every < 1 or not 0 <= depth < len(network.levels):
            raise ConfigError(
                f"every {every}, depth {depth}: expected every >= 1 and a depth from 0 to {len(network.levels) - 1}"
            )
        self.network, self.every, self.depth, self.feedback = network, every, depth, feedback
        self.calls, self.last_level, self.kept = 0, torch.inf, None

    def __call__(self, x: Tensor, noise_level: Tensor, condition: Tensor | None = None, label: Tensor | None = None) -> Tensor:
        h, embedded = self.network.enter(x, noise_level, condition, label)
        level = float(noise_level.max())
        if self.kept is None or level >= self.last_level or len(self.kept) != len(x):
            self.calls = 0
        self.last_level = level
        features = self.network.through(h, embedded, replace={self.depth: self._deep})
        self.calls += 1
        return self.network.leave(features)

    def _deep(self, h: Tensor, embedded: Tensor) -> Tensor:
        if self.calls % self.every == 0 or self.kept.shape[2:] != h.shape[2:]:
            self.calls, self.kept = 0, self.network.through(h, embedded, self.depth)
            return self.kept
        return self.kept if self.feedback is None else self.feedback(self.kept, embedded)


class Feedback(nn.Module):
    """A block that brings a kept feature to the present noise level; its gate is 0 at the start, so that it changes nothing.

        feature + gate * block(feature, embedded)

    Inner Loop Feedback (arXiv 2501.13107).
    """

    def __init__(self, network: UNet, *, depth: int = 1, seed: int = 0):
        super().__init__()
        shape = network.shape
        features = shape.width * shape.multipliers[depth]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.block = Block(shape.dims, features, features, 4 * shape.width)
            nn.init.normal_(self.block.conv2.weight, std=0.02)
        self.gate = nn.Parameter(torch.zeros(()))

    def forward(self, feature: Tensor, embedded: Tensor) -> Tensor:
        return feature + self.gate * (self.block(feature, embedded) - feature)


@dataclass(frozen=True)
class FeatureForecast:
    """The objective of a `Feedback`: the feature at the upper of two neighbouring levels, led to that of the lower one.

    loss = mean (feedback(feature(u_a, a), b) - feature(u_b, b))^2,     u_b = one Heun step of the denoiser from u_a
    """

    network: UNet = field(repr=False)
    denoiser: Denoiser = field(repr=False)  # the same network as a denoiser
    grid: Tensor = field(repr=False)  # (n,) levels of the sampler, positive
    sd: float  # of the EDM adapter around the network
    depth: int = 1

    def __call__(self, batch: Batch, feedback: Feedback, noise: Noise) -> Tensor:
        u, a, b = noisy_pair(batch["x0"], self.grid, noise)
        lower = heun_step(self.denoiser, u, a, b)
        with torch.no_grad():
            kept, _ = self._feature(u, a)
            target, embedded = self._feature(lower, b)
        return ((feedback(kept, embedded) - target) ** 2).mean()

    def _feature(self, u: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        factors, found = edm_factors(sigma, self.sd), []
        h, embedded = self.network.enter(per_item(factors.c_in, u) * u, factors.c_noise.to(u.dtype), None, None)

        def record(inner: Tensor, level: Tensor) -> Tensor:
            found.append(self.network.through(inner, level, self.depth))
            return found[0]

        self.network.through(h, embedded, replace={self.depth: record})
        return found[0], embedded
