"""What the members of an ensemble say about doubt, voxel by voxel.

One network: variance and mutual information are the ambiguity it has learned, not what it does not know.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from medidiff.io.slab_file import Slabs


def entropy(p: NDArray) -> NDArray:
    """-p ln p - (1 - p) ln(1 - p), nats; 0 at p = 0 and 1."""
    p = np.asarray(p, np.float64)
    q = 1 - p
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(p > 0, p * np.log(p), 0) + np.where(q > 0, q * np.log(q), 0)
    return -terms


def mutual_information(mean: NDArray, mean_entropy: NDArray) -> NDArray:
    """H(mean of p) - mean of H(p), nats, at least 0 (Jensen): doubt that lies between the members, not within each."""
    return np.maximum(entropy(mean) - mean_entropy, 0)


class Moments:
    """Running mean and variance of volumes that come slab by slab, in two scratch volumes however many come (Welford 1962).

    make     shape -> slabs
    shape    (i, j, k)
    """

    def __init__(self, make: Callable[[tuple[int, ...]], Slabs], shape: tuple[int, ...]):
        self.mean, self.spread = make(shape), make(shape)

    def add(self, count: int, first: int, values: NDArray) -> None:
        """Volume number `count` (1, 2, ...) at the slices from `first` on; number 1 starts anew."""
        last = first + len(values)
        mean = self.mean.read(first, last) if count > 1 else np.zeros_like(values)
        spread = self.spread.read(first, last) if count > 1 else np.zeros_like(values)
        offset = values - mean
        mean = mean + offset / count
        self.mean.write(first, mean)
        self.spread.write(first, spread + offset * (values - mean))

    def variance(self, count: int, first: int, last: int) -> NDArray[np.float32]:
        """Of `count` volumes, divided by count - 1."""
        return self.spread.read(first, last) / (count - 1)
