"""Poses and intensities that a patient could also have been scanned with."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Uniform = Callable[..., Tensor]  # (*shape) -> numbers in [0, 1)


@dataclass(frozen=True)
class Augmentation:
    """How far training patches differ from the patient."""

    rotation_deg: float = 15.0  # largest angle about each axis
    scale: tuple[float, float] = (0.9, 1.1)  # size of a patch relative to its voxels
    flips: bool = True  # mirrored along each axis in half of the draws
    pet_gain: float = 0.15  # largest relative error of the PET's calibration
    ct_shift: float = 0.06  # largest shift of the CT, in channel units (half the window)
    ct_noise: float = 0.04  # largest standard deviation of noise on the CT, channel units

    def pose(self, dims: int, uniform: Uniform) -> Tensor:
        """A matrix (dims, dims) from patch offsets to offsets in the patient, voxels: flip, then scale, then rotation."""
        matrix = torch.eye(dims)
        angles = (uniform(dims) * 2 - 1) * math.radians(self.rotation_deg)
        for angle, (first, second) in zip(angles, ((0, 1), (0, 2), (1, 2))):
            matrix = matrix @ plane_rotation(dims, first, second, float(angle))
        low, high = self.scale
        signs = torch.where(uniform(dims) < 0.5, -1.0, 1.0) if self.flips else torch.ones(dims)
        return matrix * (low + (high - low) * uniform(1)) @ torch.diag(signs)

    def pet(self, channel: Tensor, suv_max: float, uniform: Uniform) -> Tensor:
        """The PET channel of patches (b, *space) as if every scanner had its own calibration."""
        gain = 1 + self.pet_gain * (2 * per_patch(uniform, channel) - 1)
        top = math.log1p(suv_max)
        suv = torch.expm1((channel + 1) / 2 * top) * gain
        return torch.log1p(suv.clamp(0, suv_max)) / top * 2 - 1

    def ct(self, channel: Tensor, uniform: Uniform, normal: Callable[..., Tensor]) -> Tensor:
        """The CT channel of patches (b, *space) with a shift and noise; air stays air."""
        changed = channel + self.ct_shift * (2 * per_patch(uniform, channel) - 1)
        changed = changed + self.ct_noise * per_patch(uniform, channel) * normal(*channel.shape)
        return torch.where(channel > -1, changed.clamp(-1, 1), channel)


def plane_rotation(dims: int, first: int, second: int, angle_rad: float) -> Tensor:
    """The rotation matrix (dims, dims) in the plane of two axes, counter-clockwise from the first to the second."""
    matrix = torch.eye(dims)
    matrix[first, first] = matrix[second, second] = math.cos(angle_rad)
    matrix[first, second], matrix[second, first] = -math.sin(angle_rad), math.sin(angle_rad)
    return matrix


def per_patch(uniform: Uniform, like: Tensor) -> Tensor:
    """One number in [0, 1) per item, shaped to broadcast over it."""
    return uniform(len(like)).view(-1, *[1] * (like.ndim - 1))
