"""A heart seen from its apex: chambers, walls, valves and pericardium in the plane of the scan, and how they beat."""

import math
from dataclasses import dataclass

import torch
from numpy.random import Generator
from torch import Tensor

OTHER, MYOCARDIUM, VENTRICLE, BLOOD, BRIGHT = 0, 1, 2, 3, 4  # labels
RADIAL, LONGITUDINAL = 0.18, 0.09  # shortening of the ventricle from end diastole to end systole
FRAME_RATE_HZ = 40.0
BASE = 0.8  # of the long semi-axis: where the ventricle opens into the atrium
PERICARDIUM_M, LEAFLET_M, FREE_WALL_M = 1.5e-3, 0.9e-3, 3e-3
INVERSIONS = 6  # fixed-point steps; the error falls by a factor of five in each


@dataclass(frozen=True)
class Heart:
    """Sizes in m, angles in rad, echogenicity in dB of myocardium. `u` runs across the ventricle, `v` along it to the base."""

    centre_m: tuple[float, float]  # x, z of the left ventricle
    tilt_rad: float
    semi_axes_m: tuple[float, float]  # u, v of its cavity
    wall_m: float
    wobble: tuple[tuple[float, float], ...]  # amplitude and phase of the angular harmonics 2, 3, ...
    right_m: tuple[float, float, float, float]  # centre u, v and semi-axes of the right ventricle
    atrium_m: tuple[float, float]  # semi-axes of the left atrium
    leaflets_m: tuple[float, float]  # length of the two leaflets
    near_wall_m: float  # where the chest wall ends
    levels_db: dict[str, float]  # of background, blood, bright, near
    beats_per_minute: float

    def tissue(self, x_m: Tensor, z_m: Tensor) -> tuple[Tensor, Tensor]:
        """Echogenicity in dB and labels (uint8) at positions of end diastole, in the shape of the positions."""
        u, v = self._local(x_m, z_m)
        a, b = self.semi_axes_m
        angle = torch.atan2(v / b, u / a)
        wobble = 1 + sum(size * torch.cos((order + 2) * angle + phase) for order, (size, phase) in enumerate(self.wobble))
        cavity = _radius(u, v, a, b) < wobble
        outer = _radius(u, v, a + self.wall_m, b + self.wall_m) < wobble
        rim = _radius(u, v, a + self.wall_m + PERICARDIUM_M, b + self.wall_m + PERICARDIUM_M) < wobble
        below = v > BASE * b
        right_u, right_v, right_a, right_b = self.right_m
        free_wall = _radius(u - right_u, v - right_v, right_a + FREE_WALL_M, right_b + FREE_WALL_M) < 1
        right = _radius(u - right_u, v - right_v, right_a, right_b) < 1
        atrium = _radius(u, v - BASE * b - self.atrium_m[1], *self.atrium_m) < 1
        levels = self.levels_db
        parts = (
            (free_wall, -3.0, OTHER),
            (right, levels["blood"], BLOOD),
            (rim & ~outer & (u > 0) & ~below, levels["bright"], BRIGHT),
            (outer & ~below, 0.0, MYOCARDIUM),
            (atrium & below, levels["blood"], BLOOD),
            (cavity & ~below, levels["blood"], VENTRICLE),
            (self._leaflets(u, v), levels["bright"] - 4.0, BRIGHT),
            (x_m.square() + z_m.square() < self.near_wall_m**2, levels["near"], OTHER),
        )
        level_db, label = torch.full_like(u, levels["background"]), torch.zeros(u.shape, dtype=torch.uint8)
        for where, level, number in parts:
            level_db[where], label[where] = level, number
        return level_db, label

    def moved(self, x_m: Tensor, z_m: Tensor, frame: int) -> tuple[Tensor, Tensor]:
        """Where material of end diastole lies at a frame, (x, z) m."""
        u, v = self._local(x_m, z_m)
        shortening = self._shortening(u, v, frame)
        return self._global(u * (1 - RADIAL * shortening), v * (1 - LONGITUDINAL * shortening))

    def material(self, x_m: Tensor, z_m: Tensor, frame: int) -> tuple[Tensor, Tensor]:
        """Where material that lies here at a frame was at end diastole, (x, z) m: inverse of `moved`, by fixed-point steps."""
        here_u, here_v = self._local(x_m, z_m)
        u, v = here_u, here_v
        for _ in range(INVERSIONS if frame else 0):
            shortening = self._shortening(u, v, frame)
            u, v = here_u / (1 - RADIAL * shortening), here_v / (1 - LONGITUDINAL * shortening)
        return self._global(u, v)

    def _shortening(self, u: Tensor, v: Tensor, frame: int) -> Tensor:
        """Share of the full shortening at material points: a cosine in time, falling off outside the wall."""
        phase = 2 * math.pi * frame * self.beats_per_minute / 60 / FRAME_RATE_HZ
        far = _radius(u, v, self.semi_axes_m[0] + self.wall_m, self.semi_axes_m[1] + self.wall_m)
        return (1 - math.cos(phase)) / 2 * torch.exp(-((far / 1.6) ** 4))

    def _leaflets(self, u: Tensor, v: Tensor) -> Tensor:
        """Within two thin leaflets that hang from the base into the cavity, half open."""
        a, b = self.semi_axes_m
        hinge = a * math.sqrt(1 - BASE**2)
        found = torch.zeros(u.shape, dtype=torch.bool)
        for side, length in zip((-1, 1), self.leaflets_m):
            along_u, along_v = -side * math.sin(0.6), -math.cos(0.6)
            du, dv = u - side * hinge, v - BASE * b
            along, across = du * along_u + dv * along_v, du * along_v - dv * along_u
            found |= (across.abs() < LEAFLET_M / 2) & (along > 0) & (along < length)
        return found

    def _local(self, x_m: Tensor, z_m: Tensor) -> tuple[Tensor, Tensor]:
        x, z = x_m - self.centre_m[0], z_m - self.centre_m[1]
        c, s = math.cos(self.tilt_rad), math.sin(self.tilt_rad)
        return c * x + s * z, c * z - s * x

    def _global(self, u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        c, s = math.cos(self.tilt_rad), math.sin(self.tilt_rad)
        return self.centre_m[0] + c * u - s * v, self.centre_m[1] + s * u + c * v


def _radius(u: Tensor, v: Tensor, a: float, b: float) -> Tensor:
    """Distance from the middle in units of the ellipse: 1 on its border."""
    return ((u / a).square() + (v / b).square()).sqrt()


def draw_heart(rng: Generator) -> Heart:
    """A random heart, in the position of the apical view."""
    a, b, wall = rng.uniform(16e-3, 23e-3), rng.uniform(30e-3, 40e-3), rng.uniform(8e-3, 12e-3)
    right = (rng.uniform(10e-3, 14e-3), rng.uniform(22e-3, 30e-3))
    return Heart(
        centre_m=(rng.uniform(-6e-3, 8e-3), rng.uniform(60e-3, 75e-3)),
        tilt_rad=rng.uniform(-0.35, 0.35),
        semi_axes_m=(a, b),
        wall_m=wall,
        wobble=tuple((rng.uniform(0, 0.05 / 3), rng.uniform(0, 2 * math.pi)) for _ in range(3)),
        right_m=(-(a + wall + right[0] - 1e-3), rng.uniform(2e-3, 10e-3), *right),
        atrium_m=(rng.uniform(14e-3, 18e-3), rng.uniform(12e-3, 16e-3)),
        leaflets_m=(rng.uniform(8e-3, 14e-3), rng.uniform(8e-3, 14e-3)),
        near_wall_m=rng.uniform(18e-3, 22e-3),
        levels_db={
            "background": rng.uniform(-16, -10),
            "blood": rng.uniform(-48, -38),
            "bright": rng.uniform(2, 10),
            "near": rng.uniform(-10, -4),
        },
        beats_per_minute=rng.uniform(60, 90),
    )
