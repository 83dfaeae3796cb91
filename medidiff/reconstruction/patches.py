"""A prior of one size for slices of any size and number: in chunks, padded to its multiple, or patch by patch."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn.functional import pad
from torch.utils.checkpoint import checkpoint

from medidiff.diffusion.denoiser import Denoiser, Limits, limits_of
from medidiff.diffusion.noise import Noise
from medidiff.errors import DataError


@dataclass
class InChunks:
    """A denoiser that sees a few slices at a time, without gradients unless asked, and counts the slices it was asked for."""

    denoiser: Denoiser
    slices_at_once: int  # bounds the memory
    slices: int = 0  # asked for so far

    @property
    def limits(self) -> Limits:
        return limits_of(self.denoiser)

    def __call__(self, u: Tensor, sigma: Tensor) -> Tensor:
        with torch.no_grad():
            return torch.cat([self.denoiser(*part) for part in self._parts(u, sigma)])

    def with_gradient(self, u: Tensor, sigma: Tensor) -> Tensor:
        """The same, to be derived by u: each chunk is computed anew on the way back, so that memory stays bounded."""
        return torch.cat([checkpoint(self.denoiser, *part, use_reentrant=False) for part in self._parts(u, sigma)])

    def _parts(self, u: Tensor, sigma: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        self.slices += len(u)
        return zip(u.split(self.slices_at_once), sigma.split(self.slices_at_once))


@dataclass(frozen=True)
class Padded:
    """A denoiser of any size: slices are mirrored at their far edges up to the prior's multiple, so noise goes on as noise."""

    denoiser: Denoiser

    @property
    def limits(self) -> Limits:
        return _of_any_size(limits_of(self.denoiser))

    def __call__(self, u: Tensor, sigma: Tensor) -> Tensor:
        rows, columns = u.shape[-2:]
        multiple = limits_of(self.denoiser).multiple
        return self.denoiser(mirrored(u, rows + -rows % multiple, columns + -columns % multiple), sigma)[..., :rows, :columns]


@dataclass(frozen=True)
class Patched:
    """A denoiser of any size from one of patches: every call cuts the slices along a grid of its own and denoises all patches.

    denoiser   of patches (b, c, edge, edge)
    edge       of a patch, pixels
    seed       of the offsets, one pair for each noise level, so that the seams of one call are inside the patches of the next

    The partition of PaDIS (Hu 2024, algorithm 1). Theirs pads the image; here the outermost patches lie within it and give only
    the part that no other covers, so a patch never shows more than the slice.
    """

    denoiser: Denoiser
    edge: int
    seed: int = 0

    @property
    def limits(self) -> Limits:
        return _of_any_size(limits_of(self.denoiser))

    def __call__(self, u: Tensor, sigma: Tensor) -> Tensor:
        rows, columns = u.shape[-2:]
        large = mirrored(u, max(rows, self.edge), max(columns, self.edge))
        generator = Noise(self.seed).generator(0, repr(float(sigma[0])), "offset")
        down, across = torch.randint(self.edge, (2,), generator=generator).tolist()
        tiles = [
            (top, left)
            for top in partition(large.shape[-2], self.edge, offset=down)
            for left in partition(large.shape[-1], self.edge, offset=across)
        ]
        patches = torch.cat([large[..., t.start :, l.start :][..., : self.edge, : self.edge] for t, l in tiles])
        found = self.denoiser(patches, sigma.repeat(len(tiles))).split(len(u))
        out = torch.empty_like(large)
        for (t, l), patch in zip(tiles, found):
            out[..., t.first : t.last, l.first : l.last] = patch[..., t.within, l.within]
        return out[..., :rows, :columns]


@dataclass(frozen=True)
class Tile:
    """One patch along one axis: it begins at `start` and gives the pixels first .. last - 1."""

    start: int
    first: int
    last: int

    @property
    def within(self) -> slice:
        """The same pixels, counted in the patch."""
        return slice(self.first - self.start, self.last - self.start)


def partition(size: int, edge: int, *, offset: int) -> Iterator[Tile]:
    """Tiles that give each of `size` pixels once, cut at offset, offset + edge, ...; all patches lie within the axis."""
    cuts = sorted({0, *range(offset % edge, size, edge), size})
    for first, last in pairwise(cuts):
        yield Tile(max(0, min(first, size - edge)), first, last)


def mirrored(u: Tensor, rows: int, columns: int) -> Tensor:
    """`u` with its far edges mirrored up to this size. DataError where that is twice the slice or more."""
    down, across = rows - u.shape[-2], columns - u.shape[-1]
    if down >= u.shape[-2] or across >= u.shape[-1]:
        raise DataError(
            f"slices of {u.shape[-2]} x {u.shape[-1]} pixels are too small for a prior that needs {rows} x {columns}. "
            f"Reconstruct on smaller pixels, or lower `patch`."
        )
    return pad(u, (0, across, 0, down), mode="reflect") if down or across else u


def _of_any_size(limits: Limits) -> Limits:
    return Limits(limits.sigma_min, limits.sigma_max, limits.data_std, 1, limits.gaussian_kernel)
