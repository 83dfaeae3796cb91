"""Where a scanner walks through k-space, and how densely."""

import math

import torch
from torch import Tensor

GOLDEN_RAD = math.pi * (3 - math.sqrt(5)) / 2  # small golden angle of spokes, 68.75 degrees (Winkelmann 2007)


def radial(spokes: int, samples: int, *, is_golden: bool = False) -> Tensor:
    """Points (spoke, sample, 2) of spokes through the centre, float64, rad per pixel along rows and columns.

    spokes      angles equally spaced over half a turn, or by the golden angle
    samples     of each spoke, from -pi, in steps of 2 pi / samples; index samples // 2 is the centre

    ValueError for fewer than one spoke or two samples.
    """
    if spokes < 1 or samples < 2:
        raise ValueError(f"found {spokes} spokes of {samples} samples, expected at least 1 of at least 2.")
    angles = (GOLDEN_RAD if is_golden else math.pi / spokes) * torch.arange(spokes, dtype=torch.float64)
    radius = 2 * math.pi / samples * (torch.arange(samples, dtype=torch.float64) - samples // 2)
    return radius[None, :, None] * torch.stack([angles.sin(), angles.cos()], dim=-1)[:, None, :]


def radial_density(spokes: int, samples: int) -> Tensor:
    """Area of k-space that each sample of equally spaced spokes stands for, (spoke, sample), in units of a Cartesian sample's.

        w[s, k] = |radius_k| step (pi / spokes) / (2 pi)^2,    step = 2 pi / samples

    with step / 6 for the radius of the centre, which makes up for the cusp of |radius| (Euler-Maclaurin): the error of the sum
    falls with step^4. Times row · column these weights make the adjoint image of `NonCartesianMRI` the image itself, as far as
    spokes suffice. They belong in that image alone: inside least squares they would weight the noise wrongly.
    """
    step = 2 * math.pi / samples
    radius = step * (torch.arange(samples, dtype=torch.float64) - samples // 2).abs()
    radius[samples // 2] = step / 6
    return (radius * step * (math.pi / spokes) / (2 * math.pi) ** 2).expand(spokes, -1).clone()
