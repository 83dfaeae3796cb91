"""Waves that a phased array sends, and when they pass a point. Time 0 is when the wave passes the middle of the array."""

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


class Transmission(Protocol):
    """A wave front."""

    def distance_m(self, x_m: Tensor, z_m: Tensor) -> Tensor:
        """How far the wave has travelled since it passed the origin when it passes points (x, z), in the shape of the points."""


@dataclass(frozen=True)
class PlaneWave:
    """A plane wave in direction `angle_rad` from the normal of the probe:  x sin(angle) + z cos(angle)."""

    angle_rad: float = 0.0

    def distance_m(self, x_m: Tensor, z_m: Tensor) -> Tensor:
        return x_m * math.sin(self.angle_rad) + z_m * math.cos(self.angle_rad)


@dataclass(frozen=True)
class DivergingWave:
    """A wave as if from a point behind the probe, source_z_m < 0:  |p - source| - |source|."""

    source_x_m: float
    source_z_m: float

    def __post_init__(self):
        if not self.source_z_m < 0:
            raise ValueError(
                f"found a source at z = {self.source_z_m} m, expected one behind the probe. Use FocusedWave in front."
            )

    def distance_m(self, x_m: Tensor, z_m: Tensor) -> Tensor:
        return torch.hypot(x_m - self.source_x_m, z_m - self.source_z_m) - math.hypot(self.source_x_m, self.source_z_m)


@dataclass(frozen=True)
class FocusedWave:
    """A wave that converges to a focus, focus_z_m > 0, and diverges beyond it:  |focus| -+ |p - focus|.

    Before and beyond are told apart by the plane through the focus across the direction from the origin.
    """

    focus_x_m: float
    focus_z_m: float

    def __post_init__(self):
        if not self.focus_z_m > 0:
            raise ValueError(f"found a focus at z = {self.focus_z_m} m, expected one before the probe. Use DivergingWave behind.")

    def distance_m(self, x_m: Tensor, z_m: Tensor) -> Tensor:
        depth = math.hypot(self.focus_x_m, self.focus_z_m)
        beyond = (x_m - self.focus_x_m) * self.focus_x_m + (z_m - self.focus_z_m) * self.focus_z_m
        away = torch.hypot(x_m - self.focus_x_m, z_m - self.focus_z_m)
        return depth + torch.where(beyond < 0, -away, away)
