"""What a network is trained on, and in which order: a permutation per epoch that is a hash, so that no order need be saved."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import torch
from torch import Tensor

from medidiff.diffusion.noise import Noise


class Data(Protocol):
    """A training set: `len(data)` items, and `data[indices]` (int64) a batch of named tensors."""

    def __len__(self) -> int: ...

    def __getitem__(self, indices: Tensor) -> Mapping[str, Tensor]: ...


@dataclass(frozen=True)
class Tensors:
    """A training set held in memory: named tensors of equal length, moved to `device` batch by batch."""

    values: Mapping[str, Tensor]
    device: torch.device | str = "cpu"

    def __len__(self) -> int:
        return len(next(iter(self.values.values())))

    def __getitem__(self, indices: Tensor) -> dict[str, Tensor]:
        return {name: value[indices].to(self.device) for name, value in self.values.items()}


def batch_indices(size: int, batch: int, *, step: int, seed: int) -> Tensor:
    """Which items make up the batch of a step, (batch,) int64: consecutive pieces of one hashed permutation per epoch.

    step    1, 2, ...
    """
    first = (step - 1) * batch
    places = torch.arange(first, first + batch)
    epochs = places // size
    return torch.cat([_epoch(size, e, seed)[places[epochs == e] % size] for e in epochs.unique().tolist()])


@lru_cache(maxsize=2)
def _epoch(size: int, epoch: int, seed: int) -> Tensor:
    return torch.randperm(size, generator=Noise(seed).generator(epoch, "data", "order"))
