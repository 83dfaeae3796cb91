"""The paper's own ways to solve the column, kept as peers: explicit finite differences, and its double integral.

Cabrera-Codony et al. (2024) compare a Laplace solution with a full numerical one; both are here so that their comparison
can be rerun. Nothing else uses them: `chromatogram` is faster and more accurate than either (see the benchmarks).
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.integrate import dblquad

from physics.chromatography.column import hold_up_factor, relative_pressure

SAFETY = 0.95


@dataclass(frozen=True)
class PaperColumn:
    """One analyte on a compressible column, in the paper's quantities."""

    retention: float  # k
    desorption: float  # kd, 1/s
    velocity: float  # u0 at the inlet, m/s
    length: float  # L, m
    pressure_ratio: float  # P = pL/p0
    injection: float  # t1, s
    diffusion: float = 0.0  # D0 at the inlet pressure, m^2/s

    @property
    def hold_up(self) -> float:
        """tM, s."""
        return hold_up_factor(self.pressure_ratio) * self.length / self.velocity


def longest_step(column: PaperColumn, cells: int) -> float:
    """The longest stable time step (s) of `finite_differences`.

    Forward Euler with central differences has no stability of its own; exchange with the film lends it some:
        dt <= 2 k kd (dx/u_max)^2,      with dt <= 1/(kd (1 + k)) and dt <= dx^2/(2 D_max) for the other terms
    (the paper's groups: dt_hat <= 2 Da dx_hat^2/u_max^2).
    """
    dx, fastest = column.length / cells, column.velocity / column.pressure_ratio
    limit = min(
        2.0 * column.retention * column.desorption * (dx / fastest) ** 2, 1.0 / (column.desorption * (1.0 + column.retention))
    )
    largest = column.diffusion / column.pressure_ratio
    return min(limit, dx**2 / (2.0 * largest)) if largest > 0 else limit


def finite_differences(column: PaperColumn, times: np.ndarray, *, cells: int, step: float | None = None) -> np.ndarray:
    """Outlet flux concentration over feed concentration by the paper's scheme: forward Euler, central differences.

    times     (time,)   increasing, s; the scheme's steps are interpolated linearly to them
    cells               intervals of the grid; nodes at both ends
    step                dt, s; None is 0.95 of `longest_step`
    returns   (time,)   C/c0 = phat(L)^-1 · c(L)/c0

        c_t + (u c)_x = (D c_x)_x - alpha q_t,   q_t = ka c - kd q,   c(0, t) = c0 in the box, c_x(L) = 0
    """
    step = SAFETY * longest_step(column, cells) if step is None else step
    dx = column.length / cells
    phat = relative_pressure(
        np.linspace(0.0, column.length, cells + 1), length=column.length, pressure_ratio=column.pressure_ratio
    )
    u = column.velocity / phat
    between = column.diffusion / relative_pressure(
        (np.arange(cells) + 0.5) * dx, length=column.length, pressure_ratio=column.pressure_ratio
    )
    c, film, outlet = np.zeros(cells + 1), np.zeros(cells + 1), [0.0]
    steps = math.ceil(float(times[-1]) / step)
    for index in range(steps):
        c[0] = min(1.0, max(0.0, column.injection / step - index))
        exchange = column.desorption * (column.retention * c - film)
        flux = u * c
        change = np.empty(cells + 1)
        change[1:-1] = (flux[:-2] - flux[2:]) / (2.0 * dx) + np.diff(between * np.diff(c)) / dx**2
        change[-1] = (flux[-2] - flux[-1]) / dx
        change[0] = exchange[0]
        c = c + step * (change - exchange)
        film = film + step * exchange
        outlet.append(c[-1])
    return np.interp(times, step * np.arange(steps + 1), outlet) / column.pressure_ratio


def double_integral(column: PaperColumn, times: np.ndarray) -> np.ndarray:
    """Outlet flux concentration over feed concentration by a double integral, the paper's remedy for overflow (eq. 51).

    times     (time,)   s
    returns   (time,)   C/c0, without diffusion

        C = ∫ over the injection window ∫_0^pi (2 N kd/pi) sin^2(a) e^(-N - tau + 2 sqrt(N tau) cos a) da dt' (+ e^-N within)

    The inner integral is Bessel's for I1. Adaptive quadrature: 1e-9 of absolute, far less of relative accuracy in the tails.
    """
    units = column.retention * column.desorption * column.hold_up

    def integrand(angle: float, elapsed: float) -> float:
        tau = column.desorption * elapsed
        exponent = -units - tau + 2.0 * math.sqrt(units * tau) * math.cos(angle)
        return 2.0 * units * column.desorption / math.pi * math.sin(angle) ** 2 * math.exp(exponent)

    values = []
    for time in np.asarray(times, dtype=float):
        latest = max(0.0, time - column.hold_up)
        earliest = max(0.0, latest - column.injection)
        unretained = math.exp(-units) if 0 <= time - column.hold_up < column.injection else 0.0
        values.append(unretained + dblquad(integrand, earliest, latest, 0.0, math.pi, epsabs=1e-9, epsrel=1e-9)[0])
    return np.array(values)
