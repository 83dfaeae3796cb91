"""Priors in a smaller space: the same engine on the codes of an autoencoder."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from medidiff.diffusion.noise import Noise
from medidiff.diffusion.objectives import Batch
from medidiff.errors import DataError


class Autoencoder(Protocol):
    """Anything that maps images (b, c, *space) to codes (b, k, *small) and back."""

    def encode(self, x: Tensor) -> Tensor: ...

    def decode(self, z: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class PrincipalComponents:
    """The linear autoencoder of least squared error.

    mean         (*event,)        data unit
    directions   (d, k)           orthonormal columns
    """

    mean: Tensor
    directions: Tensor

    @classmethod
    def of(cls, data: Tensor, count: int) -> "PrincipalComponents":
        """The first `count` components of data (n, *event). Raises DataError when the data do not have so many."""
        if count > min(len(data), data[0].numel()):
            raise DataError(f"{count} components of {len(data)} items with {data[0].numel()} values each; ask for fewer")
        mean = data.mean(0)
        rows = torch.linalg.svd((data - mean).flatten(1), full_matrices=False).Vh[:count]
        return cls(mean, rows.T)

    def encode(self, x: Tensor) -> Tensor:
        return (x - self.mean.to(x)).flatten(1) @ self.directions.to(x)

    def decode(self, z: Tensor) -> Tensor:
        return (z @ self.directions.to(z).T).reshape(len(z), *self.mean.shape) + self.mean.to(z)


@dataclass(frozen=True)
class Scaled:
    """An autoencoder whose codes have mean 0 and standard deviation 1 in every channel, as the engine's levels expect.

    shift, scale   (k,)   mean and standard deviation of the raw codes

    Per channel, where Rombach et al. 2022 (arXiv 2112.10752, appendix G) take one number for all.
    """

    inner: Autoencoder
    shift: Tensor
    scale: Tensor

    @classmethod
    @torch.no_grad()
    def of(cls, inner: Autoencoder, data: Tensor) -> "Scaled":
        """The scaling measured on training data (n, c, *space)."""
        channels = inner.encode(data).movedim(1, 0).flatten(1)
        return cls(inner, channels.mean(1), channels.std(1))

    def encode(self, x: Tensor) -> Tensor:
        z = self.inner.encode(x)
        return (z - _channels(self.shift, z)) / _channels(self.scale, z)

    def decode(self, z: Tensor) -> Tensor:
        return self.inner.decode(z * _channels(self.scale, z) + _channels(self.shift, z))


@dataclass(frozen=True)
class Reconstruction:
    """The objective of a variational autoencoder: absolute error plus a small divergence of the codes from white noise.

        loss = mean |decode(m + exp(v/2) n) - x0| + share mean (m^2 + exp(v) - 1 - v)/2

    What is trained maps (x, n) to (reconstruction, m, v), with v the log variance and n a function that draws noise like m.
    Rombach et al. 2022 (arXiv 2112.10752, section 3.1).
    """

    share: float = 1e-6

    def __call__(self, batch: Batch, autoencoder: Callable, noise: Noise) -> Tensor:
        x0 = batch["x0"]
        reconstruction, mean, log_variance = autoencoder(x0, lambda like: noise(0, like, draw="code"))
        divergence = (mean**2 + log_variance.exp() - 1 - log_variance).mean() / 2
        return (reconstruction - x0).abs().mean() + self.share * divergence


@dataclass(frozen=True)
class Codes:
    """A training set of codes: the images of another set, encoded batch by batch. Conditions pass through."""

    images: Mapping
    autoencoder: Autoencoder

    def __len__(self) -> int:
        return len(self.images)

    @torch.no_grad()
    def __getitem__(self, indices: Tensor) -> dict[str, Tensor]:
        batch = dict(self.images[indices])
        return {**batch, "x0": self.autoencoder.encode(batch["x0"])}


def _channels(values: Tensor, like: Tensor) -> Tensor:
    return values.to(like).reshape(1, -1, *[1] * (like.ndim - 2))
