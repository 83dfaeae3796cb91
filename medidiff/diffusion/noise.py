"""Stateless noise: a hash of seed, item, step and draw seeds each tensor, so there is no generator state to keep.

The same slice gets the same noise in any batch, on any device and after any interruption.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Noise:
    """Reproducible Gaussian (and uniform) numbers, called as `noise(step, like)`.

    seed     any integer
    items    one name per batch entry (slice number, study id); () names them 0, 1, 2, ...

    Draw 0 belongs to whoever makes the start; the steps of a sampler use draws 1 and up and so never repeat it.
    """

    seed: int = 0
    items: tuple[int | str, ...] = ()

    def __call__(self, step: int, like: Tensor, draw: int | str = 0) -> Tensor:
        """Standard normal numbers of the shape, dtype and device of `like`, (b, *any).

        step    which step of a run, 0 and up
        draw    which of several draws in that step
        """
        return self.stacked(torch.randn, step, like, draw)

    def uniform(self, step: int, like: Tensor, draw: int | str = 0) -> Tensor:
        """Numbers uniform in [0, 1) of the shape, dtype and device of `like`."""
        return self.stacked(torch.rand, step, like, draw)

    def stacked(self, sampler: Callable[..., Tensor], step: int, like: Tensor, draw: int | str) -> Tensor:
        """One independent draw of `sampler` per batch entry."""
        names = self.items or range(len(like))
        if len(names) != len(like):
            raise ValueError(f"noise has {len(names)} items, the batch {len(like)}")
        shape = like.shape[1:]
        parts = [sampler(shape, generator=self.generator(step, name, draw), dtype=like.dtype) for name in names]
        return torch.stack(parts).to(like.device) if parts else torch.empty_like(like)

    def generator(self, step: int, item: int | str, draw: int | str = 0) -> torch.Generator:
        """A CPU generator seeded by 64 bits of BLAKE2 over (seed, item, step, draw)."""
        digest = hashlib.blake2b(repr((self.seed, item, step, draw)).encode(), digest_size=8).digest()
        return torch.Generator().manual_seed(int.from_bytes(digest, "little", signed=True))

    def of(self, *items: int | str) -> "Noise":
        """The same noise for a batch that holds these items only."""
        return Noise(self.seed, items)
