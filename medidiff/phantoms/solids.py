"""Ellipsoids as continuous functions of position: the sharp X-ray edge, and the edge after the PET's blur."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from scipy.special import erf, expit


@dataclass(frozen=True, eq=False)
class Ellipsoid:
    """A body with one attenuation and one uptake; an infinite radius makes it a cylinder."""

    centre: np.ndarray  # (3,) RAS mm
    radii: np.ndarray  # (3,) mm
    axes: np.ndarray  # (3, 3) columns are the directions of the radii
    hu: float | None  # attenuation it has, HU; None leaves what is there
    suv: float | None  # uptake it has, SUV; None leaves what is there

    @property
    def mean_radius_mm(self) -> float:
        """Geometric mean of the finite radii."""
        return float(np.exp(np.log(self.radii[np.isfinite(self.radii)]).mean()))

    @property
    def volume_ml(self) -> float:
        """4/3 π times the product of the radii."""
        return float(4 / 3 * np.pi * np.prod(self.radii) / 1000)

    def radius_fraction(self, points: np.ndarray) -> np.ndarray:
        """The scale (n,) at which the grown or shrunken surface passes through each point (n, 3): 1 on the surface."""
        return np.sqrt(self.squared_fraction(points))

    def squared_fraction(self, points: np.ndarray) -> np.ndarray:
        """Square of `radius_fraction`, float32."""
        local = (points - self.centre).astype(np.float32) @ (self.axes / self.radii).astype(np.float32)
        return np.einsum("nd,nd->n", local, local)


Edge = Callable[[np.ndarray, Ellipsoid], np.ndarray]


def sharp_edge(fraction: np.ndarray, *, radius_mm: float, width_mm: float) -> np.ndarray:
    """1 inside, 0 outside, a logistic step of the given width (mm) where the radius fraction is 1."""
    return expit((1 - fraction) * (radius_mm / width_mm))


def blurred_ball(fraction: np.ndarray, *, radius_mm: float, sigma_mm: float) -> np.ndarray:
    """A ball of value 1 after a Gaussian blur of standard deviation sigma_mm, at r = fraction · radius_mm.

        f(r) = ½ [erf((R - r)/√2σ) + erf((R + r)/√2σ)] - σ/(r √2π) [exp(-(R - r)²/2σ²) - exp(-(R + r)²/2σ²)]

    Exact for a ball (the integral of the Gaussian over it, in spherical coordinates); for an ellipsoid the same profile
    along its own radius fraction is taken as the definition, with R the geometric mean radius.
    """
    radius = radius_mm / (np.sqrt(2) * sigma_mm)
    r = np.maximum(fraction * radius, 1e-3)
    ridge = np.exp(-((radius - r) ** 2)) - np.exp(-((radius + r) ** 2))
    return 0.5 * (erf(radius - r) + erf(radius + r)) - ridge / (2 * np.sqrt(np.pi) * r)


def paint(
    points: np.ndarray, layers: Iterable[tuple[Ellipsoid, float]], *, start: float, edge: Edge, reach_mm: float
) -> np.ndarray:
    """Values (n,) float32 at points (n, 3): each layer replaces what lies below it, in proportion to its edge function.

    layers     (solid, value) from the outermost inwards
    start      value outside everything
    edge       radius fraction (n,), solid -> weight (n,) in 0 to 1
    reach_mm   distance outside a solid beyond which its weight counts as 0
    """
    values = np.full(len(points), start, dtype=np.float32)
    for solid, value in layers:
        squared = solid.squared_fraction(points)
        near = np.flatnonzero(squared < (1 + reach_mm / solid.mean_radius_mm) ** 2)
        weight = edge(np.sqrt(squared[near]), solid).astype(np.float32)
        values[near] += weight * (np.float32(value) - values[near])
    return values
