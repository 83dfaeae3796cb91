"""Resolution exchanged for channels and back, in any number of dimensions."""

from torch import Tensor


def space_to_depth(x: Tensor, factor: int) -> Tensor:
    """The same values with every side divided by `factor` and channels multiplied by factor**dims.

    x         (b, c, *space)   every side a multiple of factor
    returns   (b, c factor**dims, *space / factor)
    """
    if factor == 1:
        return x
    dims = x.ndim - 2
    split = [part for side in x.shape[2:] for part in (side // factor, factor)]
    coarse, fine = range(2, 2 + 2 * dims, 2), range(3, 3 + 2 * dims, 2)
    return x.reshape(*x.shape[:2], *split).permute(0, 1, *fine, *coarse).flatten(1, 1 + dims)


def depth_to_space(x: Tensor, factor: int) -> Tensor:
    """The inverse of `space_to_depth`."""
    if factor == 1:
        return x
    dims = x.ndim - 2
    split = x.unflatten(1, (-1, *[factor] * dims))
    order = [axis for d in range(dims) for axis in (2 + dims + d, 2 + d)]
    return split.permute(0, 1, *order).reshape(len(x), -1, *[side * factor for side in x.shape[2:]])
