"""A compact U-Net for signals, images and volumes, told its noise level by scale and shift of each normalisation."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention, silu

from medidiff.diffusion.networks.embedding import LevelEmbedding
from medidiff.diffusion.networks.shuffle import depth_to_space, space_to_depth
from medidiff.errors import ConfigError, DataError

# of each size; a card that states more describes no network of ours
MOST = {"dims": 3, "channels": 1024, "condition": 1024, "classes": 1 << 16, "levels": 8, "width": 2048}
MOST |= {"multipliers": 64, "blocks": 64, "attention": 16, "stem": 16}

Inner = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class UNetShape:
    dims: int = 2  # 1 signals, 2 images, 3 volumes
    channels: int = 1  # of the state that is denoised
    condition: int = 0  # further input channels, given as the named tensor `condition`
    classes: int = 0  # number of classes that the named tensor `label` may hold
    levels: int = 1  # noise levels per item; 2 for networks that jump from one level to another
    width: int = 32  # features at full resolution
    multipliers: tuple[int, ...] = (1, 2, 4)  # features per resolution, as multiples of the width
    blocks: int = 1  # residual blocks on each way through each resolution
    attention: int = 0  # how many of the coarsest resolutions attend over all places
    stem: int = 1  # space-to-depth factor in front: 2 halves every side and works on 2**dims times the channels

    @property
    def multiple(self) -> int:
        """Every side of an input must be a multiple of this."""
        return self.stem * 2 ** (len(self.multipliers) - 1)


class UNet(nn.Module):
    """A network (b, channels, *space) -> (b, channels, *space) whose output is zero until it is trained.

    shape    all sizes
    seed     of the initial weights

    `enter`, `through` and `leave` are the three parts of `forward`; block caching and pruning use them one by one.
    Residual blocks after Ho et al. 2020 (arXiv 2006.11239) with the scale and shift of Dhariwal and Nichol 2021; one skip
    connection per resolution.
    """

    def __init__(self, shape: UNetShape, *, seed: int = 0):
        super().__init__()
        _check(shape)
        self.shape = shape
        cells = shape.stem**shape.dims
        features = [shape.width * m for m in shape.multipliers]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.embedding = LevelEmbedding(4 * shape.width, levels=shape.levels, classes=shape.classes)
            self.first = conv(shape.dims, cells * (shape.channels + shape.condition), features[0], size=3)
            self.levels = nn.ModuleList(Level(shape, index) for index in range(len(features)))
            self.norm = normalise(features[0])
            self.last = conv(shape.dims, features[0], cells * shape.channels, size=3)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor, noise_level: Tensor, condition: Tensor | None = None, label: Tensor | None = None) -> Tensor:
        """The network's output F, same shape as `x`.

        x             (b, channels, *space)
        noise_level   (b,) or (b, levels)      c_noise of the adapter around this network
        condition     (b, condition, *space)   an image to be guided by
        label         (b,) int64               a class

        Raises DataError when a side is not a multiple of `shape.multiple`, or when channels do not fit.
        """
        h, embedded = self.enter(x, noise_level, condition, label)
        return self.leave(self.through(h, embedded))

    def enter(self, x: Tensor, noise_level: Tensor, condition: Tensor | None, label: Tensor | None) -> tuple[Tensor, Tensor]:
        """First features and the embedded noise level."""
        _check_input(self.shape, x, condition)
        if condition is not None:
            x = torch.cat([x, condition.to(x.dtype)], dim=1)
        h = space_to_depth(x.to(self.norm.weight.dtype), self.shape.stem)
        return self.first(h), self.embedding(noise_level, label)

    def through(self, h: Tensor, embedded: Tensor, depth: int = 0, replace: Mapping[int, Inner] | None = None) -> Tensor:
        """Features of resolution `depth` after all coarser ones were visited.

        replace   by depth, a function (h, embedded) that stands in for that resolution and all below it
        """
        if replace is not None and depth in replace:
            return replace[depth](h, embedded)
        level = self.levels[depth]
        skip = level.encode(h, embedded)
        if depth + 1 == len(self.levels):
            return level.decode(skip, embedded)
        deep = self.through(level.lower(skip), embedded, depth + 1, replace)
        return level.decode(torch.cat([skip, level.lift(deep)], dim=1), embedded)

    def leave(self, h: Tensor) -> Tensor:
        """The output from the features at full resolution."""
        return depth_to_space(self.last(silu(self.norm(h))), self.shape.stem)


class Level(nn.Module):
    """One resolution of the U-Net: blocks on the way down, blocks on the way up, and the steps to the next coarser one."""

    def __init__(self, shape: UNetShape, index: int):
        super().__init__()
        depth = len(shape.multipliers)
        features = shape.width * shape.multipliers[index]
        is_coarsest = index + 1 == depth
        attends = depth - index <= shape.attention
        embedding = 4 * shape.width
        self.encoder = nn.ModuleList(Block(shape.dims, features, features, embedding) for _ in range(shape.blocks))
        entry = features if is_coarsest else 2 * features
        widths = [entry] + [features] * (shape.blocks - 1)
        self.decoder = nn.ModuleList(Block(shape.dims, width, features, embedding) for width in widths)
        self.attention = Attention(features) if attends else None
        if not is_coarsest:
            deeper = shape.width * shape.multipliers[index + 1]
            self.lower = conv(shape.dims, features, deeper, size=3, stride=2)
            self.lift = nn.Sequential(nn.Upsample(scale_factor=2), conv(shape.dims, deeper, features, size=3))

    def encode(self, h: Tensor, embedded: Tensor) -> Tensor:
        for block in self.encoder:
            h = block(h, embedded)
        return h if self.attention is None else self.attention(h)

    def decode(self, h: Tensor, embedded: Tensor) -> Tensor:
        for block in self.decoder:
            h = block(h, embedded)
        return h


class Block(nn.Module):
    """Residual block: the noise level scales and shifts the second normalisation; starts as the identity (or a projection)."""

    def __init__(self, dims: int, entering: int, features: int, embedding: int):
        super().__init__()
        self.norm1 = normalise(entering)
        self.conv1 = conv(dims, entering, features, size=3)
        self.film = nn.Linear(embedding, 2 * features)
        self.norm2 = normalise(features)
        self.conv2 = conv(dims, features, features, size=3)
        self.skip = conv(dims, entering, features, size=1) if entering != features else nn.Identity()
        nn.init.zeros_(self.conv2.weight)
        nn.init.zeros_(self.conv2.bias)

    def forward(self, h: Tensor, embedded: Tensor) -> Tensor:
        inner = self.conv1(silu(self.norm1(h)))
        film = self.film(embedded).reshape(len(h), -1, *[1] * (h.ndim - 2))
        scale, shift = film.chunk(2, dim=1)
        return self.skip(h) + self.conv2(silu(self.norm2(inner) * (1 + scale) + shift))


class Attention(nn.Module):
    """Residual self-attention over all places of one resolution; starts as the identity."""

    def __init__(self, features: int, *, heads: int = 4):
        super().__init__()
        self.heads = heads
        self.norm = normalise(features)
        self.project = nn.Linear(features, 3 * features)
        self.merge = nn.Linear(features, features)
        nn.init.zeros_(self.merge.weight)
        nn.init.zeros_(self.merge.bias)

    def forward(self, h: Tensor) -> Tensor:
        places = self.norm(h).flatten(2).transpose(1, 2)
        split = self.project(places).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = scaled_dot_product_attention(split[0], split[1], split[2]).transpose(1, 2).flatten(2)
        return h + self.merge(mixed).transpose(1, 2).reshape(h.shape)


def conv(dims: int, entering: int, features: int, *, size: int, stride: int = 1) -> nn.Module:
    """A convolution over `dims` axes that keeps the size (or halves it with stride 2)."""
    kind = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[dims]
    return kind(entering, features, size, stride=stride, padding=size // 2)


def normalise(features: int) -> nn.GroupNorm:
    """Group normalisation with at least four features in a group."""
    groups = next(g for g in range(min(8, max(features // 4, 1)), 0, -1) if features % g == 0)
    return nn.GroupNorm(groups, features)


def _check_input(shape: UNetShape, x: Tensor, condition: Tensor | None) -> None:
    if any(side % shape.multiple for side in x.shape[2:]):
        wanted = " x ".join(str(-(-side // shape.multiple) * shape.multiple) for side in x.shape[2:])
        raise DataError(f"state {tuple(x.shape)}; the prior needs multiples of {shape.multiple}: pad to {wanted}")
    found = x.shape[1], 0 if condition is None else condition.shape[1]
    if found != (shape.channels, shape.condition):
        raise DataError(
            f"state has {found[0]} channels and `condition` {found[1]}; the prior needs {shape.channels} and {shape.condition}"
        )


def _check(shape: UNetShape) -> None:
    if shape.dims not in (1, 2, 3):
        raise ConfigError(f"dims {shape.dims}: expected 1 (signals), 2 (images) or 3 (volumes)")
    sizes = {**asdict(shape), "multipliers": max(shape.multipliers, default=0)}
    if wrong := [name for name, size in sizes.items() if type(size) is not int or not 0 <= size <= MOST[name]]:
        raise ConfigError(f"{wrong[0]}: expected a whole number from 0 to {MOST[wrong[0]]}, found {sizes[wrong[0]]!r}")
    if min(shape.stem, shape.blocks, shape.width, *shape.multipliers) < 1:
        raise ConfigError(f"stem, blocks, width and multipliers must be at least 1, found {shape}")
    if shape.attention and shape.width % 4:
        raise ConfigError(f"width {shape.width}: attention needs a multiple of 4 (its number of heads)")
