"""Elution in the general case: temperature that varies along the column and in time, programmed inlet pressure.

Each solute moves with v = u/(1 + k) and spreads by its local plate height; in time, where nothing is stiff,
    dx/dt = v(x, t),      d(sigma_x^2)/dt = H v + 2 sigma_x^2 dv/dx,      sigma_t = sigma_x/v at the outlet
which is  dt/dx = r,  d(sigma_t^2)/dx = H r^2 + 2 sigma_t^2 dr/dt,  r = 1/v, seen by a clock instead of a ruler. Unlike the
ruler's form it stays smooth while a solute waits at the cold inlet. The fast path of `programme` is its uniform case.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.integrate import solve_ivp

from physics.chromatography.broadening import plate_height_terms
from physics.chromatography.gas import CarrierGas
from physics.chromatography.programme import FILM_DIFFUSION, Elution
from physics.chromatography.retention import Retention

ORDER = 8
TOLERANCE = 1e-8
NEAR = 1e-4  # step of y for the gradient of the speed


@dataclass(frozen=True)
class Conditions:
    """A column whose temperature and inlet pressure are functions."""

    length: float  # L, m
    diameter: float  # d, m
    film: float  # d_f, m
    carrier: CarrierGas
    temperature: Callable[[np.ndarray, float], np.ndarray]  # x (any), t -> K
    inlet_pressure: Callable[[float], float]  # t -> Pa absolute
    outlet_pressure: float  # Pa absolute

    def flow(self, position: np.ndarray, time: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Pressure (Pa), velocity (m/s) and temperature (K) at positions (any) and one time.

        Steady Poiseuille flow of an ideal gas, mass flow p u/T uniform, S(x) = ∫ mu T dx from the inlet:
            p^2 = p0^2 - (p0^2 - pL^2) S(x)/S(L),      u = d^2 T (p0^2 - pL^2)/(64 S(L) p)
        """
        position = np.minimum(position, self.length)
        inlet = self.inlet_pressure(time)
        if not inlet > self.outlet_pressure:
            raise ValueError(
                f"inlet pressure {inlet:g} Pa at t = {time:g} s is not above the outlet's {self.outlet_pressure:g} Pa; both must "
                "be absolute."
            )
        drop = inlet**2 - self.outlet_pressure**2
        whole = self._resistance(np.asarray(self.length), time)
        pressure = np.sqrt(inlet**2 - drop * self._resistance(position, time) / whole)
        temperature = self.temperature(position, time)
        return pressure, self.diameter**2 * temperature * drop / (64.0 * whole * pressure), temperature

    def _resistance(self, position: np.ndarray, time: float) -> np.ndarray:
        """S(x) = ∫ mu T dx from the inlet, Pa s K m."""
        nodes, weights = np.polynomial.legendre.leggauss(ORDER)
        temperature = self.temperature(position[..., None] * 0.5 * (nodes + 1.0), time)
        return 0.5 * position * ((self.carrier.viscosity(temperature) * temperature) @ weights)


def travel(conditions: Conditions, retention: Retention, *, diffusion: np.ndarray, until: float) -> Elution:
    """Retention times and widths of all solutes under any conditions, to a relative 1e-7 and 1e-4.

    diffusion   (solute,)   C of D = C T^1.75/p, Pa m^2/(s K^1.75)
    until                   s; raises ValueError where a solute is still inside by then
    """
    motion = _Motion(conditions, retention, diffusion)
    count = len(retention.characteristic)

    def slope(time: float, state: np.ndarray) -> np.ndarray:
        speed, growth = motion(state[:count], state[count:], time)
        return np.concatenate([speed, growth])

    arrivals = [lambda time, state, i=i: state[i] - 1.0 for i in range(count)]
    tolerance = TOLERANCE * np.repeat([1.0, 1e-4], count)
    result = solve_ivp(slope, (0.0, until), np.zeros(2 * count), "DOP853", events=arrivals, rtol=TOLERANCE, atol=tolerance)
    late = [i for i, times in enumerate(result.t_events) if len(times) == 0]
    if late:
        raise ValueError(f"solutes {late} have not left by {until:g} s: raise `until`, or heat the column further.")
    times = np.array([events[0] for events in result.t_events])
    last = np.array([motion(np.ones(count), np.zeros(count), time)[0][i] for i, time in enumerate(times)])
    spread = np.array([states[0][count + i] for i, states in enumerate(result.y_events)])
    outlet = np.array([conditions.temperature(np.asarray(conditions.length), time) for time in times])
    return Elution(times, np.sqrt(spread) / last, retention.factor(outlet), np.zeros(count, dtype=bool))


class _Motion:
    """Speed and spreading of every solute in y, the share of the hold-up spent at the first pressures, isothermal.

    In y both are smooth up to the outlet, where the gas rushes:  phat^3 = 1 - (1 - P^3) y,  x/L = (1 - phat^2)/(1 - P^2).
    """

    def __init__(self, conditions: Conditions, retention: Retention, diffusion: np.ndarray):
        self.conditions, self.retention, self.diffusion = conditions, retention, diffusion[:, None]
        self.P = conditions.outlet_pressure / conditions.inlet_pressure(0.0)

    def __call__(self, share: np.ndarray, spread: np.ndarray, time: float) -> tuple[np.ndarray, np.ndarray]:
        """dy/dt and d(sigma_y^2)/dt (solute,) of solutes at y with variance sigma_y^2."""
        y = np.clip(share[:, None] + NEAR * np.array([-1.0, 0.0, 1.0]), 0.0, 1.0)
        phat = np.cbrt(1.0 - (1.0 - self.P**3) * y)
        position = self.conditions.length * (1.0 - phat**2) / (1.0 - self.P**2)
        pressure, u, temperature = self.conditions.flow(position, time)
        k = self.retention.factor(temperature)
        gas = self.diffusion * temperature**1.75 / pressure
        desorption = 3.0 * FILM_DIFFUSION * gas / self.conditions.film**2
        height = sum(plate_height_terms(k, desorption, velocity=u, diffusion=gas, radius=0.5 * self.conditions.diameter))[:, 1]
        stretch = 1.5 * (1.0 - self.P**2) / (1.0 - self.P**3) * phat / self.conditions.length  # dy/dx
        speed = u / (1.0 + k) * stretch
        gradient = (speed[:, 2] - speed[:, 0]) / np.maximum(y[:, 2] - y[:, 0], NEAR)
        return speed[:, 1], height * speed[:, 1] * stretch[:, 1] + 2.0 * spread * gradient
