"""A capillary column with a compressible carrier gas: velocity, hold-up time, transit coordinate."""

import math
from dataclasses import dataclass

import numpy as np


def hold_up_factor(pressure_ratio):
    """Hold-up time of a compressible carrier in units of L/u0, the time at inlet velocity.

    pressure_ratio   any    P = outlet / inlet absolute pressure, 0 < P <= 1 (floats, arrays or tensors)
    returns          any    m(P) = (2/3) (1 + P + P^2) / (1 + P), in (2/3, 1]; the hold-up time is m L/u0

    This is (2/3) (1 - P^3)/(1 - P^2) with the common factor 1 - P removed, so that P -> 1 needs no series.
    """
    return (2.0 / 3.0) * (1.0 + pressure_ratio + pressure_ratio**2) / (1.0 + pressure_ratio)


def james_martin(pressure_ratio: float) -> float:
    """James-Martin factor j = L / (hold-up time · outlet velocity) = (3/2) (P^-2 - 1)/(P^-3 - 1) (James and Martin 1952).

    pressure_ratio   P = outlet / inlet absolute pressure, 0 < P <= 1
    """
    return 1.5 * pressure_ratio * (1.0 + pressure_ratio) / (1.0 + pressure_ratio + pressure_ratio**2)


@dataclass(frozen=True)
class Capillary:
    """An open tubular column in laminar flow of an ideal gas; SI units, absolute pressures.

    With phat = p/p0 the carrier obeys  phat(x) = sqrt(1 - (1 - P^2) x/L),  u(x) = u0/phat  (Poiseuille; eqs. 9-21 of
    Cabrera-Codony et al. 2024, re-derived). D(x) = D0/phat scales alike, so the local Peclet number is constant.
    """

    length: float  # L, m
    radius: float  # R, inner radius of the open tube, m
    film: float  # delta, thickness of the stationary phase, m
    inlet_pressure: float  # p0, Pa absolute
    outlet_pressure: float  # pL, Pa absolute
    viscosity: float  # mu of the carrier at the column's temperature, Pa s

    def __post_init__(self):
        for name in ("length", "radius", "film", "inlet_pressure", "outlet_pressure", "viscosity"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"Capillary.{name} is {value}, expected a positive number in SI units.")
        if self.outlet_pressure >= self.inlet_pressure:
            raise ValueError(
                f"Capillary: inlet {self.inlet_pressure:g} Pa is not above outlet {self.outlet_pressure:g} Pa. "
                "Both must be absolute: add the ambient pressure to gauge readings."
            )

    @property
    def phase_ratio(self) -> float:
        """alpha = 2 delta/R, volume of the stationary phase per volume of gas (1/beta of the GC literature)."""
        return 2.0 * self.film / self.radius

    @property
    def pressure_ratio(self) -> float:
        """P = pL/p0."""
        return self.outlet_pressure / self.inlet_pressure

    @property
    def inlet_velocity(self) -> float:
        """u0 = R^2 (p0^2 - pL^2) / (16 mu L p0), m/s."""
        drop = self.inlet_pressure**2 - self.outlet_pressure**2
        return self.radius**2 * drop / (16.0 * self.viscosity * self.length * self.inlet_pressure)

    @property
    def hold_up_time(self) -> float:
        """tM = m(P) L/u0, s: the time an unretained gas needs at the Poiseuille velocity."""
        return hold_up_factor(self.pressure_ratio) * self.length / self.inlet_velocity


def relative_pressure(position: np.ndarray, *, length: float, pressure_ratio: float) -> np.ndarray:
    """phat(x) = p(x)/p0 = sqrt(1 - (1 - P^2) x/L) in a column of steady isothermal flow.

    position   any     x, m from the inlet
    returns    as x    no unit
    """
    return np.sqrt(1.0 - (1.0 - pressure_ratio**2) * np.asarray(position) / length)


def transit_coordinate(position: np.ndarray, *, length: float, pressure_ratio: float) -> np.ndarray:
    """w(x) = integral from 0 to x of dx'/(u/u0), m: equal steps of w take the gas equal times w/u0.

    position         any     x, m from the inlet
    pressure_ratio           P = pL/p0
    returns          as x    m

        w = (2L/3)(1 - phat^3)/(1 - P^2) = (2x/3) (1 + phat + phat^2)/(1 + phat)      (no 0/0 as P -> 1)
    """
    phat = relative_pressure(position, length=length, pressure_ratio=pressure_ratio)
    return np.asarray(position) * hold_up_factor(phat)


def position_of(transit: np.ndarray, *, length: float, pressure_ratio: float) -> np.ndarray:
    """x at which the transit coordinate is w; inverse of `transit_coordinate`.

    transit    any     w, m, between 0 and m(P) L
    returns    as w    x, m

        y = 1 - phat^3 = (3/2)(1 - P^2) w/L,   x/L = (1 - phat^2)/(1 - P^2) with 1 - phat^2 = -expm1((2/3) log1p(-y))
    """
    transit = np.asarray(transit, dtype=float)
    if pressure_ratio == 1.0:
        return transit
    spread = 1.0 - pressure_ratio**2
    return -length * np.expm1((2.0 / 3.0) * np.log1p(-1.5 * spread * transit / length)) / spread
