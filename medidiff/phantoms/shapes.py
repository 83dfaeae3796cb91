"""Solids by their signed distance, which any grid can sample: the distance of a voxel's middle gives the share it holds."""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

Points = tuple[np.ndarray, np.ndarray, np.ndarray]  # x (1, 1, c), y (1, r, 1), z (s, 1, 1), float32, RAS mm
EVERYWHERE = (np.full(3, -np.inf), np.full(3, np.inf))


class Shape:
    """A solid. `distance` is negative inside and exact, to first order, near the surface (Taubin 1994)."""

    def distance(self, points: Points) -> np.ndarray:
        """Signed distance (s, r, c), mm."""
        raise NotImplementedError

    def box(self) -> tuple[np.ndarray, np.ndarray]:
        """Lowest and highest corner (x, y, z), mm."""
        return EVERYWHERE

    def thinness(self, edge_mm: float) -> float:
        """What keeps the mass of a solid thinner than an edge: its true mass over that of its ramp."""
        return 1.0


@dataclass(frozen=True, eq=False)
class Wave:
    """A length that varies along z:  value(z) = base + Σ_m amplitudes[m] cos(2π (m + 1) z / period_mm + phases[m])."""

    base: float
    amplitudes: np.ndarray
    phases: np.ndarray
    period_mm: float = 420.0

    def __call__(self, z: np.ndarray) -> np.ndarray:
        order = np.arange(1, len(self.amplitudes) + 1)
        turns = 2 * np.pi * order * z[..., None] / self.period_mm + self.phases
        return (self.base + (self.amplitudes * np.cos(turns)).sum(-1)).astype(np.float32)


def draw_wave(base: float, spread_mm: float, generator: Generator) -> Wave:
    """A random wave of three orders around `base`, each up to spread_mm over its order."""
    amplitudes = spread_mm * generator.uniform(-1, 1, 3) / np.arange(1, 4)
    return Wave(base, amplitudes, generator.uniform(0, 2 * np.pi, 3))


@dataclass(frozen=True, eq=False)
class Column(Shape):
    """Ellipses stacked along z, with a lumpy outline; `top` and `bottom` close it like a dome.

    x, y          middle, mm, along z
    a, b          radii, mm, along z
    turn_rad      of the ellipse, counter-clockwise
    lumps         (2, n) relative size and phase of the outline's ripples of 2, 3, ... per turn
    middle_mm, half_mm   along z; an infinite half never closes
    """

    x: Wave
    y: Wave
    a: Wave
    b: Wave
    turn_rad: float = 0.0
    lumps: np.ndarray | None = None
    middle_mm: float = 0.0
    half_mm: float = np.inf

    def distance(self, points: Points) -> np.ndarray:
        u, v, a, b = self.local(points)
        p, q = u / a, v / b
        squared = p * p + q * q
        if self.lumps is not None:
            # cos(n angle + phase) as the real part of a polynomial in exp(i angle)
            sizes, phases = self.lumps
            ripple = (sizes * np.exp(1j * phases)).astype(np.complex64)
            turn = (p + 1j * q) / np.sqrt(squared + np.float32(1e-6))
            value = turn * turn * np.polynomial.polynomial.polyval(turn, ripple)
            squared = squared * (1 - 2 * value.real)
        return to_surface(squared, (p / a) ** 2 + (q / b) ** 2)

    def local(self, points: Points) -> tuple[np.ndarray, ...]:
        """Coordinates along both axes, and both radii, mm."""
        x, y, z = points
        cosine, sine = np.float32(np.cos(self.turn_rad)), np.float32(np.sin(self.turn_rad))
        dx, dy = x - self.x(z), y - self.y(z)
        height = np.clip((z - self.middle_mm) / self.half_mm, -1, 1) if np.isfinite(self.half_mm) else np.zeros_like(z)
        dome = np.maximum(np.sqrt(1 - height**2), 1e-3).astype(np.float32)
        return cosine * dx + sine * dy, cosine * dy - sine * dx, dome * self.a(z), dome * self.b(z)

    def box(self) -> tuple[np.ndarray, np.ndarray]:
        shift_x, shift_y, more_a, more_b = (np.abs(wave.amplitudes).sum() for wave in (self.x, self.y, self.a, self.b))
        lumpy = 1.05 + 1.5 * (0 if self.lumps is None else np.abs(self.lumps[0]).sum())
        a, b = lumpy * (self.a.base + more_a), lumpy * (self.b.base + more_b)
        cosine, sine = np.cos(self.turn_rad), np.sin(self.turn_rad)
        middle = np.array([self.x.base, self.y.base, self.middle_mm])
        half = np.array([np.hypot(a * cosine, b * sine) + shift_x, np.hypot(a * sine, b * cosine) + shift_y, self.half_mm])
        return middle - half, middle + half

    def thinness(self, edge_mm: float) -> float:
        return flat_thinness(np.sqrt(self.a.base * self.b.base), edge_mm)


@dataclass(frozen=True, eq=False)
class Ball(Shape):
    """An ellipsoid.

    centre   (3,) mm
    radii    (3,) mm
    axes     (3, 3) columns are the directions of the radii
    """

    centre: np.ndarray
    radii: np.ndarray
    axes: np.ndarray

    def distance(self, points: Points) -> np.ndarray:
        offset = [(p - np.float32(c)) for p, c in zip(points, self.centre)]
        squared, slope = np.float32(0), np.float32(0)
        for radius, axis in zip(self.radii.astype(np.float32), self.axes.T.astype(np.float32)):
            along = offset[0] * axis[0] + offset[1] * axis[1] + offset[2] * axis[2]
            squared = squared + (along / radius) ** 2
            slope = slope + (along / radius**2) ** 2
        return to_surface(squared, slope)

    def box(self) -> tuple[np.ndarray, np.ndarray]:
        half = np.sqrt(((self.axes * self.radii) ** 2).sum(axis=1))
        return self.centre - half, self.centre + half

    def thinness(self, edge_mm: float) -> float:
        radius = float(np.exp(np.log(self.radii).mean()))
        if radius < edge_mm / 2:
            return 4 * edge_mm * radius**3 / (radius + edge_mm / 2) ** 4
        return radius**2 / (radius**2 + edge_mm**2 / 4)


@dataclass(frozen=True, eq=False)
class Rod(Shape):
    """A straight piece of a vessel: all points within a radius of a line from start to end (3,), mm."""

    start: np.ndarray
    end: np.ndarray
    radius_mm: float

    def distance(self, points: Points) -> np.ndarray:
        along = (self.end - self.start).astype(np.float32)
        offset = [p - np.float32(s) for p, s in zip(points, self.start)]
        part = sum(o * a for o, a in zip(offset, along)) / np.float32(along @ along)
        part = np.clip(part, 0, 1)
        return np.sqrt(sum((o - part * a) ** 2 for o, a in zip(offset, along))) - np.float32(self.radius_mm)

    def box(self) -> tuple[np.ndarray, np.ndarray]:
        return np.minimum(self.start, self.end) - self.radius_mm, np.maximum(self.start, self.end) + self.radius_mm

    def thinness(self, edge_mm: float) -> float:
        return flat_thinness(self.radius_mm, edge_mm)


@dataclass(frozen=True, eq=False)
class Bands(Shape):
    """Slabs across z, half_mm to each side of every  offset_mm + k period_mm."""

    period_mm: float
    offset_mm: float
    half_mm: float

    def distance(self, points: Points) -> np.ndarray:
        phase = (points[2] - self.offset_mm) / self.period_mm
        return (np.abs(phase - np.round(phase)) * self.period_mm - self.half_mm).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Ribs(Shape):
    """Curved bars around a wall, falling from back to front.

    wall         the ribs' inner side
    period_mm, offset_mm   along z, at the back
    drop_mm      from back to front
    half_mm      (2,) thickness across the wall and height along z, halved
    """

    wall: Column
    period_mm: float
    offset_mm: float
    drop_mm: float
    half_mm: tuple[float, float]

    def distance(self, points: Points) -> np.ndarray:
        u, v, a, b = self.wall.local(points)
        front = v / b / np.sqrt((u / a) ** 2 + (v / b) ** 2 + 1e-6)  # -1 at the back, 1 at the front
        phase = (points[2] + self.drop_mm * (1 + front) / 2 - self.offset_mm) / self.period_mm
        height = np.abs(phase - np.round(phase)) * self.period_mm
        across = self.wall.distance(points) - self.half_mm[0]
        squared = (across / self.half_mm[0]) ** 2 + (height / self.half_mm[1]) ** 2
        return to_surface(squared, across**2 / self.half_mm[0] ** 4 + height**2 / self.half_mm[1] ** 4)

    def box(self) -> tuple[np.ndarray, np.ndarray]:
        low, high = self.wall.box()
        return low - 2 * self.half_mm[0], high + 2 * self.half_mm[0]

    def thinness(self, edge_mm: float) -> float:
        return flat_thinness(float(np.sqrt(np.prod(self.half_mm))), edge_mm)


@dataclass(frozen=True, eq=False)
class Common(Shape):
    """What lies in all of several solids."""

    shapes: tuple[Shape, ...]

    def distance(self, points: Points) -> np.ndarray:
        distances = [shape.distance(points) for shape in self.shapes]
        return np.maximum.reduce(np.broadcast_arrays(*distances))

    def box(self) -> tuple[np.ndarray, np.ndarray]:
        low, high = zip(*(shape.box() for shape in self.shapes))
        return np.maximum.reduce(low), np.minimum.reduce(high)

    def thinness(self, edge_mm: float) -> float:
        return min(shape.thinness(edge_mm) for shape in self.shapes)


def to_surface(squared: np.ndarray, slope_squared: np.ndarray) -> np.ndarray:
    """(f - 1) / |grad f|, mm, of  f² = squared  and  |f grad f|² = slope_squared: exact for a circle and for a sphere."""
    fraction = np.sqrt(squared + np.float32(1e-6))
    return (fraction - 1) * fraction / (np.sqrt(slope_squared) + np.float32(1e-6))


def coverage(shape: Shape, points: Points, edge_mm: float) -> np.ndarray:
    """A voxel's share of a solid, (s, r, c): a ramp one edge wide across the surface, of the solid's own mass.

    share = thinness · clip(1/2 - distance / edge_mm, 0, 1)
    """
    return np.float32(shape.thinness(edge_mm)) * np.clip(0.5 - shape.distance(points) / np.float32(edge_mm), 0, 1)


def flat_thinness(radius_mm: float, edge_mm: float) -> float:
    """True area of a disc over that of its ramp,  π r² / ∫ clip(1/2 - (ρ - r)/e, 0, 1) 2πρ dρ."""
    if radius_mm < edge_mm / 2:
        return 3 * edge_mm * radius_mm**2 / (radius_mm + edge_mm / 2) ** 3
    return radius_mm**2 / (radius_mm**2 + edge_mm**2 / 12)


def window(points: Points, shape: Shape, margin_mm: float) -> tuple[slice, slice, slice] | None:
    """Slices (z, y, x) of the points within a solid's box and a margin; None where there are none."""
    found = []
    for along, low, high in zip(points, *shape.box()):
        start, stop = np.searchsorted(along.ravel(), (low - margin_mm, high + margin_mm))
        if start == stop:
            return None
        found.append(slice(int(start), int(stop)))
    return tuple(reversed(found))
