"""Reusing the deep features of a U-Net for a few steps of a sampler; fewer levels at equal time often beat it (`speed`)."""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from medidiff.diffusion.convert import edm_factors
from medidiff.diffusion.denoiser import Denoiser
from medidiff.diffusion.distil import heun_step, noisy_pair
from medidiff.diffusion.networks.unet import Block, UNet
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.objectives import Batch, conditions
from medidiff.diffusion.process import per_item
from medidiff.errors import ConfigError


class Cached:
    """A U-Net, called as ever, that works out its deep features on every `every`-th level only.

    network    a `UNet`
    every      1 = always; m = the features of one level serve the next m - 1
    depth      features of this resolution and all coarser ones are kept; 0 keeps everything but the last layer
    feedback   (feature, embedded) -> feature, which brings a kept feature to the present level; none: it is used as it is

    A higher noise level begins a new path. Several calls at one level are the batches of one state, in the same order at every
    level, as `denoiser.sliced` makes them; the features of each are kept. A-SDM's feature inheritance (arXiv 2406.00210), as
    DeepCache (arXiv 2312.00858).
    """

    def __init__(self, network: UNet, *, every: int = 2, depth: int = 1, feedback: nn.Module | None = None):
        if every < 1 or not 0 <= depth < len(network.levels):
            raise ConfigError(
                f"every {every}, depth {depth}: expected every >= 1 and a depth from 0 to {len(network.levels) - 1}"
            )
        self.network, self.every, self.depth, self.feedback = network, every, depth, feedback
        self.level, self.step, self.batch = torch.inf, 0, 0
        self.kept: dict[int, tuple[int, Tensor]] = {}  # by batch: the step its feature was worked out in, and the feature

    def __call__(self, x: Tensor, noise_level: Tensor, condition: Tensor | None = None, label: Tensor | None = None) -> Tensor:
        self._enter(float(noise_level.max()))
        h, embedded = self.network.enter(x, noise_level, condition, label)
        return self.network.leave(self.network.through(h, embedded, replace={self.depth: self._deep}))

    def _enter(self, level: float) -> None:
        if level > self.level:
            self.kept.clear()
        self.batch = self.batch + 1 if level == self.level else 0
        self.step += level != self.level
        self.level = level

    def _deep(self, h: Tensor, embedded: Tensor) -> Tensor:
        made, feature = self.kept.get(self.batch, (-self.every, h))
        if self.step - made >= self.every or len(feature) != len(h):
            feature = self.network.through(h, embedded, self.depth)
            self.kept[self.batch] = self.step, feature
            return feature
        return feature if self.feedback is None else self.feedback(feature, embedded)


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
        named = conditions(batch)
        lower = heun_step(self.denoiser, u, a, b, **named)
        with torch.no_grad():
            kept, _ = self._feature(u, a, named)
            target, embedded = self._feature(lower, b, named)
        return ((feedback(kept, embedded) - target) ** 2).mean()

    def _feature(self, u: Tensor, sigma: Tensor, named: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        factors, found = edm_factors(sigma, self.sd), []
        x, level = per_item(factors.c_in, u) * u, factors.c_noise.to(u.dtype)
        h, embedded = self.network.enter(x, level, named.get("condition"), named.get("label"))

        def record(inner: Tensor, level: Tensor) -> Tensor:
            found.append(self.network.through(inner, level, self.depth))
            return found[0]

        self.network.through(h, embedded, replace={self.depth: record})
        return found[0], embedded
