"""The laws from which initial states, forces and parameters are drawn: first the numbers, then their values on any grid."""

import math
from dataclasses import dataclass

import numpy as np

SPEEDS = (0.1, 0.2, 0.4, 1.0, 2.0, 4.0)  # of advection, m/s (Takamoto et al. 2022)
SHARE = 0.1  # of waves whose absolute value is taken, and of waves seen through a window
EDGE = 0.01  # width of a window's edge, m
HUMPS = 8  # of a force


@dataclass(frozen=True)
class Humps:
    """Burgers' equation pushed by bumps in time and space; every array (b, hump)."""

    heights: np.ndarray
    places: np.ndarray
    widths: np.ndarray
    force: np.ndarray  # m/s^2
    force_places: np.ndarray
    force_widths: np.ndarray
    force_times: np.ndarray  # shares of the duration
    force_spans: np.ndarray

    def initial(self, x: np.ndarray) -> np.ndarray:
        """u0 (b, 1, x) = Σ a G(x; m, s), G(x; m, s) = exp(-(x - m)²/(2 s²))."""
        bumps = self.heights[..., None] * _bump(x, self.places, self.widths)
        return bumps.sum(1, keepdims=True)

    def forcing(self, shares: np.ndarray, x: np.ndarray) -> np.ndarray:
        """f (b, 1, t, x) = Σ a G(x; m, s) G(t/T; m_t, s_t) at shares t/T of the duration."""
        along_t = self.force[..., None] * _bump(shares, self.force_times, self.force_spans)
        return np.einsum("bht,bhx->btx", along_t, _bump(x, self.force_places, self.force_widths))[:, None]


def draw_humps(generator: np.random.Generator, count: int) -> Humps:
    """The law of "Wavelet Diffusion Neural Operator" 2025: a hump to the right, one to the left, 1 to 8 forces."""
    uniform = generator.uniform
    heights = np.stack([uniform(0, 2, count), uniform(-2, 0, count)], 1)
    places = np.stack([uniform(0.2, 0.4, count), uniform(0.6, 0.8, count)], 1)
    widths = uniform(0.05, 0.15, (count, 2))
    shape = (count, HUMPS)
    kept = np.concatenate([np.ones((count, 1)), uniform(size=(count, HUMPS - 1)) < 0.5], 1)
    force = 2 * uniform(-1.5, 1.5, shape) * kept
    where, when = ((uniform(0, 1, shape), uniform(0.1, 0.4, shape)) for _ in range(2))
    return Humps(heights, places, widths, force, *where, *when)


@dataclass(frozen=True)
class Waves:
    """Two sines on a ring, some of them folded, some seen through a window; arrays (b,) or (b, 2)."""

    numbers: np.ndarray  # of periods
    heights: np.ndarray
    phases: np.ndarray
    is_folded: np.ndarray
    is_windowed: np.ndarray
    signs: np.ndarray
    windows: np.ndarray  # (b, 2) ends
    speeds: np.ndarray  # m/s

    def value(self, x: np.ndarray) -> np.ndarray:
        """u (b, ..., x) at places (b, ..., x), m, any real number; the ring is 1 m long."""
        x = x % 1.0
        many = [(slice(None), *(None,) * (x.ndim - 1))]
        pick = lambda values: values[many[0]]
        terms = (
            pick(self.heights[:, i]) * np.sin(2 * math.pi * pick(self.numbers[:, i]) * x + pick(self.phases[:, i]))
            for i in (0, 1)
        )
        u = sum(terms)
        u = np.where(pick(self.is_folded), pick(self.signs) * np.abs(u), u)
        ends = (np.tanh((x - pick(self.windows[:, i])) / EDGE) for i in (0, 1))
        window = 0.5 * (next(ends) - next(ends))
        return np.where(pick(self.is_windowed), window * u, u)


def draw_waves(generator: np.random.Generator, count: int) -> Waves:
    """The law of PDEBench (Takamoto et al. 2022), with independent draws and one of its six speeds each."""
    uniform = generator.uniform
    ends = np.stack([uniform(0.1, 0.45, count), uniform(0.55, 0.9, count)], 1)
    return Waves(
        numbers=generator.integers(1, 9, (count, 2)),
        heights=uniform(0, 1, (count, 2)),
        phases=uniform(0, 2 * math.pi, (count, 2)),
        is_folded=uniform(size=count) < SHARE,
        is_windowed=uniform(size=count) < SHARE,
        signs=np.where(uniform(size=count) < 0.5, -1.0, 1.0),
        windows=ends,
        speeds=np.array(SPEEDS)[generator.integers(0, len(SPEEDS), count)],
    )


@dataclass(frozen=True)
class Jumps:
    """A gas at rest or moving on either side of a jump: states (b, 3) of density, velocity, pressure; places (b, 3)."""

    left: np.ndarray
    right: np.ndarray
    places: np.ndarray  # of the jump of each variable, m

    def initial(self, x: np.ndarray) -> np.ndarray:
        """The state (b, 3, x)."""
        return np.where(x < self.places[..., None], self.left[..., None], self.right[..., None])


def draw_jumps(generator: np.random.Generator, count: int, *, is_one: bool) -> Jumps:
    """Two states of a gas in a tube from -1 to 1 m and where they meet.

    is_one   one jump of all variables, velocities U(-1, 1): a Riemann problem. Else close to the law of PDEBench: every
             variable jumps at a place of its own, velocities exp(U(-0.5, 0.5)) never point to the left

    Densities are log-uniform in 1 to 10 kg/m^3, pressures in 10 to 100 Pa.
    """
    states = []
    for _ in range(2):
        density, pressure = (np.exp(generator.uniform(math.log(low), math.log(10 * low), count)) for low in (1.0, 10.0))
        drawn = generator.uniform(-1, 1, count)
        states.append(np.stack([density, drawn if is_one else np.exp(0.5 * drawn), pressure], 1))
    places = generator.uniform(-0.5, 0.5, (count, 3))
    return Jumps(*states, np.repeat(places[:, :1], 3, 1) if is_one else places)


def _bump(x: np.ndarray, place: np.ndarray, width: np.ndarray) -> np.ndarray:
    """G(x; place, width), (b, hump, x)."""
    return np.exp(-0.5 * ((x - place[..., None]) / width[..., None]) ** 2)
