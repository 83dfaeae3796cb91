"""Temperature-programmed elution at constant pressures: retention is one integral, and so is the width.

With a temperature that is the same all along the column, the velocity separates into a function of time and one of
place. In the fraction y of the hold-up already spent, every solute moves with dy/dt = 1/(tM(T) (1 + k(T))), so that
    ∫_0^tR dt/(tM (1 + k)) = 1,      sigma_y^2 = ∫_0^tR (H/(m L)) phat(y)/(tM (1 + k)) dt,      sigma_t = sigma_y/(dy/dt at tR)
exactly (H the local plate height, m L the length in transit). `travel` solves the general case and is the oracle.
"""

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

import numpy as np
from scipy.optimize import least_squares

from physics.chromatography.broadening import plate_height_terms
from physics.chromatography.column import hold_up_factor
from physics.chromatography.gas import CarrierGas
from physics.chromatography.retention import Retention

ORDER = 8
LONGEST = 0.1  # of the shortest hold-up time: one quadrature interval
FILM_DIFFUSION = 1e-4  # of the gas phase: Ds = D/10^4 (Blumberg 2010)


@dataclass(frozen=True)
class Oven:
    """A temperature programme, linear between its corners; the last temperature is held."""

    times: np.ndarray  # (corner,)   s, from 0, increasing
    temperatures: np.ndarray  # (corner,)   K

    def __post_init__(self):
        times, temperatures = np.asarray(self.times, dtype=float), np.asarray(self.temperatures, dtype=float)
        if times.ndim != 1 or times.shape != temperatures.shape or times[0] != 0 or np.any(np.diff(times) <= 0):
            raise ValueError(f"Oven: times {times.tolist()} must start at 0 s and increase, one temperature for each.")
        if np.min(temperatures) < 150:
            raise ValueError(f"Oven: lowest temperature {np.min(temperatures):g} K. Kelvin are expected: add 273.15.")

    def temperature(self, time):
        """T at any times (s), K."""
        return np.interp(time, self.times, self.temperatures)


@dataclass(frozen=True)
class ProgrammedColumn:
    """An open tubular column in an oven, at constant absolute pressures."""

    length: float  # L, m
    diameter: float  # d, m, inner
    film: float  # d_f, m
    inlet_pressure: float  # p0, Pa absolute
    outlet_pressure: float  # pL, Pa absolute
    carrier: CarrierGas
    hold_up_scale: float = 1.0  # hold-up time over Poiseuille's, for uncertain length, diameter or pressure
    temperature_offset: float = 0.0  # K added to the oven's temperature

    def __post_init__(self):
        if not 0 < self.outlet_pressure < self.inlet_pressure:
            raise ValueError(
                f"ProgrammedColumn: inlet {self.inlet_pressure:g} Pa, outlet {self.outlet_pressure:g} Pa; expected absolute "
                "pressures, the inlet's higher. Add the ambient pressure to gauge readings."
            )

    @property
    def pressure_ratio(self) -> float:
        """P = pL/p0."""
        return self.outlet_pressure / self.inlet_pressure

    def hold_up_time(self, temperature):
        """tM (s) at temperatures in K:  m(P) L/u0,  u0 = d^2 (p0^2 - pL^2)/(64 mu L p0)."""
        return hold_up_factor(self.pressure_ratio) * self.length / self.inlet_velocity(temperature)

    def inlet_velocity(self, temperature):
        """u0 (m/s) at temperatures in K, slowed by `hold_up_scale`."""
        drop = self.inlet_pressure**2 - self.outlet_pressure**2
        viscosity = self.carrier.viscosity(temperature)
        return self.diameter**2 * drop / (64.0 * viscosity * self.length * self.inlet_pressure * self.hold_up_scale)


@dataclass(frozen=True)
class Elution:
    """When each solute leaves, and how wide its peak is."""

    times: np.ndarray  # (solute,)   tR, s
    widths: np.ndarray  # (solute,)   standard deviation, s
    factors: np.ndarray  # (solute,)   k at elution
    is_beyond: np.ndarray  # (solute,)   bool: elutes after the programme's end, at its last temperature


def elute_programmed(column: ProgrammedColumn, oven: Oven, *, retention: Retention, diffusion: np.ndarray) -> Elution:
    """Retention times and widths of all solutes in a uniform oven at constant pressure, to rounding.

    diffusion   (solute,)   C of D = C T^1.75/p, Pa m^2/(s K^1.75), of `gas.diffusion_constant`

    H is the sum of `broadening.plate_height_terms` for D and for film diffusion, kd = 3 Ds/d_f^2, Ds = D/10^4.
    """
    speed = _Speed(column, oven, retention)
    starts, ends = _intervals(column, oven)
    gained = _integral(speed, starts[None], ends[None])
    done = np.concatenate([np.zeros((len(gained), 1)), np.cumsum(gained, axis=1)], axis=1)
    times = _roots(speed, done, starts, ends)
    nodes, weights, partial = _rules()
    span = np.clip(times[:, None] - starts, 0.0, ends - starts)
    sample = starts[:, None] + span[..., None] * nodes
    rate = speed(sample)
    fraction = done[:, :-1, None] + span[..., None] * (rate @ partial)
    height = _plate_height(column, retention, diffusion, speed.temperature(sample))
    spread = np.sum((height * rate * _pressure(column, fraction)) @ weights * span, axis=1)
    arrived = np.minimum(done[:, -1], 1.0)
    held = _plate_height(column, retention, diffusion, speed.temperature(np.full(len(times), oven.times[-1])))
    spread = spread + held * _pressure_integral(column, arrived)
    spread = spread / (hold_up_factor(column.pressure_ratio) * column.length)
    factors = retention.factor(speed.temperature(times))
    return Elution(times, np.sqrt(spread) / speed(times), factors, times > oven.times[-1])


def calibrate(column: ProgrammedColumn, runs: list[tuple[Oven, np.ndarray]], *, retention: Retention) -> ProgrammedColumn:
    """The column with the temperature offset and hold-up scale that bring its predictions closest to measured retention.

    runs      one oven and its measured retention times (solute,), s, for each run; NaN is not measured
    returns   least squares over all runs and solutes

    The two absorb what is uncertain in length, diameter, pressure and phase ratio: corrections, not physical constants.
    """

    def corrected(parameters: np.ndarray) -> ProgrammedColumn:
        return replace(column, temperature_offset=float(parameters[0]), hold_up_scale=float(parameters[1]))

    def residual(parameters: np.ndarray) -> np.ndarray:
        misses = [retention_times(corrected(parameters), oven, retention=retention) - measured for oven, measured in runs]
        misses = np.concatenate(misses)
        return misses[np.isfinite(misses)]

    return corrected(least_squares(residual, [0.0, 1.0], x_scale=[1.0, 0.05], xtol=1e-10).x)


def retention_times(column: ProgrammedColumn, oven: Oven, *, retention: Retention) -> np.ndarray:
    """tR (solute,), s, in a uniform oven at constant pressure: the root of ∫_0^tR dt/(tM (1 + k)) = 1."""
    speed = _Speed(column, oven, retention)
    starts, ends = _intervals(column, oven)
    gained = _integral(speed, starts[None], ends[None])
    done = np.concatenate([np.zeros((len(gained), 1)), np.cumsum(gained, axis=1)], axis=1)
    return _roots(speed, done, starts, ends)


@dataclass(frozen=True)
class _Speed:
    """dy/dt (1/s) of every solute: the share of the hold-up that it spends per second; times are (1 or solute, ...)."""

    column: ProgrammedColumn
    oven: Oven
    retention: Retention

    def temperature(self, time):
        """T of the column, K."""
        return self.oven.temperature(time) + self.column.temperature_offset

    def __call__(self, time) -> np.ndarray:
        temperature = self.temperature(time)
        return 1.0 / (self.column.hold_up_time(temperature) * (1.0 + self.retention.factor(temperature)))


def _roots(speed: _Speed, done: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Time (solute,) at which each solute's share reaches 1, by Newton's method inside its interval."""
    index = np.minimum(np.argmax(done[:, 1:] >= 1.0, axis=1), len(starts) - 1)
    solute = np.arange(len(done))
    is_beyond = done[:, -1] < 1.0
    left = starts[index]
    missing = 1.0 - done[solute, index]
    time = left + missing / np.maximum(done[solute, index + 1] - done[solute, index], 1e-300) * (ends[index] - left)
    for _ in range(8):
        time = np.clip(time - (_integral(speed, left[:, None], time[:, None])[:, 0] - missing) / speed(time), left, ends[index])
    held = ends[-1] + (1.0 - done[:, -1]) / speed(np.full(len(done), ends[-1]))
    return np.where(is_beyond, held, time)


def _integral(speed: _Speed, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """∫ of the speed over intervals (1 or solute, interval); (solute, interval) comes back."""
    nodes, weights, _ = _rules()
    return speed(starts[..., None] + (ends - starts)[..., None] * nodes) @ weights * (ends - starts)


def _intervals(column: ProgrammedColumn, oven: Oven) -> tuple[np.ndarray, np.ndarray]:
    """Quadrature intervals that end at the oven's corners and are short beside the hold-up time."""
    corners = np.asarray(oven.times, dtype=float)
    if len(corners) == 1:
        corners = np.array([0.0, column.hold_up_time(oven.temperatures[0])])
    longest = LONGEST * float(np.min(column.hold_up_time(np.asarray(oven.temperatures) + column.temperature_offset)))
    pieces = [np.linspace(a, b, max(1, math.ceil((b - a) / longest)), endpoint=False) for a, b in pairwise(corners)]
    edges = np.append(np.concatenate(pieces), corners[-1])
    return edges[:-1], edges[1:]


def _plate_height(column: ProgrammedColumn, retention: Retention, diffusion: np.ndarray, temperature: np.ndarray) -> np.ndarray:
    """Local plate height H, m: the same all along the column, as D and u both scale with 1/p."""
    k, u = retention.factor(temperature), column.inlet_velocity(temperature)
    gas = diffusion.reshape(-1, *[1] * (np.ndim(temperature) - 1)) * temperature**1.75 / column.inlet_pressure
    desorption = 3.0 * FILM_DIFFUSION * gas / column.film**2
    return sum(plate_height_terms(k, desorption, velocity=u, diffusion=gas, radius=0.5 * column.diameter))


def _pressure(column: ProgrammedColumn, fraction: np.ndarray) -> np.ndarray:
    """phat where a share y of the hold-up time is spent:  phat^3 = 1 - (1 - P^3) y."""
    return np.cbrt(1.0 - (1.0 - column.pressure_ratio**3) * np.minimum(fraction, 1.0))


def _pressure_integral(column: ProgrammedColumn, fraction: np.ndarray) -> np.ndarray:
    """∫ phat dy from y to 1."""
    P = column.pressure_ratio
    return 0.75 * (_pressure(column, fraction) ** 4 - P**4) / (1.0 - P**3)


@lru_cache(maxsize=1)
def _rules() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gauss-Legendre nodes and weights on [0, 1], and the matrix of integrals from 0 to each node (node of f, node)."""
    nodes, weights = np.polynomial.legendre.leggauss(ORDER)
    nodes, weights = 0.5 * (nodes + 1.0), 0.5 * weights
    powers = np.arange(ORDER)
    monomials = nodes[:, None] ** powers
    partial = np.linalg.solve(monomials.T, (nodes[:, None] ** (powers + 1) / (powers + 1)).T)
    return nodes, weights, partial
